/** Enforcement from cycle to cycle, with a clock that the test moves and the real admission behind every update. */
import t from 'tap';
import type { Json } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { edited } from '../admit/objects.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import { deployment, measured, memoryText, type PlayedCluster, playCluster, record } from './played-cluster.ts';

const HOUR = 60 * MINUTE;
const ENFORCE = { enforce: true };
const usage = async () => measured(['Deployment/orders']);
const orders = (memory = '512Mi/1Gi', more: Parameters<typeof deployment>[2] = {}) =>
  playCluster([record('orders', ENFORCE)], [deployment('orders', memory, more)]);
const rollout = (cluster: PlayedCluster, name = 'orders') => cluster.status(name)?.rollouts?.[0];
const applied = (cluster: PlayedCluster) => cluster.status('orders')?.containers[0]?.applied;
/** The audit trail's last line about applied values. */
const changed = (cluster: PlayedCluster) =>
  cluster.status('orders')?.history.find(({ change }) => change === 'applied');
const PAUSE = (object: { metadata: { annotations?: object } }) => {
  object.metadata.annotations = { ...object.metadata.annotations, 'tuning.oaas.io/paused': 'true' };
};
const UNPAUSE = (object: { metadata: { annotations?: object } }) => {
  object.metadata.annotations = {};
};

t.test('a step is asked for in the cycle that decides it, after the status that says so', async (t) => {
  const cluster = orders();
  const report = await cluster.work(usage, NOW);
  t.strictSame(cluster.rolled, ['orders 512Mi/1Gi -> 368Mi/720Mi']);
  t.match(rollout(cluster), { state: 'Requested', id: '2026-01-31T10:00:00.000Z', tries: 1 });
  t.match(report.rollouts, { asked: 1, underWay: 1 });
  await cluster.work(usage, NOW + MINUTE);
  t.match(rollout(cluster), { state: 'Done', at: '2026-01-31T10:00:00.000Z' });
  t.match(changed(cluster), {
    change: 'applied',
    outcome: 'rolled out by 2026-01-31T10:01:00.000Z',
  });
  t.match(cluster.status('orders'), {
    phase: 'Enforcing',
    message: 'What runs is what was applied, or fits what is used.',
  });
});

t.test('one rollout a step, one step a cooldown, none without a reason: two days of a changing load', async (t) => {
  const cluster = orders('2Gi/4Gi');
  /** MiB in use: half a day high, half a day low. */
  const used = (minute: number) => (Math.floor(minute / 720) % 2 === 0 ? 100 : 600);
  const times: number[] = [];
  for (let minute = 0; minute < 2 * 1440; minute += 1) {
    // The long window remembers six hours.
    const recent = [minute, minute - 120, minute - 240, minute - 360].map((one) => used(Math.max(0, one)));
    const max = Math.max(...recent);
    const before = cluster.rolled.length;
    await cluster.work(async () => measured(['Deployment/orders'], max * 0.6, max * 0.9, max), NOW + minute * MINUTE);
    t.ok(cluster.rolled.length - before <= 1);
    if (cluster.rolled.length > before) times.push(minute);
    const [request = 0, limit = 0] = memoryText(cluster.workload('orders'))
      .split('/')
      .map((one) => Number.parseFloat(one) * (one.endsWith('Gi') ? 1024 : 1));
    if (minute % 720 > 1)
      t.ok(request >= max * 0.9 && limit >= max, `minute ${minute}: ${request}/${limit} for ${max}`);
  }
  const steps = cluster.events.filter((event) => event.includes('Applied'));
  t.equal(cluster.rolled.length, steps.length, 'one per step');
  t.ok(
    times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) >= 30),
    `${times}`,
  );
  t.ok(cluster.rolled.length >= 8 && cluster.rolled.length <= 40, cluster.rolled.join('\n'));
});

t.test('on steady usage it arrives and then rolls no more', async (t) => {
  const cluster = orders('2Gi/4Gi');
  for (let minute = 0; minute < 1440; minute += 5) await cluster.work(usage, NOW + minute * MINUTE);
  t.equal(memoryText(cluster.workload('orders')), '224Mi/336Mi');
  const { length } = cluster.rolled;
  for (let minute = 1440; minute < 2 * 1440; minute += 5) await cluster.work(usage, NOW + minute * MINUTE);
  t.equal(cluster.rolled.length, length);
});

