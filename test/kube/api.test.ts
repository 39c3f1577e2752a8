import t, { type Test } from 'tap';
import { type Api, ApiError, createApi } from '../../src/kube/api.ts';
import { type Asked, page, playApiServer, stored } from './played-api-server.ts';

const RECORDS = { group: 'oaas.io', version: 'v1alpha1', plural: 'deploymentrecords' };
const LIMIT_RANGES = { group: '', version: 'v1', plural: 'limitranges' };

async function played(t: Test) {
  const server = await playApiServer();
  t.teardown(server.close);
  return { server, api: createApi(server.config) };
}

/** The error of a call that is answered so. */
async function refused(t: Test, call: (api: Api) => Promise<unknown>, answer: (asked: Asked) => void) {
  const { server, api } = await played(t);
  const failed = call(api).then(
    () => t.fail('it was taken for an answer'),
    (error) => error,
  );
  answer(await server.next());
  const error = await failed;
  t.ok(error instanceof ApiError);
  t.notMatch(error.message, '\n', 'one line');
  return error as ApiError;
}

t.test('a list asks for what has the label, in pages, and gives everything as of one version', async (t) => {
  const { server, api } = await played(t);
  const listed = api.list({ group: 'apps', version: 'v1', plural: 'deployments' }, 'oaas.io/owner');
  const first = await server.next();
  t.match(first, {
    path: '/apis/apps/v1/deployments',
    query: { labelSelector: 'oaas.io/owner', limit: '500' },
  });
  first.reply({
    kind: 'DeploymentList',
    metadata: { resourceVersion: '7', continue: 'x' },
    items: [{ metadata: { name: 'a' } }],
  });
  const second = await server.next();
  t.match(second.query, { labelSelector: 'oaas.io/owner', continue: 'x' });
  second.reply({
    kind: 'DeploymentList',
    metadata: { resourceVersion: '7' },
    items: [{ metadata: { name: 'b' } }, null],
  });
  const object = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } });
  t.strictSame(await listed, { items: [object('a'), object('b')], resourceVersion: '7' }, 'items know their kind');
});

t.test('a list without items is empty', async (t) => {
  const { server, api } = await played(t);
  const listed = api.list(RECORDS);
  (await server.next()).reply({ metadata: { resourceVersion: '1' }, items: null });
  t.strictSame(await listed, { items: [], resourceVersion: '1' });
});

t.test('a status is applied as oaas-tuner, by force, and exactly as it was given', async (t) => {
  const { server, api } = await played(t);
  const body = { ...stored('orders', '1'), status: { nfr_recommendations: { memory: { phase: 'NoData' } } } };
  const applied = api.applyStatus(RECORDS, 'shop', 'orders', body);
  const asked = await server.next();
  t.match(asked, {
    method: 'PATCH',
    path: '/apis/oaas.io/v1alpha1/namespaces/shop/deploymentrecords/orders/status',
    query: { fieldManager: 'oaas-tuner', force: 'true' },
    contentType: 'application/apply-patch+yaml',
  });
  t.strictSame(JSON.parse(asked.body), body);
  asked.reply(body);
  await applied;
});

t.test('LimitRanges, an Event and the own account', async (t) => {
  const { server, api } = await played(t);
  const ranges = api.list(LIMIT_RANGES);
  const list = await server.next();
  t.equal(list.path, '/api/v1/limitranges');
  const spec = { limits: [{ type: 'Container', max: { memory: '1Gi' } }] };
  list.reply({ kind: 'LimitRangeList', metadata: {}, items: [{ metadata: { name: 'a', namespace: 'shop' }, spec }] });
  t.match((await ranges).items, [{ metadata: { namespace: 'shop' }, spec }]);

  const created = api.createEvent('shop', { metadata: { generateName: 'orders.' }, reason: 'Recommended' });
  const event = await server.next();
  t.match(event, { method: 'POST', path: '/api/v1/namespaces/shop/events' });
  t.match(JSON.parse(event.body), { metadata: { generateName: 'orders.' }, reason: 'Recommended' });
  event.reply({ metadata: {} }, 201);
  await created;

  const account = api.account();
  const review = await server.next();
  t.match(review, { method: 'POST', path: '/apis/authentication.k8s.io/v1/selfsubjectreviews' });
  review.reply({ status: { userInfo: { username: 'system:serviceaccount:oaas-system:oaas-tuner' } } }, 201);
  t.equal(await account, 'system:serviceaccount:oaas-system:oaas-tuner');
});

