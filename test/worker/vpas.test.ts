/** The strategy `vpa` from the worker's side: what a cycle says to VPA, and when it takes it back. */
import t from 'tap';
import { at, type JsonObject } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { deployment, measured, playCluster, record, refused } from './played-cluster.ts';

const NOW = Date.parse('2026-01-31T10:00:00Z');
const MINUTE = 60_000;
const usage = async () => measured(['Deployment/orders']);
const vpa = { strategy: 'vpa' } as const;
const target = (object?: JsonObject) =>
  at(object, 'status', 'recommendation', 'containerRecommendations', 0, 'target', 'memory');
const NAME = 'oaas-tuner-orders';

t.test('an enforced record: VPA is told once, the status says what it makes of it', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  await cluster.work(usage, NOW, vpa);
  t.equal(target(cluster.standing.get(NAME)), '368Mi');
  t.match(cluster.status('orders'), { phase: 'Enforcing', message: 'VPA applies the values of 1 of 1 containers.' });
  t.match(cluster.status('orders')?.containers[0], {
    current: { request: '512Mi', limit: '1Gi' },
    applied: { request: '368Mi', limit: '720Mi' },
    source: 'applied',
    rationale: /through VPA 368Mi\/736Mi, in the template's proportion 512Mi\/1Gi$/,
  });
  await cluster.work(usage, NOW + MINUTE, vpa);
  t.strictSame(cluster.writes, [NAME, 'orders'], 'and not again while nothing changes');
});

t.test('the next step starts at what was applied: the template never follows', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  const seen: unknown[] = [];
  for (let half = 0; half < 6; half += 1) {
    await cluster.work(usage, NOW + half * 31 * MINUTE, vpa);
    seen.push(target(cluster.standing.get(NAME)));
  }
  // 512Mi − 30 % → 368Mi − 30 % → 272Mi → 224Mi, which is recommended.
  t.strictSame(seen, ['368Mi', '272Mi', '224Mi', '224Mi', '224Mi', '224Mi']);
  t.match(cluster.status('orders')?.containers[0]?.applied, { request: '224Mi', limit: '336Mi' });
});

t.test(
  'an OOM kill raises the limit at once, and with it the request, as VPA cannot do one without the other',
  async (t) => {
    const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
    await cluster.work(usage, NOW, vpa);
    // In the pods 368Mi/736Mi. Counted as 883.2Mi, recommended 976Mi; 720Mi + 30 % → 928Mi; × 512 / 1024 = 464Mi.
    const killed = async () => measured(['Deployment/orders'], 110, 180, 210, { oomLimit: 736 * Mi });
    await cluster.work(killed, NOW + MINUTE, vpa);
    t.match(cluster.status('orders')?.containers[0]?.applied, { limit: '928Mi' });
    t.equal(target(cluster.standing.get(NAME)), '464Mi');
  },
);

t.test('a template that still holds values of ours may get the manifest’s back with the next pod', async (t) => {
  const book = { request: { set: '224Mi', was: '400Mi' }, limit: { set: '448Mi', was: '420Mi' } };
  const annotations = { 'tuning.oaas.io/applied': JSON.stringify({ function: book }) };
  const orders = deployment('orders', '224Mi/448Mi', { labels: { 'oaas.io/owner': 'orders' }, annotations });
  const cluster = playCluster([record('orders', { enforce: true })], [orders]);
  await cluster.work(usage, NOW, vpa);
  // 224Mi/336Mi is applied; in a pod of the manifest only 336Mi × 400 / 420 = 320Mi gives that limit.
  t.match(cluster.status('orders')?.containers[0]?.applied, { request: '224Mi', limit: '336Mi' });
  t.equal(target(cluster.standing.get(NAME)), '320Mi');
});

t.test('it goes with its reason', async (t) => {
  const ways: [string, Parameters<ReturnType<typeof playCluster>['work']>[2]][] = [
    ['another strategy', { strategy: 'rollout' }],
    ['another strategy', { strategy: 'admission' }],
    ['the gate closes', { ...vpa, gates: { enforcement: false, enabledByDefault: true } }],
    ['tuning is off', { ...vpa, gates: { enforcement: true, enabledByDefault: false } }],
  ];
  for (const [why, parts] of ways) {
    const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
    await cluster.work(usage, NOW, vpa);
    t.equal(cluster.standing.size, 1);
    await cluster.work(usage, NOW + MINUTE, parts);
    t.equal(cluster.standing.size, 0, why);
  }
});

t.test('the record enforces no more, or is gone; the workload is gone, or leaves the record', async (t) => {
  const enforced = record('orders', { enforce: true });
  const workload = deployment('orders', '512Mi/1Gi');
  const ways: [string, Parameters<typeof playCluster>][] = [
    ['enforces no more', [[record('orders', { enforce: false })], [workload]]],
    ['the record is gone', [[], [workload]]],
    ['the workload is gone', [[enforced], []]],
    ['another record has it', [[enforced], [deployment('orders', '512Mi/1Gi', { labels: { 'oaas.io/owner': 'x' } })]]],
  ];
  for (const [why, [records, workloads]] of ways) {
    const before = playCluster([enforced], [workload]);
    await before.work(usage, NOW, vpa);
    const after = playCluster(records, workloads);
    for (const [name, object] of before.standing) after.standing.set(name, object);
    await after.work(usage, NOW + MINUTE, vpa);
    t.equal(after.standing.size, 0, why);
  }
});