t.test("a person's apply of the old manifest after each step changes nothing", async (t) => {
  const cluster = orders('1Gi/2Gi');
  for (let step = 0; step < 10; step += 1) {
    await cluster.work(usage, NOW + step * 30 * MINUTE);
    const [before, rolled] = [memoryText(cluster.workload('orders')), cluster.rolled.length];
    cluster.change('orders', ({ spec }) => {
      spec.template.spec.containers[0].resources = { requests: { memory: '1Gi' }, limits: { memory: '2Gi' } };
    });
    t.equal(memoryText(cluster.workload('orders')), before);
    t.equal(cluster.rolled.length, rolled);
  }
  t.equal(memoryText(cluster.workload('orders')), '224Mi/336Mi');
});

t.test('a thousand updates of metadata roll nothing', async (t) => {
  const cluster = orders();
  await cluster.work(usage, NOW);
  await cluster.work(usage, NOW + MINUTE);
  const { length } = cluster.rolled;
  for (let index = 0; index < 1000; index += 1) {
    cluster.change('orders', ({ metadata, spec }) => {
      if (index % 3 === 0) metadata.labels[`l${index % 7}`] = String(index);
      else if (index % 3 === 1) metadata.annotations[`a${index % 5}`] = String(index);
      else if (index % 2 === 0) spec.replicas = index % 9;
      else metadata.annotations['tuning.oaas.io/rollout'] = String(index);
    });
  }
  t.equal(cluster.rolled.length, length);
});

t.test('the webhook is not called: three requests, then Degraded, an Event, and silence', async (t) => {
  const cluster = orders();
  cluster.webhook = 'deaf';
  for (let minute = 0; minute < 20; minute += 1) await cluster.work(usage, NOW + minute * MINUTE);
  t.equal(cluster.asked.length, 3);
  t.equal(new Set(cluster.asked).size, 3, 'each by another id');
  t.strictSame(cluster.rolled, []);
  t.match(cluster.status('orders'), { phase: 'Degraded', message: /check that the API server calls the webhook/ });
  t.equal(cluster.events.filter((event) => event.includes('RolloutFailed')).length, 1);
  t.match(changed(cluster), { change: 'applied', outcome: /^failed at/ });

  cluster.webhook = 'well';
  cluster.change('orders', ({ spec }) => {
    spec.template.metadata = { annotations: { restarted: 'yes' } };
  });
  await cluster.work(usage, NOW + 21 * MINUTE);
  t.match(cluster.status('orders'), { phase: 'Enforcing' });
  t.match(rollout(cluster), { state: 'Done' });
  t.equal(cluster.asked.length, 3);
});

t.test('a replica that has not seen the status yet costs one more request', async (t) => {
  const cluster = orders();
  cluster.webhook = 'behind';
  await cluster.work(usage, NOW);
  t.strictSame(cluster.rolled, []);
  cluster.webhook = 'well';
  cluster.setRecord('orders', () => {});
  await cluster.work(usage, NOW + MINUTE);
  t.equal(cluster.rolled.length, 1);
  t.equal(cluster.asked.length, 2);
});

t.test('killed between any two writes: the next cycle finishes, with one rollout', async (t) => {
  for (const point of ['before the status', 'before the request', 'after it'] as const) {
    const cluster = orders();
    const { writeStatus, requestRollout } = cluster;
    const dies = async () => {
      throw new Error('killed');
    };
    if (point === 'before the status') cluster.writeStatus = dies;
    if (point === 'before the request') cluster.requestRollout = dies;
    await cluster.work(usage, NOW);
    const between = memoryText(cluster.workload('orders'));
    t.ok(['512Mi/1Gi', '368Mi/720Mi'].includes(between), between);
    Object.assign(cluster, { writeStatus, requestRollout });
    for (const minute of [1, 2, 3]) await cluster.work(usage, NOW + minute * MINUTE);
    t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi', point);
    t.equal(cluster.rolled.length, 1, point);
    t.match(rollout(cluster), { state: 'Done' }, point);
  }
});