t.test("a refusal is one sentence in the API server's words, with its code", async (t) => {
  const list = (api: Api) => api.list(RECORDS);
  const forbidden = await refused(t, list, (asked) => asked.refuse(403, 'deploymentrecords is forbidden\n'));
  t.equal(forbidden.message, 'list deploymentrecords.oaas.io: deploymentrecords is forbidden (HTTP 403)');
  t.equal(forbidden.code, 403);
  const apply = (api: Api) => api.applyStatus(RECORDS, 'shop', 'orders', {});
  const conflict = await refused(t, apply, (asked) => asked.refuse(409, 'Apply failed with 1 conflict: .status.x'));
  t.equal(
    conflict.message,
    'apply the status of deploymentrecords shop/orders: Apply failed with 1 conflict: .status.x (HTTP 409)',
  );
  t.equal(conflict.code, 409);
  t.equal((await refused(t, list, (asked) => asked.refuse(410, 'too old'))).code, 410);
  const event = await refused(
    t,
    (api) => api.createEvent('shop', {}),
    (asked) => asked.refuse(404, 'no namespace'),
  );
  t.equal(event.message, 'create an Event in shop: no namespace (HTTP 404)');
  const ranges = await refused(
    t,
    (api) => api.list(LIMIT_RANGES),
    (asked) => asked.refuse(500, 'no etcd'),
  );
  t.equal(ranges.message, 'list limitranges.: no etcd (HTTP 500)');
  t.equal(
    (
      await refused(
        t,
        (api) => api.account(),
        (asked) => asked.refuse(401, 'Unauthorized'),
      )
    ).code,
    401,
  );
});

t.test('a page of a proxy, an empty answer and nonsense are one sentence too', async (t) => {
  const list = (api: Api) => api.list(RECORDS);
  const page502 = await refused(t, list, (asked) => asked.reply('<html>\n<h1>Bad Gateway</h1>\n', 502));
  t.strictSame([page502.message, page502.code], ['list deploymentrecords.oaas.io: HTTP 502', 502]);
  t.equal(
    (await refused(t, list, (asked) => asked.reply('', 500))).message,
    'list deploymentrecords.oaas.io: HTTP 500',
  );
  const nonsense = await refused(t, list, (asked) => asked.reply('{"items": [', 200));
  t.match(nonsense.message, /^list deploymentrecords\.oaas\.io: .*JSON/);
});

t.test('a server that is not there has the code 0', async (t) => {
  const broken = await refused(
    t,
    (api) => api.list(RECORDS),
    (asked) => asked.reset(),
  );
  t.strictSame([broken.code, /^list deploymentrecords\.oaas\.io: \S/.test(broken.message)], [0, true]);
  const { server, api } = await played(t);
  const { port } = new URL(server.config.getCurrentCluster()?.server ?? '');
  await server.close();
  await t.rejects(api.list(RECORDS), {
    code: 0,
    message: `list deploymentrecords.oaas.io: connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});

t.test('items of a custom resource keep the kind that they carry', async (t) => {
  const { server, api } = await played(t);
  const listed = api.list(RECORDS);
  (await server.next()).reply(page([{ ...stored('a', '1'), kind: 'ClassRuntime' }], '2'));
  t.match((await listed).items, [{ kind: 'ClassRuntime' }]);
});
