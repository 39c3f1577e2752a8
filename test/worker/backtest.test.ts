/** Nothing is applied before a replay of the record's own history passes (`OPRC_CRM_ENFORCEMENT_BACKTEST=required`). */
import t from 'tap';
import type { Verdict } from '../../src/replay/trial.ts';
import { knownPast } from '../../src/worker/known-past.ts';
import type { Past, TrialQuestion } from '../../src/worker/past.ts';
import { MINUTE, NOW, RULES, rulesFrom } from '../recommend/rules.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { deployment, measured, memoryText, type PlayedCluster, playCluster, record } from './played-cluster.ts';

const HOUR = 60 * MINUTE;
const usage = async () => measured(['Deployment/orders']);
const GOOD: Verdict = {
  passed: true,
  kills: { manifest: 1, tuned: 0 },
  message: 'over 7 days 0 OOM kills with tuning',
};
const BAD: Verdict = { passed: false, kills: { manifest: 0, tuned: 3 }, message: '3 OOM kills; an override would do' };
const UNKNOWN: Verdict = { passed: false, message: 'function has 2 hours of samples' };

/** A cluster whose Prometheus shows this history, and what it was asked. */
function playing(wishes: object, history: () => Verdict | Promise<Verdict>) {
  const cluster = playCluster([record('orders', { enforce: true, ...wishes })], [deployment('orders', '512Mi/1Gi')]);
  const asked: TrialQuestion[] = [];
  const past: Past = {
    kills: async () => ({ before: 2, after: 0, overSeconds: 7200 }),
    trial: async (question) => {
      asked.push(question);
      return history();
    },
  };
  const { log, lines } = listenedLog();
  let known = knownPast(past, true, log);
  return {
    ...{ cluster, asked, lines },
    /** Another worker, which knows what stands in the statuses. */
    restart: () => {
      known = knownPast(past, true, log);
    },
    /** A cycle, and what was begun beside it. */
    async work(now: number, rules = RULES) {
      await cluster.work(usage, now, { known, rules });
      await Promise.all([known.trials?.idle(), known.kills?.idle()]);
    },
  };
}
const applied = (cluster: PlayedCluster) => cluster.status('orders')?.containers[0]?.applied;

t.test(
  'recommended at once; applied in the cycle after the replay that passed, with result and date in status',
  async (t) => {
    const { cluster, asked, work } = playing({}, () => GOOD);
    await work(NOW);
    t.match(cluster.status('orders'), {
      phase: 'Recommending',
      message: /Nothing is applied to 1 workloads \(backtest\)/,
      rollouts: [{ state: 'Waiting', reason: 'backtest', message: /it has not been made yet$/ }],
    });
    t.strictSame([applied(cluster), cluster.asked], [undefined, []]);
    t.match(asked, [{ namespace: 'shop', replayed: [{ workload: 'Deployment/orders', name: 'function' }] }]);
    await work(NOW + MINUTE);
    t.match(cluster.status('orders'), {
      phase: 'Enforcing',
      backtest: { passed: true, at: '2026-01-31T10:00:00.000Z', kills: { manifest: 1, tuned: 0 }, containers: 1 },
    });
    t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi');
  },
);

t.test('more kills than without: nothing is applied, and the status says what would make it pass', async (t) => {
  const { cluster, asked, work } = playing({}, () => BAD);
  for (let minute = 0; minute < 24 * 60; minute += 10) await work(NOW + minute * MINUTE);
  t.equal(memoryText(cluster.workload('orders')), '512Mi/1Gi');
  t.match(cluster.status('orders'), {
    backtest: { passed: false, kills: { tuned: 3 } },
    rollouts: [{ reason: 'backtest', message: /3 OOM kills; an override would do$/ }],
  });
  t.equal(asked.length, 1);
  await work(NOW + 24 * HOUR);
  t.equal(asked.length, 2, 'and is made again after a day');
});

t.test('too little data: not applied, said so, tried again each hour until there is enough', async (t) => {
  let found = UNKNOWN;
  const { cluster, asked, work } = playing({}, () => found);
  for (let minute = 0; minute < 60; minute += 5) await work(NOW + minute * MINUTE);
  t.match(cluster.status('orders')?.rollouts, [{ message: /function has 2 hours of samples$/ }]);
  t.equal(asked.length, 1);
  found = GOOD;
  for (const minute of [60, 61]) await work(NOW + minute * MINUTE);
  t.equal(memoryText(cluster.workload('orders')), '368Mi/720Mi');
});