t.test('strategy admission asks for nothing; values come with the next change of the template', async (t) => {
  const cluster = orders();
  for (const minute of [0, 1]) await cluster.work(usage, NOW + minute * MINUTE, { strategy: 'admission' });
  t.strictSame(cluster.asked, []);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'next-template-change' });
  t.match(cluster.status('orders')?.message, 'Applied values wait in 1 of 1 workloads (next-template-change).');
  cluster.change('orders', ({ spec }) => {
    spec.template.metadata = { annotations: { restarted: 'yes' } };
  });
  t.strictSame(cluster.rolled, ['orders 512Mi/1Gi -> 368Mi/720Mi']);
  await cluster.work(usage, NOW + 2 * MINUTE, { strategy: 'admission' });
  t.match(rollout(cluster), { state: 'Done', at: '2026-01-31T10:02:00.000Z' });
});

t.test('two containers that step at different times: one rollout a cooldown', async (t) => {
  const two = edited(deployment('orders', '512Mi/1Gi'), ({ spec }) => {
    const [first] = spec.template.spec.containers;
    spec.template.spec.containers.push({ ...structuredClone(first), name: 'late' });
  });
  const cluster = playCluster([record('orders', ENFORCE)], [two]);
  const both = async (late: boolean) => {
    const { usage, troubles } = measured(['Deployment/orders']);
    const added = late ? [...usage].map(([, entry]) => ['shop/Deployment/orders/late', entry] as const) : [];
    return { usage: new Map([...usage, ...added]), troubles };
  };
  await cluster.work(() => both(false), NOW);
  for (let minute = 10; minute < 30; minute += 1) await cluster.work(() => both(true), NOW + minute * MINUTE);
  t.equal(cluster.rolled.length, 1);
  t.match(rollout(cluster), { state: 'Waiting', reason: 'cooldown' });
  await cluster.work(() => both(true), NOW + 30 * MINUTE);
  t.equal(cluster.rolled.length, 2);
});

t.test('many at once: the limits hold in every cycle, the largest gain goes first, and all arrive', async (t) => {
  const names = Array.from({ length: 30 }, (_, index) => `w${index}`);
  const cluster = playCluster(
    names.map((name) => record(name, ENFORCE)),
    names.map((name, index) => deployment(name, `${512 + index * 32}Mi/2Gi`)),
  );
  const refs = names.map((name) => `Deployment/${name}`);
  let most = 0;
  for (let minute = 0; minute < 25; minute += 1) {
    const before = cluster.rolled.length;
    await cluster.work(async () => measured(refs), NOW + minute * MINUTE, {
      limits: { perNamespace: 2, perCluster: 10 },
    });
    most = Math.max(most, cluster.rolled.length - before);
  }
  t.equal(most, 2);
  t.match(cluster.rolled.slice(0, 2).sort(), [/^w28 /, /^w29 /]);
  t.equal(new Set(cluster.rolled.map((line) => line.split(' ')[0])).size, 30);
});

t.test(
  'the pause, on the workload, its record or its namespace: nothing is asked for, nothing is injected',
  async (t) => {
    const pauses: Record<string, [on: (cluster: PlayedCluster) => void, off: (cluster: PlayedCluster) => void]> = {
      workload: [(cluster) => cluster.change('orders', PAUSE), (cluster) => cluster.change('orders', UNPAUSE)],
      record: [(cluster) => cluster.setRecord('orders', PAUSE), (cluster) => cluster.setRecord('orders', UNPAUSE)],
      namespace: [
        (cluster) => {
          const annotations = { 'tuning.oaas.io/paused': 'true' };
          cluster.surroundings = { ...cluster.surroundings, namespaces: [{ metadata: { name: 'shop', annotations } }] };
        },
        (cluster) => {
          cluster.surroundings = { ...cluster.surroundings, namespaces: [] };
        },
      ],
    };
    for (const [where, [on, off]] of Object.entries(pauses)) {
      const cluster = orders();
      await cluster.work(usage, NOW);
      on(cluster);
      t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi', 'nothing restarts because of it');
      await cluster.work(usage, NOW + 2 * HOUR);
      t.equal(cluster.asked.length, 1, where);
      t.match(rollout(cluster), { state: 'Waiting', reason: 'paused', message: new RegExp(where) });
      t.match(cluster.status('orders')?.message, 'Nothing is applied to 1 workloads (paused)');
      cluster.change('orders', ({ spec }) => {
        spec.template.metadata = { annotations: { restarted: 'yes' } };
      });
      t.equal(memoryText(cluster.workload('orders')), '512Mi/1Gi', "the manifest's values are back");
      off(cluster);
      await cluster.work(usage, NOW + 3 * HOUR);
      t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi', where);
    }
  },
);

