import t, { type Test } from 'tap';
import type { MemoryStatus } from '../../src/domain/record.ts';
import { type Api, createApi } from '../../src/kube/api.ts';
import { clusterOf } from '../../src/worker/cluster.ts';
import { page, playApiServer } from '../kube/played-api-server.ts';
import { record } from './played-cluster.ts';

const RECORDS = { group: 'oaas.io', version: 'v1alpha1', plural: 'classruntimes' };

async function played(t: Test, knative = true) {
  const server = await playApiServer();
  t.teardown(server.close);
  return { server, cluster: clusterOf(createApi(server.config), RECORDS, knative) };
}

const named = (name: string) => page([{ metadata: { name } }], '1');

t.test('the workloads are the Deployments and Knative Services that carry the label', async (t) => {
  const { server, cluster } = await played(t);
  const workloads = cluster.workloads();
  const deployments = await server.next();
  t.match(deployments, { path: '/apis/apps/v1/deployments', query: { labelSelector: 'oaas.io/owner' } });
  deployments.reply(named('plain'));
  const services = await server.next();
  t.match(services, { path: '/apis/serving.knative.dev/v1/services', query: { labelSelector: 'oaas.io/owner' } });
  services.reply(named('knative'));
  t.match(await workloads, [{ metadata: { name: 'plain' } }, { metadata: { name: 'knative' } }]);
});

t.test('a cluster without Knative is no error; one that refuses to say is', async (t) => {
  const { server, cluster } = await played(t);
  const without = cluster.workloads();
  (await server.next()).reply(named('plain'));
  (await server.next()).refuse(404, 'the server could not find the requested resource');
  t.equal((await without).length, 1);

  const forbidden = cluster.workloads().catch((error) => error);
  (await server.next()).reply(named('plain'));
  (await server.next()).refuse(403, 'services.serving.knative.dev is forbidden');
  t.equal((await forbidden).code, 403);
});

t.test('an API server that refuses a list is asked for no other', async (t) => {
  const { server, cluster } = await played(t);
  const failing = cluster.workloads().catch((error) => error);
  (await server.next()).refuse(500, 'etcd is slow');
  t.equal((await failing).code, 500);
  const after = cluster.records();
  const next = await server.next();
  t.match(next.path, 'classruntimes');
  next.reply(page([], '2'));
  await after;
});

t.test('with Knative switched off it is not asked about', async (t) => {
  const { server, cluster } = await played(t, false);
  const workloads = cluster.workloads();
  (await server.next()).reply(named('plain'));
  t.equal((await workloads).length, 1);
  t.strictSame(await cluster.revisionDeployments(), []);
});

t.test('the Deployments of Revisions are found by the label that Knative gives them', async (t) => {
  const { server, cluster } = await played(t);
  const revisions = cluster.revisionDeployments();
  const asked = await server.next();
  t.equal(asked.query.labelSelector, 'serving.knative.dev/service');
  asked.reply(named('orders-00001-deployment'));
  t.equal((await revisions).length, 1);
});

t.test('of the status only our part is written, and nothing of the spec', async (t) => {
  const { server, cluster } = await played(t);
  const orders = { ...record('orders'), kind: 'ClassRuntime', status: { conditions: [{ type: 'Ready' }] } };
  const memory = { phase: 'NoData' as const, message: 'x', workloads: 0, containers: [], history: [] };
  const written = cluster.writeStatus(orders, memory);
  const asked = await server.next();
  t.equal(asked.path, '/apis/oaas.io/v1alpha1/namespaces/shop/classruntimes/orders/status');
  t.strictSame(JSON.parse(asked.body), {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'ClassRuntime',
    metadata: { namespace: 'shop', name: 'orders' },
    status: { nfr_recommendations: { memory } },
  });
  asked.reply({});
  await written;
});

t.test('a write names the version that was read, and a record can be read again', async (t) => {
  const { server, cluster } = await played(t);
  const orders = { ...record('orders'), metadata: { namespace: 'shop', name: 'orders', resourceVersion: '41' } };
  const written = cluster.writeStatus(orders, {
    phase: 'NoData',
    message: '',
    workloads: 0,
    containers: [],
    history: [],
  });
  const asked = await server.next();
  t.strictSame(JSON.parse(asked.body).metadata, { namespace: 'shop', name: 'orders', resourceVersion: '41' });
  asked.refuse(409, 'Operation cannot be fulfilled: the object has been modified');
  await t.rejects(written, { code: 409 });

  const again = cluster.reread(orders);
  const read = await server.next();
  t.match(read, { method: 'GET', path: '/apis/oaas.io/v1alpha1/namespaces/shop/classruntimes/orders' });
  const now = { ...orders, metadata: { ...orders.metadata, resourceVersion: '42' } };
  read.reply(now as never);
  t.strictSame(await again, now);
});

