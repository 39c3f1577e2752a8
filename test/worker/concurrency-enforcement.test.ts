/** Enforcement of concurrency, with the clock that the test moves and the real admission behind every update. */
import t from 'tap';
import type { Loads } from '../../src/collect/load.ts';
import type { ConcurrencyStatus } from '../../src/domain/concurrency.ts';
import { at, type JsonObject } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { settingsOf } from '../../src/domain/scaling-settings.ts';
import type { LoadWindow, Point } from '../../src/domain/usage.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import {
  deployment,
  measured,
  memoryText,
  type PlayedCluster,
  playCluster,
  record,
  refused,
} from './played-cluster.ts';

const REF = 'KnativeService/orders';

/** A Service with one Revision that runs, and that Revision's Deployment. */
function service(memory = '256Mi/512Mi', settings: { [key: string]: string | number } = {}): JsonObject {
  const { containerConcurrency = 0, ...annotations } = settings;
  const keyed = Object.entries(annotations).map(([key, value]) => [`autoscaling.knative.dev/${key}`, String(value)]);
  // biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
  const { spec } = (deployment('orders', memory) as any).spec.template;
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'orders', namespace: 'shop', labels: { 'oaas.io/owner': 'orders' } },
    spec: {
      template: { metadata: { annotations: Object.fromEntries(keyed) }, spec: { ...spec, containerConcurrency } },
    },
  };
}
const revision = {
  ...deployment('orders-00001-deployment'),
  metadata: {
    name: 'orders-00001-deployment',
    namespace: 'shop',
    labels: { 'serving.knative.dev/service': 'orders', 'serving.knative.dev/revision': 'orders-00001' },
  },
};
const served = (object = service(), wishes: JsonObject = { enforce: true }) =>
  playCluster([record('orders', wishes)], [object], { revisions: [revision] });

/** Near the limit of 512Mi in both windows, and memory itself is as it should be. */
const tight = async () => measured([REF], 100, 200, 475);
const idle = async () => measured([REF], 100, 200, 250);

/** Requests in flight in a pod, and how many wait. */
const load =
  (concurrency: number, queue = 0, points: Point[] = []) =>
  async (): Promise<Loads> => {
    const window: LoadWindow = { concurrency, queue, rate: 100, samples: 720 };
    const one = { short: window, long: window, partial: false, points: { function: points } };
    return { loads: new Map([[`shop/${REF}`, one]]), troubles: new Map(), absent: false };
  };
/** 90 where 70 (of 100) are aimed at: a quarter less. */
const BUSY = { load: load(90) };

const said = (cluster: PlayedCluster) =>
  [...settingsOf(cluster.workload('orders'))].map(([key, value]) => `${key.split('/').at(-1)} ${value}`).join(', ');
const concurrency = async (cluster: PlayedCluster) =>
  at((await cluster.records())[0], 'status', 'nfr_recommendations', 'concurrency') as unknown as ConcurrencyStatus;
const rollout = (cluster: PlayedCluster) => cluster.status('orders')?.rollouts?.[0];
const LOWERED = 'containerConcurrency 100, target 75';

t.test(
  'a step of concurrency is asked for like one of memory, once, and told by status, history and Event',
  async (t) => {
    const cluster = served();
    const report = await cluster.work(tight, NOW, BUSY);
    t.equal(said(cluster), LOWERED);
    t.match(report.rollouts, { asked: 1, underWay: 1 });
    t.match(rollout(cluster), { state: 'Requested', id: '2026-01-31T10:00:00.000Z', tries: 1 });
    await cluster.work(tight, NOW + MINUTE, BUSY);
    t.match(rollout(cluster), { state: 'Done', at: '2026-01-31T10:00:00.000Z' });
    const { history, services, phase } = await concurrency(cluster);
    t.equal(phase, 'Enforcing');
    t.match(services, [{ workload: REF, source: 'applied', applied: { target: 75, containerConcurrency: 100 } }]);
    t.match(
      history.find(({ change }) => change === 'applied'),
      {
        from: { target: 100, containerConcurrency: 0 },
        to: { target: 75, containerConcurrency: 100 },
        outcome: 'rolled out by 2026-01-31T10:01:00.000Z',
      },
    );
    t.equal(cluster.events.filter((event) => event.includes('Applied')).length, 1);
    t.equal(cluster.asked.length, 1);
  },
);