t.test(
  'off and on again where it has arrived: what runs is applied again, and the next change gives nothing back',
  async (t) => {
    const cluster = orders('256Mi/448Mi');
    for (const minute of [0, 1]) await cluster.work(usage, NOW + minute * MINUTE);
    t.equal(memoryText(cluster.workload('orders')), '224Mi/336Mi');
    cluster.change('orders', PAUSE);
    await cluster.work(usage, NOW + 2 * MINUTE);
    t.equal(applied(cluster), undefined);
    cluster.change('orders', UNPAUSE);
    await cluster.work(usage, NOW + 3 * MINUTE);
    t.match(applied(cluster), { request: '224Mi', limit: '336Mi' });
    cluster.change('orders', ({ spec }) => {
      spec.template.metadata = { annotations: { restarted: 'yes' } };
    });
    t.equal(memoryText(cluster.workload('orders')), '224Mi/336Mi');
  },
);

t.test('an override stands also where enforcement is paused', async (t) => {
  const overrides = { function: { limit: '900Mi' } };
  const cluster = playCluster([record('orders', { ...ENFORCE, overrides })], [deployment('orders', '512Mi/1Gi')]);
  cluster.change('orders', PAUSE);
  t.equal(memoryText(cluster.workload('orders')), '512Mi/900Mi');
});

t.test('a request that is on its way when the pause comes gives nothing back', async (t) => {
  const cluster = orders();
  await cluster.work(usage, NOW);
  cluster.change('orders', PAUSE);
  await cluster.requestRollout(cluster.workload('orders'), 'late');
  t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi');
});

t.test('scaled on memory by an HPA: recommended, never applied', async (t) => {
  const cluster = orders();
  const metric = { type: 'Resource', resource: { name: 'memory', target: { type: 'Utilization' } } };
  const spec: Json = { scaleTargetRef: { kind: 'Deployment', name: 'orders' }, metrics: [metric] };
  cluster.surroundings.autoscalers = [{ metadata: { namespace: 'shop', name: 'hpa' }, spec: spec as never }];
  await cluster.work(usage, NOW);
  t.match(cluster.status('orders'), { phase: 'Recommending', message: /hpa-on-memory/ });
  t.equal(applied(cluster), undefined);
  t.strictSame(cluster.asked, []);
});

t.test('a rollout that goes on, is paused, or that admission would refuse is waited for', async (t) => {
  const waits = async (edit: Parameters<typeof edited>[1]) => {
    const cluster = orders();
    cluster.set('orders', edit);
    await cluster.work(usage, NOW);
    t.strictSame(cluster.asked, []);
    return rollout(cluster);
  };
  t.match(await waits(({ status }) => Object.assign(status, { updatedReplicas: 0 })), { reason: 'rollout-under-way' });
  t.match(await waits(({ spec }) => Object.assign(spec, { paused: true })), { reason: 'rollout-paused' });
  const pod = ({ spec }: { spec: { template: { spec: object } } }) =>
    Object.assign(spec.template.spec, { resources: { limits: { memory: '4Gi' } } });
  t.match(await waits(pod), { reason: 'not-injectable', message: /pod-level-memory/ });
});

t.test('a quota without room, and with just enough', async (t) => {
  const asked = async (left: number) => {
    const cluster = orders();
    const [hard, used] = [{ 'limits.memory': `${left}Mi` }, { 'limits.memory': '0' }];
    cluster.surroundings.quotas = [{ metadata: { namespace: 'shop' }, status: { hard, used } }];
    await cluster.work(usage, NOW);
    return { ...rollout(cluster), rationale: cluster.status('orders')?.containers[0]?.rationale };
  };
  const enough = await asked(720);
  t.match(enough, { state: 'Requested' }, 'one pod beside the old one');
  t.notMatch(enough.rationale, /ResourceQuota/);
  const message = "the namespace's ResourceQuota has no room for the rollout: it needs 368Mi/720Mi beside what is used";
  const short = await asked(719);
  t.match(short, { ...{ state: 'Waiting', reason: 'quota' }, message });
  t.ok(short.rationale?.endsWith(`; ${message}`));
});

