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
  const spec = { limits: [{ type: 'Container', max: { memory: '1Gi' }, default: { memory: '512Mi' } }] };
  t.match(list.query, { limit: '500' });
  const one = (name: string) => ({ metadata: { name, namespace: 'shop' }, spec });
  list.reply({ kind: 'LimitRangeList', metadata: { continue: 'x' }, items: [one('a')] });
  const second = await server.next();
  t.match(second.query, { limit: '500', continue: 'x' });
  second.reply({ kind: 'LimitRangeList', metadata: {}, items: [one('b')] });
  const items = ['a', 'b'].map((name) => ({ apiVersion: 'v1', kind: 'LimitRange', ...one(name) }));
  t.strictSame((await ranges).items, items, 'in pages, too, and as the server spells them');

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

t.test('one object is read by its name', async (t) => {
  const { server, api } = await played(t);
  const read = api.get(RECORDS, 'shop', 'orders');
  const asked = await server.next();
  t.match(asked, { method: 'GET', path: '/apis/oaas.io/v1alpha1/namespaces/shop/deploymentrecords/orders' });
  asked.reply(stored('orders', '7'));
  t.strictSame(await read, stored('orders', '7'));
  const gone = await refused(
    t,
    (api) => api.get(RECORDS, 'shop', 'orders'),
    (asked) => asked.refuse(404, 'not found'),
  );
  t.equal(gone.code, 404);
});

t.test('a server that asks for patience says for how long', async (t) => {
  const retryAfter = async (header?: string) =>
    (
      await refused(
        t,
        (api) => api.createEvent('shop', {}),
        (asked) => asked.refuse(429, 'too many requests', header === undefined ? {} : { 'retry-after': header }),
      )
    ).retryAfter;
  t.equal(await retryAfter('7'), 7);
  t.equal(await retryAfter(), undefined);
  t.equal(await retryAfter('Wed, 21 Oct 2026 07:28:00 GMT'), undefined);
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

t.test('no call waits for ever: for an answer that does not come, or comes by halves', async (t) => {
  const calls: [(api: Api) => Promise<unknown>, string][] = [
    [(api) => api.list(RECORDS), 'list deploymentrecords.oaas.io'],
    [(api) => api.applyStatus(RECORDS, 'shop', 'orders', {}), 'apply the status of deploymentrecords shop/orders'],
    [(api) => api.createEvent('shop', {}), 'create an Event in shop'],
    [(api) => api.list({ group: '', version: 'v1', plural: 'limitranges' }), 'list limitranges.'],
    [(api) => api.account(), 'ask who we are'],
  ];
  const unanswered = async ([call, what]: (typeof calls)[number]) => {
    // Long enough that a call is sent before it is given up, also on a busy machine.
    const server = await playApiServer(2_000);
    t.teardown(server.close);
    const api = createApi(server.config);
    const expected = { code: 0, message: new RegExp(`^${what.replaceAll('.', '[.]')}: no answer within \\d+ s$`) };
    await t.rejects(call(api), expected);
    await server.next();
    const halfway = t.rejects(call(api), expected);
    (await server.next()).open();
    await halfway;
  };
  await Promise.all(calls.map(unanswered));
});

t.test('connections are used again', async (t) => {
  const { server, api } = await played(t);
  for (let count = 0; count < 10; count += 1) {
    const listed = api.list(RECORDS);
    (await server.next()).reply(page([], '1'));
    await listed;
  }
  // The next call may begin a moment before the last one's connection is free.
  t.ok(server.connections() <= 2, `${server.connections()} connections`);
});

t.test('items of a custom resource keep the kind that they carry', async (t) => {
  const { server, api } = await played(t);
  const listed = api.list(RECORDS);
  (await server.next()).reply(page([{ ...stored('a', '1'), kind: 'ClassRuntime' }], '2'));
  t.match((await listed).items, [{ kind: 'ClassRuntime' }]);
});