t.test('memory and concurrency that are decided together come with one rollout', async (t) => {
  const cluster = served(service('1Gi/2Gi'));
  // 20Mi a request beside 100Mi: a larger limit costs less than a third more pods, and a bound keeps the next burst out.
  const points = Array.from({ length: 90 }, (_, index) => ({ requests: index + 5, bytes: (200 + 20 * index) * Mi }));
  await cluster.work(async () => measured([REF], 400, 800, 2040), NOW, { load: load(90, 0, points) });
  t.strictSame(
    [memoryText(cluster.workload('orders')), said(cluster)],
    ['960Mi/2256Mi', 'containerConcurrency 100, target 100'],
  );
  t.equal(cluster.rolled.length, 1, 'one new Revision');
  await cluster.work(async () => measured([REF], 400, 800, 2040), NOW + MINUTE, { load: load(90, 0, points) });
  t.equal(cluster.rolled.length, 1);
  t.match(rollout(cluster), { state: 'Done' });
});

t.test('one step a cooldown, none without a reason, and metadata moves nothing', async (t) => {
  const cluster = served();
  // As many pods as are needed for the load to stay over the target: the worst that can be asked of the rules.
  const times: number[] = [];
  for (let minute = 0; minute < 600; minute += 5) {
    const before = cluster.rolled.length;
    const target = Number(/target ([0-9.]+)/.exec(said(cluster))?.[1] ?? 100);
    await cluster.work(tight, NOW + minute * MINUTE, { load: load(minute < 300 ? target : 0.6 * target) });
    for (const key of ['a', 'b']) {
      cluster.change('orders', ({ metadata }) => {
        metadata.annotations[key] = String(minute);
      });
    }
    t.ok(cluster.rolled.length - before <= 1);
    if (cluster.rolled.length > before) times.push(minute);
  }
  t.ok(
    times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) >= 30),
    `${times}`,
  );
  t.ok(times.length > 2 && (times.at(-1) ?? 0) < 300, 'and it ends with its reason');
});

t.test('paused, it waits and says so; the pause ends, and it goes', async (t) => {
  const paused = service();
  Object.assign(paused.metadata as JsonObject, { annotations: { 'tuning.oaas.io/paused': 'true' } });
  const cluster = served(paused);
  await cluster.work(tight, NOW, BUSY);
  t.strictSame([cluster.asked, said(cluster)], [[], 'containerConcurrency 0']);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'paused' });
  cluster.change('orders', ({ metadata }) => {
    metadata.annotations = {};
  });
  await cluster.work(tight, NOW + MINUTE, BUSY);
  t.equal(said(cluster), LOWERED);
});

t.test('without the gate or `enforce` it is recommended, and nothing is asked for', async (t) => {
  for (const [wishes, gates] of [
    [{ enforce: false }, { enforcement: true, enabledByDefault: true }],
    [{ enforce: true }, { enforcement: false, enabledByDefault: true }],
  ] as const) {
    const cluster = served(service(), wishes);
    await cluster.work(tight, NOW, { ...BUSY, gates });
    t.strictSame([cluster.asked, said(cluster)], [[], 'containerConcurrency 0']);
    t.match((await concurrency(cluster)).services, [{ source: 'recommendation', recommended: { target: 75 } }]);
  }
});

t.test('strategy admission: it comes with the next change of the template', async (t) => {
  const cluster = served();
  await cluster.work(tight, NOW, { ...BUSY, strategy: 'admission' });
  t.strictSame(cluster.asked, []);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'next-template-change' });
  cluster.change('orders', ({ spec }) => {
    spec.template.metadata.labels = { version: '2' };
  });
  t.equal(said(cluster), LOWERED);
});

t.test('the webhook is not called: three requests, then silence and a person is told', async (t) => {
  const cluster = served();
  cluster.webhook = 'deaf';
  for (let minute = 0; minute < 10; minute += 1) await cluster.work(tight, NOW + minute * MINUTE, BUSY);
  t.equal(cluster.asked.length, 3);
  t.match(rollout(cluster), { state: 'Failed', tries: 3 });
  t.equal(cluster.events.filter((event) => event.includes('RolloutFailed')).length, 1);
});

t.test('a template that names its revision is asked for nothing, and the status says why', async (t) => {
  const named = service();
  Object.assign(at(named, 'spec', 'template', 'metadata') as JsonObject, { name: 'orders-one' });
  const cluster = served(named);
  await cluster.work(tight, NOW, BUSY);
  t.strictSame(cluster.asked, []);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'not-injectable', message: /named-revision/ });
});

t.test('a Service that stops being available takes the step back, at once and once', async (t) => {
  const cluster = served();
  await cluster.work(tight, NOW, BUSY);
  await cluster.work(tight, NOW + MINUTE, BUSY);
  const condition = {
    type: 'ConfigurationsReady',
    status: 'False',
    reason: 'RevisionFailed',
    message: 'no pod is ready',
  };
  cluster.set('orders', (object) => {
    object.status = { conditions: [{ ...condition, lastTransitionTime: '2026-01-31T10:02:00Z' }] };
  });
  await cluster.work(tight, NOW + 2 * MINUTE, BUSY);
  t.equal(said(cluster), 'containerConcurrency 0, target 100');
  t.equal(cluster.asked.length, 2);
  t.match((await concurrency(cluster)).services[0]?.applied, { cooldown_seconds: 3600, taken_back: true });
  t.match((await concurrency(cluster)).history[0], { change: 'taken-back', rationale: /no pod is ready/ });
  t.ok(cluster.events.some((event) => event.includes('TakenBack')));
  for (const minute of [3, 10, 30, 59]) await cluster.work(tight, NOW + minute * MINUTE, BUSY);
  t.equal(cluster.asked.length, 2, 'and its cooldown is twice as long');
});