t.test('a request for a rollout is one annotation, applied as our own', async (t) => {
  const { server, cluster } = await played(t);
  const kinds = {
    'apps/v1': ['Deployment', 'deployments'],
    'serving.knative.dev/v1': ['Service', 'services'],
  } as const;
  for (const [apiVersion, [kind, plural]] of Object.entries(kinds)) {
    const workload = { apiVersion, kind, metadata: { name: 'orders', namespace: 'shop' }, spec: { replicas: 3 } };
    const requested = cluster.requestRollout(workload, 'now');
    const asked = await server.next();
    t.match(asked, {
      method: 'PATCH',
      path: `/apis/${apiVersion}/namespaces/shop/${plural}/orders`,
      query: { fieldManager: 'oaas-tuner', force: 'true' },
      contentType: 'application/apply-patch+yaml',
    });
    const metadata = { namespace: 'shop', name: 'orders', annotations: { 'tuning.oaas.io/rollout': 'now' } };
    t.strictSame(JSON.parse(asked.body), { apiVersion, kind, metadata });
    asked.reply({});
    await requested;
  }
});

t.test('an Event points to its record', async (t) => {
  const { server, cluster } = await played(t);
  const orders = { ...record('orders'), metadata: { namespace: 'shop', name: 'orders', uid: 'u-1' } };
  const emitted = cluster.emit(orders, { type: 'Normal', reason: 'Recommended', message: 'more' });
  const asked = await server.next();
  t.equal(asked.path, '/api/v1/namespaces/shop/events');
  t.match(JSON.parse(asked.body), {
    metadata: { generateName: 'orders.', namespace: 'shop' },
    involvedObject: {
      apiVersion: 'oaas.io/v1alpha1',
      kind: 'DeploymentRecord',
      namespace: 'shop',
      name: 'orders',
      uid: 'u-1',
    },
    ...{ type: 'Normal', reason: 'Recommended', message: 'more', count: 1 },
    source: { component: 'oaas-tuner' },
  });
  asked.reply({}, 201);
  await emitted;
});

t.test('what stands around the workloads; VerticalPodAutoscalers only where the cluster serves them', async (t) => {
  const { server, cluster } = await played(t);
  for (const served of [true, false]) {
    const around = cluster.around();
    for (let calls = 0; calls < 4; calls += 1) {
      const asked = await server.next();
      const name = asked.path.split('/').at(-1) ?? '';
      t.equal(asked.query.labelSelector, undefined);
      if (name === 'verticalpodautoscalers' && !served) asked.refuse(404, 'the server could not find it');
      else asked.reply(named(name));
    }
    t.match(await around, {
      namespaces: [{ metadata: { name: 'namespaces' } }],
      autoscalers: [{ metadata: { name: 'horizontalpodautoscalers' } }],
      verticalAutoscalers: served ? [{ metadata: { name: 'verticalpodautoscalers' } }] : undefined,
      quotas: [{ metadata: { name: 'resourcequotas' } }],
    });
  }
});

t.test('a VerticalPodAutoscaler is written in two parts, as the API server takes it, and removed once', async (t) => {
  const { server, cluster } = await played(t);
  const path = '/apis/autoscaling.k8s.io/v1/namespaces/shop/verticalpodautoscalers/oaas-tuner-orders';
  const head = { apiVersion: 'autoscaling.k8s.io/v1', kind: 'VerticalPodAutoscaler' };
  const metadata = { namespace: 'shop', name: 'oaas-tuner-orders' };
  const vpa = {
    ...head,
    metadata: { ...metadata, resourceVersion: '7', labels: { a: 'b' } },
    spec: { s: 1 },
    status: { t: 2 },
  };
  const written = cluster.writeVpa(vpa);
  const spec = await server.next();
  t.match(spec, { method: 'PATCH', path, query: { fieldManager: 'oaas-tuner', force: 'true' } });
  t.strictSame(JSON.parse(spec.body), { ...head, metadata: vpa.metadata, spec: { s: 1 } });
  spec.reply({});
  const status = await server.next();
  t.equal(status.path, `${path}/status`);
  t.strictSame(JSON.parse(status.body), { ...head, metadata, status: { t: 2 } });
  status.reply({});
  await written;

  for (const code of [200, 404]) {
    const removed = cluster.removeVpa(vpa);
    const asked = await server.next();
    t.match(asked, { method: 'DELETE', path });
    t.strictSame(JSON.parse(asked.body), { preconditions: { resourceVersion: '7' } });
    if (code === 200) asked.reply({});
    else asked.refuse(404, 'not found');
    await removed;
  }
  const refused = cluster.removeVpa(vpa);
  (await server.next()).refuse(403, 'forbidden');
  await t.rejects(refused, { code: 403 });
});

t.test('records and workloads are held; what pods and autoscalers change all the time is listed', async (t) => {
  const [asked, held]: [string[], string[]] = [[], []];
  const noting = (where: string[]) =>
    ({
      list: async ({ plural }: { plural: string }) => {
        where.push(plural);
        return { items: [], resourceVersion: '1' };
      },
      apply: async () => where.push('apply'),
      applyStatus: async () => where.push('applyStatus'),
    }) as unknown as Api;
  const cluster = clusterOf(noting(asked), RECORDS, true, noting(held));
  await cluster.records();
  await cluster.workloads();
  await cluster.revisionDeployments();
  await cluster.limitRanges();
  await cluster.around();
  await cluster.writeStatus(record('orders'), {} as MemoryStatus);
  await cluster.requestRollout({ metadata: { namespace: 'shop', name: 'orders' } }, 'id');
  t.strictSame(held, ['classruntimes', 'deployments', 'services', 'applyStatus', 'apply']);
  t.strictSame(asked, [
    ...['deployments', 'limitranges', 'namespaces', 'horizontalpodautoscalers'],
    ...['verticalpodautoscalers', 'resourcequotas'],
  ]);
});