t.test('OOM killed at the limit that was lowered: taken back at once, and slower from then on', async (t) => {
  const cluster = orders();
  await cluster.work(usage, NOW);
  await cluster.work(usage, NOW + MINUTE);
  t.match(applied(cluster), { limit: '720Mi', previous: { request: '512Mi', limit: '1Gi' } });
  const killed = async () => measured(['Deployment/orders'], 110, 180, 210, { oomLimit: 720 * Mi });
  await cluster.work(killed, NOW + 5 * MINUTE);
  t.match(applied(cluster), { request: '512Mi', limit: '1Gi', cooldown_seconds: 3600, taken_back: true });
  t.equal(memoryText(cluster.workload('orders')), '512Mi/1Gi');
  t.match(
    cluster.status('orders')?.history.find(({ change }) => change === 'taken-back'),
    {
      rationale: /OOM killed at 720Mi within the cooldown after the change; cooldown now 1h/,
    },
  );
  t.match(
    cluster.status('orders')?.history.filter(({ change }) => change === 'applied')[0]?.outcome,
    'taken back at 2026-01-31T10:05:00.000Z',
  );
  t.equal(cluster.events.filter((event) => event.includes('TakenBack')).length, 1);
  for (let minute = 6; minute < 65; minute += 1) await cluster.work(killed, NOW + minute * MINUTE);
  t.equal(cluster.rolled.length, 2, 'and stays');
});

t.test('pods that do not become available: the previous values, once; the cooldown doubles up to a day', async (t) => {
  const cluster = orders();
  // Below 500Mi it does not start.
  cluster.controller = (object, now) =>
    edited(object, ({ status }) => {
      const bad = memoryText(object).startsWith('3');
      const lastTransitionTime = new Date(now).toISOString();
      const stuck = {
        type: 'Progressing',
        status: 'False',
        reason: 'ProgressDeadlineExceeded',
        message: '',
        lastTransitionTime,
      };
      Object.assign(status, { updatedReplicas: 1, replicas: bad ? 2 : 1, conditions: bad ? [stuck] : [] });
    });
  const at: number[] = [];
  for (let minute = 0; minute < 5 * 1440; minute += 1) {
    const before = cluster.rolled.length;
    await cluster.work(usage, NOW + minute * MINUTE);
    if (cluster.rolled.length > before && cluster.rolled.at(-1)?.includes('-> 368')) at.push(minute);
  }
  t.equal(memoryText(cluster.workload('orders')), '512Mi/1Gi');
  t.strictSame(
    at.slice(1).map((minute, index) => minute - (at[index] ?? 0) - 1),
    [60, 120, 240, 480, 960, 1440, 1440, 1440].slice(0, at.length - 1),
  );
  t.match(applied(cluster), { cooldown_seconds: 86400 });
});

t.test('what tuning has changed is said once values run, and written when a value or a count moves', async (t) => {
  const cluster = orders();
  await cluster.work(usage, NOW);
  t.equal(cluster.status('orders')?.outcome, undefined, 'asked for, and not there yet');
  await cluster.work(usage, NOW + MINUTE);
  const since = '2026-01-31T10:01:00.000Z';
  t.match(cluster.status('orders')?.outcome, {
    ...{ since, before: { request: '512Mi', limit: '1Gi' }, after: { request: '368Mi', limit: '720Mi' } },
    summary: 'request 512Mi -> 368Mi, limit 1Gi -> 720Mi, over-request 78.5% -> 70.1%',
  });
  t.match(cluster.status('orders')?.containers, [{ manifest: { request: '512Mi', limit: '1Gi' } }]);
  const { length } = cluster.writes;
  for (let minute = 2; minute < 30; minute += 1) await cluster.work(usage, NOW + minute * MINUTE);
  t.equal(cluster.writes.length, length, 'nothing to add meanwhile');
  for (let minute = 30; minute < 180; minute += 1) await cluster.work(usage, NOW + minute * MINUTE);
  t.match(cluster.status('orders')?.outcome, { since, before: { request: '512Mi' }, after: { request: '224Mi' } });
  cluster.amend('orders', ({ spec }) => ({ spec: { ...spec, nfr: { memory_tuning: { enforce: false } } } }));
  await cluster.work(usage, NOW + 180 * MINUTE);
  t.equal(cluster.status('orders')?.outcome, undefined, 'switched off');
});