t.test('a raise is not asked for on data that can be doubted', async (t) => {
  const cluster = served(service('256Mi/512Mi', { target: 50 }));
  await cluster.work(idle, NOW, { load: load(20, 5) });
  t.match((await concurrency(cluster)).services[0]?.applied, { target: 60 });
  t.equal(cluster.asked.length, 1);
  const doubted = served(service('256Mi/512Mi', { target: 50 }));
  const partial = async () => {
    const { loads, ...rest } = await load(20, 5)();
    return { ...rest, loads: new Map([...loads].map(([key, one]) => [key, { ...one, partial: true }])) };
  };
  await doubted.work(idle, NOW, { load: partial });
  t.match(said(doubted), 'target 50');
});

const AWAY = {
  load: async () => {
    throw new Error('Prometheus is away');
  },
};
/** Decided under a strategy that asks for nothing, so that it waits. */
async function waiting(usage: Parameters<PlayedCluster['work']>[0], wanted: Loads, settings = {}) {
  const cluster = served(service('256Mi/512Mi', settings));
  await cluster.work(usage, NOW, { load: async () => wanted, strategy: 'admission' });
  return cluster;
}

t.test('nor is one that waits asked for while requests cannot be read', async (t) => {
  const raise = await load(20, 5)();
  const cluster = await waiting(idle, raise, { target: 50 });
  await cluster.work(idle, NOW + MINUTE, AWAY);
  t.strictSame(cluster.asked, []);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'doubtful-data' });
  await cluster.work(idle, NOW + 2 * MINUTE, { load: async () => raise });
  t.match(said(cluster), 'target 60');
});

t.test('the pods that a lower target brings are counted also while requests cannot be read', async (t) => {
  const cluster = await waiting(tight, await BUSY.load());
  const status = { hard: { 'limits.memory': '4Gi' }, used: { 'limits.memory': '3073Mi' } };
  cluster.surroundings.quotas = [{ metadata: { namespace: 'shop', name: 'q' }, status }];
  await cluster.work(tight, NOW + MINUTE, AWAY);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'quota' });
  cluster.surroundings.quotas = [];
  await cluster.work(tight, NOW + 2 * MINUTE, AWAY);
  t.equal(said(cluster), LOWERED, 'fewer requests may come');
});

t.test('memory does not fall after a raise, though requests cannot be read any more', async (t) => {
  const cluster = served(service('1Gi/2Gi', { target: 50 }));
  await cluster.work(idle, NOW, { load: load(20, 5) });
  t.match(said(cluster), 'target 60');
  const recommended = () => cluster.status('orders')?.containers[0]?.recommended;
  for (const minute of [1, 29]) await cluster.work(idle, NOW + minute * MINUTE, AWAY);
  t.equal(recommended(), undefined);
  await cluster.work(idle, NOW + 30 * MINUTE, AWAY);
  t.match(recommended(), { limit: '368Mi' }, 'for a cooldown');
});

t.test('a ResourceQuota without room for the pods that a lower target brings: it waits', async (t) => {
  const cluster = served();
  const hard = { 'limits.memory': '4Gi' };
  // One pod of 512Mi becomes one and a third: two beside the one that runs.
  const quota = (used: string) => ({
    metadata: { namespace: 'shop', name: 'q' },
    status: { hard, used: { 'limits.memory': used } },
  });
  cluster.surroundings.quotas = [quota('3073Mi')];
  await cluster.work(tight, NOW, BUSY);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'quota' });
  cluster.surroundings.quotas = [quota('3Gi')];
  await cluster.work(tight, NOW + MINUTE, BUSY);
  t.equal(said(cluster), LOWERED);
});

t.test("a role that may not read Knative's configuration: memory goes on alone, and the status says so", async (t) => {
  const cluster = served();
  cluster.knativeConfig = async () => {
    throw refused(403, 'configmaps "config-defaults" is forbidden');
  };
  await cluster.work(idle, NOW, BUSY);
  t.match(memoryText(cluster.workload('orders')), '240Mi/368Mi');
  t.match(await concurrency(cluster), { phase: 'Degraded', message: /"config-defaults" is forbidden/ });
  cluster.knativeConfig = async () => {
    throw refused(500, 'etcd is slow');
  };
  await t.rejects(cluster.work(idle, NOW + MINUTE, BUSY), { code: 500 }, 'as with every other list');
});