t.test('what others made is not touched, whatever it is called', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders')]);
  const theirs = { metadata: { namespace: 'shop', name: 'orders', labels: { team: 'shop' } }, spec: {} };
  cluster.standing.set('orders', theirs);
  await cluster.work(usage, NOW, { strategy: 'rollout' });
  t.strictSame([...cluster.standing.values()], [theirs]);
});

t.test('somebody changed ours: it is put right', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  await cluster.work(usage, NOW, vpa);
  const ours = cluster.standing.get(NAME) as JsonObject;
  const metadata = { ...(ours.metadata as JsonObject), resourceVersion: '7' };
  cluster.standing.set(NAME, {
    ...ours,
    metadata,
    spec: { ...(ours.spec as JsonObject), updatePolicy: { updateMode: 'Off' } },
  });
  await cluster.work(usage, NOW + MINUTE, vpa);
  t.equal(at(cluster.standing.get(NAME), 'spec', 'updatePolicy', 'updateMode'), 'InPlaceOrRecreate');
  t.equal(at(cluster.standing.get(NAME), 'metadata', 'resourceVersion'), '7', 'as it was when that was decided');
});

t.test('Prometheus is away: what VPA was told stands', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  await cluster.work(usage, NOW, vpa);
  await cluster.work(() => Promise.reject(new Error('no answer')), NOW + MINUTE, vpa);
  t.equal(cluster.status('orders')?.phase, 'Degraded');
  t.equal(target(cluster.standing.get(NAME)), '368Mi');
});

t.test('a cluster without VPA: recommendations alone, and the record says so', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders')], { vpa: false });
  await cluster.work(usage, NOW, vpa);
  t.match(cluster.status('orders'), { phase: 'Degraded', message: /does not serve autoscaling.k8s.io\/v1/ });
  t.match(cluster.status('orders')?.containers[0], { recommended: { request: '224Mi' }, source: 'recommendation' });
  t.equal(cluster.status('orders')?.containers[0]?.applied, undefined);
  await cluster.work(usage, NOW + MINUTE, { strategy: 'rollout' });
  t.equal(cluster.status('orders')?.phase, 'Enforcing', 'under another strategy nobody misses it');
});

t.test('VPA is refused: the record tells in whose words, and is written all the same', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders')]);
  cluster.writeVpa = () => Promise.reject(new Error('updateMode: Unsupported value'));
  const report = await cluster.work(usage, NOW, vpa);
  t.match(cluster.status('orders'), {
    phase: 'Degraded',
    message: 'Applied values do not reach VPA: updateMode: Unsupported value.',
  });
  t.equal(report.failed, 0);
});

t.test('somebody was faster with the VPA: the next cycle decides anew', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders')]);
  cluster.writeVpa = () => Promise.reject(refused(409, 'the object has been modified'));
  t.match(await cluster.work(usage, NOW, vpa), { conflicts: 1, failed: 0 });
  t.equal(cluster.status('orders'), undefined);
});

t.test('a native sidecar: recommended for, not applied, and the reason says why', async (t) => {
  const object = deployment('orders');
  const spec = at(object, 'spec', 'template', 'spec') as JsonObject;
  spec.initContainers = [{ ...(spec.containers as JsonObject[])[0], restartPolicy: 'Always' }];
  spec.containers = [{ name: 'other' }];
  const cluster = playCluster([record('orders', { enforce: true })], [object]);
  await cluster.work(usage, NOW, vpa);
  const found = cluster.status('orders')?.containers.find(({ name }) => name === 'function');
  t.match(found, { source: 'recommendation', rationale: /VPA does not reach native sidecars/ });
  t.equal(cluster.standing.size, 0);
});

t.test("a LimitRange's default limit belongs to the template that pods are made from", async (t) => {
  const limits = [{ type: 'Container', default: { memory: '300Mi' }, defaultRequest: { memory: '300Mi' } }];
  const limitRanges = [{ metadata: { namespace: 'shop', name: 'x' }, spec: { limits } }];
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '-/-')], { limitRanges });
  await cluster.work(usage, NOW, vpa);
  // 224Mi/336Mi is decided; request = limit in the pods, so that only 336Mi undercuts neither.
  t.equal(target(cluster.standing.get(NAME)), '336Mi');
});

t.test("a Knative Service: the newest Revision's Deployment is meant", async (t) => {
  const service = {
    ...deployment('orders', '512Mi/1Gi'),
    ...{ apiVersion: 'serving.knative.dev/v1', kind: 'Service' },
    status: { latestCreatedRevisionName: 'orders-00002' },
  };
  const revisions = ['orders-00001', 'orders-00002'].map((revision) => {
    const labels = { 'serving.knative.dev/service': 'orders', 'serving.knative.dev/revision': revision };
    return { metadata: { namespace: 'shop', name: `${revision}-deployment`, labels } };
  });
  const cluster = playCluster([record('orders', { enforce: true })], [service], { revisions });
  await cluster.work(async () => measured(['KnativeService/orders']), NOW, vpa);
  t.strictSame([...cluster.standing.keys()], ['oaas-tuner-orders-00002-deployment']);
});