t.test('a history that cannot be read is no proof; of one that was proven it takes nothing back', async (t) => {
  let away = true;
  const { cluster, work, lines } = playing({}, () => {
    if (away) throw new Error('Prometheus does not answer');
    return GOOD;
  });
  for (const minute of [0, 1]) await work(NOW + minute * MINUTE);
  t.match(cluster.status('orders')?.backtest, {
    passed: false,
    message: /could not be read: Prometheus does not answer/,
  });
  away = false;
  for (const minute of [60, 61]) await work(NOW + minute * MINUTE);
  away = true;
  for (const minute of [0, 5, 15]) await work(NOW + 25 * HOUR + minute * MINUTE);
  t.match(cluster.status('orders'), { phase: 'Enforcing', backtest: { passed: true, at: '2026-01-31T11:00:00.000Z' } });
  t.ok(lines.length > 0, 'the log has it');
});

t.test(
  'proven values go when a later replay fails; admission gives the manifest back with the next template',
  async (t) => {
    let found = GOOD;
    const { cluster, work } = playing({}, () => found);
    for (const minute of [0, 1, 2]) await work(NOW + minute * MINUTE);
    found = BAD;
    await work(NOW + 24 * HOUR);
    const runs = memoryText(cluster.workload('orders'));
    await work(NOW + 24 * HOUR + MINUTE);
    t.equal(applied(cluster), undefined);
    t.equal(memoryText(cluster.workload('orders')), runs, 'nothing restarts');
    cluster.change('orders', ({ spec }) => Object.assign(spec.template, { metadata: { labels: { version: '2' } } }));
    t.equal(memoryText(cluster.workload('orders')), '512Mi/1Gi');
  },
);

t.test('a worker that starts goes by the status, and asks again only when that is due', async (t) => {
  const { cluster, asked, work, restart } = playing({}, () => GOOD);
  for (const minute of [0, 1]) await work(NOW + minute * MINUTE);
  restart();
  await work(NOW + 2 * MINUTE);
  t.match(cluster.status('orders'), { phase: 'Enforcing', backtest: { passed: true } });
  t.equal(asked.length, 1);
});

t.test('other settings, or other values in the manifest, have to be proven anew', async (t) => {
  const { cluster, asked, work } = playing({}, () => GOOD);
  for (const minute of [0, 1]) await work(NOW + minute * MINUTE);
  const changed = rulesFrom({ OPRC_CRM_LIMIT_MAX_FACTOR: '1.3' });
  await work(NOW + 2 * MINUTE, changed);
  t.match(cluster.status('orders')?.rollouts, [
    { reason: 'backtest', message: /of other containers, values or settings/ },
  ]);
  await work(NOW + 3 * MINUTE, changed);
  t.match(cluster.status('orders')?.backtest, { passed: true, settings: { OPRC_CRM_LIMIT_MAX_FACTOR: '1.3' } });
  t.equal(asked.length, 2);
  cluster.change('orders', ({ spec }) => {
    spec.template.spec.containers[0].resources = { requests: { memory: '512Mi' }, limits: { memory: '2Gi' } };
  });
  await work(NOW + 4 * MINUTE, changed);
  t.match(cluster.status('orders')?.rollouts, [{ reason: 'backtest' }]);
  await work(NOW + 5 * MINUTE, changed);
  t.equal(asked.length, 3);
  t.match(cluster.status('orders')?.phase, 'Enforcing');
});

t.test(
  'nothing is asked of who does not enforce, and nothing is proven of a limit that an override fixes',
  async (t) => {
    const observed = playing({ enforce: false }, () => GOOD);
    await observed.work(NOW);
    t.equal(observed.asked.length, 0);
    const fixed = playing({ overrides: { function: { limit: '1Gi' } } }, () => BAD);
    await fixed.work(NOW);
    t.match(fixed.cluster.status('orders'), { phase: 'Enforcing', backtest: undefined });
    t.equal(fixed.asked.length, 0);
  },
);

t.test('where none is required none is made, and kills are counted once values run for an hour', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  const counted: number[] = [];
  const past: Past = {
    kills: async ({ since }, now) => {
      counted.push(now - since);
      return { before: 2, after: 0, overSeconds: 3600 };
    },
    trial: async () => t.fail('nobody asked') as never,
  };
  const known = knownPast(past, false, listenedLog().log);
  for (let minute = 0; minute <= 63; minute += 1) {
    await cluster.work(usage, NOW + minute * MINUTE, { known });
    await known.kills?.idle();
  }
  t.strictSame(counted, [HOUR]);
  t.match(cluster.status('orders')?.outcome, { before: { kills: 2 }, after: { kills: 0 }, kills_over: '1h' });
});
