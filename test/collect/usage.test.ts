import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { PrometheusError, type QueryResult, type Row } from '../../src/collect/prometheus.ts';
import type { Statistic } from '../../src/collect/queries.ts';
import { createCollector, type Target } from '../../src/collect/usage.ts';

const NOW = Date.parse('2026-01-31T10:00:00Z');
const MINUTE = 60_000;
const OPTIONS = {
  ...{ matchers: 'container!=""', selector: '', seriesNames: {} },
  ...{ shortWindowSeconds: 600, longWindowSeconds: 21_600 },
};

const deployment = (name: string, namespace = 'shop'): Target => ({
  ...{ namespace, ref: `Deployment/${name}`, deployments: [name], open: false },
});

type Window = 'short' | 'long' | 'running';
type Values = Partial<Record<Statistic, number>>;

/** What Prometheus holds: by window and `namespace/workload/container`. */
type Held = Partial<Record<Window, Record<string, Values>>>;

/** The same for all of a window: what the numbers are does not matter here. */
const all = (value: number): Values => ({ sum: value * 10, count: 10, p95: value, max: value, samples: 10 });

type Question = { window: Window; promql: string; namespaces: string[]; now: number };

/** A Prometheus that holds this, and answers as the queries are meant; `instead` may answer, or throw, in its place. */
function play(held: Held, instead: (question: Question) => Partial<QueryResult> | undefined = () => undefined) {
  const questions: Question[] = [];
  let [open, atOnce] = [0, 0];
  return {
    held,
    questions,
    atOnce: () => atOnce,
    async query(promql: string, now: number): Promise<QueryResult> {
      const window = promql.includes('working_set') ? (promql.includes('[6h]') ? 'long' : 'short') : 'running';
      const namespaces = /namespace=~"([^"]*)"/.exec(promql)?.[1]?.split('|') ?? [];
      const question = { window, promql, namespaces, now } as const;
      questions.push(question);
      open += 1;
      atOnce = Math.max(atOnce, open);
      await nextTurn();
      open -= 1;
      const asked = instead(question);
      if (asked?.rows) return { partial: false, rows: [], ...asked };
      const rows: Row[] = [];
      for (const [key, values] of Object.entries(held[window] ?? {})) {
        const [namespace = '', workload = '', container = ''] = key.split('/');
        if (!namespaces.includes(namespace)) continue;
        for (const [statistic, value] of Object.entries(values)) {
          const summed = ['sum', 'count', 'kills'].includes(statistic);
          if (summed === promql.startsWith('sum'))
            rows.push({ labels: { namespace, workload, container, statistic }, value, at: 0 });
        }
      }
      return { partial: false, ...asked, rows };
    },
  };
}

const PATIENT = new AbortController().signal;

/** One look, as plain objects. */
async function collected(prometheus: ReturnType<typeof play>, targets: Target[]) {
  const { usage, troubles } = await createCollector(prometheus, OPTIONS)(targets, NOW, PATIENT);
  return { ...Object.fromEntries(usage), ...(troubles.size > 0 && { troubles: Object.fromEntries(troubles) }) };
}

t.test('a look asks two questions for each window, all at one time', async (t) => {
  const prometheus = play({
    short: { 'shop/orders/function': { sum: 2000, count: 20, p95: 200, max: 300, samples: 20 } },
    long: {
      'shop/orders/function': {
        sum: 72_720,
        count: 720,
        p95: 201,
        max: 301,
        samples: 720,
        oom: 256,
        rss: 99,
        kills: 2.04,
      },
    },
  });
  t.strictSame(await collected(prometheus, [deployment('orders')]), {
    'shop/Deployment/orders/function': {
      partial: false,
      short: { avg: 100, p95: 200, max: 300, samples: 20 },
      long: { avg: 101, p95: 201, max: 301, samples: 720 },
      oomLimit: 256,
      rss: 99,
      kills: 2,
    },
  });
  t.equal(prometheus.questions.length, 4);
  t.ok(prometheus.questions.every(({ now }) => now === NOW));
});

t.test('only the namespaces of the workloads are asked about, each once', async (t) => {
  const prometheus = play({});
  await collected(prometheus, [deployment('a', 'shop'), deployment('b', 'bank'), deployment('c', 'shop')]);
  for (const { namespaces } of prometheus.questions) t.strictSame(namespaces, ['shop', 'bank']);
});

t.test('nothing to look at is nothing to ask', async (t) => {
  const prometheus = play({});
  t.strictSame(await collected(prometheus, []), {});
  t.equal(prometheus.questions.length, 0);
});

t.test('rows of workloads that are not ours are ignored, also where a name is the beginning of another', async (t) => {
  const prometheus = play({
    long: {
      'shop/orders/function': all(1),
      'shop/orders-v2/function': all(2),
      'shop/order/function': all(3),
      'bank/orders/function': all(4),
      'shop//function': all(5),
    },
  });
  t.match(await collected(prometheus, [deployment('orders'), deployment('orders-v2')]), {
    'shop/Deployment/orders/function': { long: { max: 1 } },
    'shop/Deployment/orders-v2/function': { long: { max: 2 } },
  });
  t.equal(Object.keys(await collected(prometheus, [deployment('orders')])).length, 1);
});

t.test(
  "a Knative Service has one history: its Revisions' samples count together, the largest number decides",
  async (t) => {
    const service: Target = {
      ...{ namespace: 'shop', ref: 'KnativeService/orders', open: true },
      deployments: ['orders-00001-deployment', 'orders-00002-deployment', 'orders-00004-deployment'],
    };
    const prometheus = play({
      long: {
        'shop/orders-00001-deployment/user-container': { ...all(500), p95: 280, oom: 256, rss: 50, kills: 1 },
        'shop/orders-00002-deployment/user-container': {
          ...all(300),
          sum: 9000,
          count: 30,
          p95: 290,
          oom: 512,
          kills: 3,
        },
        'shop/orders-00003-deployment/user-container': all(900),
      },
      short: { 'shop/orders-00002-deployment/user-container': all(7) },
      running: {
        'shop/orders-00001-deployment/user-container': { request: 5 },
        'shop/orders-00002-deployment/user-container': { request: 3, limit: 8 },
      },
    });
    t.strictSame(await collected(prometheus, [service]), {
      'shop/KnativeService/orders/user-container': {
        partial: false,
        // 10 samples of 500 and 30 of 300.
        long: { avg: 350, p95: 290, max: 500, samples: 10 },
        short: { avg: 7, p95: 7, max: 7, samples: 10 },
        running: { request: 5, limit: 8 },
        oomLimit: 512,
        rss: 50,
        kills: 4,
      },
    });
  },
);

t.test('a Deployment and a Knative Service of one name are kept apart', async (t) => {
  const service = { ...deployment('orders'), ref: 'KnativeService/orders', deployments: ['orders-00001-deployment'] };
  const prometheus = play({
    short: { 'shop/orders/function': all(1), 'shop/orders-00001-deployment/function': all(2) },
  });
  t.match(await collected(prometheus, [deployment('orders'), service]), {
    'shop/Deployment/orders/function': { short: { max: 1 } },
    'shop/KnativeService/orders/function': { short: { max: 2 } },
  });
});

t.test('what was measured hours ago only has no short window', async (t) => {
  const usage = await collected(play({ long: { 'shop/orders/function': all(1) } }), [deployment('orders')]);
  t.match(usage, { 'shop/Deployment/orders/function': { partial: false, short: undefined, long: { max: 1 } } });
});

t.test('a window that lacks a statistic, because it was NaN, is not used, and nothing is lowered', async (t) => {
  for (const lost of ['sum', 'count', 'p95', 'max', 'samples'] as const) {
    const { [lost]: _, ...rest } = all(1);
    const usage = await collected(play({ long: { 'shop/orders/function': rest } }), [deployment('orders')]);
    t.strictSame(usage, { 'shop/Deployment/orders/function': { partial: true } }, lost);
  }
});

t.test('zero is nothing measured, not nothing used', async (t) => {
  const prometheus = play({ long: { 'shop/orders/function': { ...all(1), p95: 0 } } });
  t.strictSame(await collected(prometheus, [deployment('orders')]), {
    'shop/Deployment/orders/function': { partial: true },
  });
});

t.test('an OOM kill is heard also of a container that has no samples', async (t) => {
  const usage = await collected(play({ short: { 'shop/orders/function': { oom: 256 } } }), [deployment('orders')]);
  t.strictSame(usage, { 'shop/Deployment/orders/function': { partial: false, oomLimit: 256 } });
});

t.test('what running pods have is asked for only where a template leaves something open', async (t) => {
  const running = { 'shop/orders/function': { request: 64, limit: 128 } };
  const prometheus = play({ short: { 'shop/orders/function': all(1) }, running });
  t.match(await collected(prometheus, [deployment('orders')]), {
    'shop/Deployment/orders/function': { running: undefined },
  });
  t.match(await collected(prometheus, [{ ...deployment('orders'), open: true }]), {
    'shop/Deployment/orders/function': { running: { request: 64, limit: 128 } },
  });
});

t.test('one answer in part makes all that was asked with it doubtful', async (t) => {
  const held = { short: { 'shop/orders/function': all(1), 'bank/a/b': all(2) }, long: {} };
  for (const window of ['short', 'long']) {
    const prometheus = play(held, (question) => (question.window === window ? { partial: true } : undefined));
    const usage = await collected(prometheus, [deployment('orders'), deployment('a', 'bank')]);
    t.match(usage, { 'shop/Deployment/orders/function': { partial: true }, 'bank/Deployment/a/b': { partial: true } });
  }
});

t.test('a server that is busy, or refuses, fails the whole look, and is left in peace', async (t) => {
  for (const fate of ['busy', 'refused'] as const) {
    const prometheus = play({}, () => {
      throw new PrometheusError('it is overloaded', 503, fate);
    });
    await t.rejects(collected(prometheus, [deployment('orders')]), { name: 'PrometheusError', status: 503 });
    t.equal(prometheus.questions.length, 1);
  }
});

/** A server that takes questions about at most so many namespaces. */
const small = (held: Held, most: number) =>
  play(held, ({ namespaces }) => {
    if (namespaces.length > most) throw new PrometheusError('too many samples', 422, 'too-much');
    return undefined;
  });

t.test('what is too much for the server is asked in parts, and not asked whole again', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const targets = names.map((name) => deployment('orders', name));
  const short = Object.fromEntries(names.map((name, index) => [`${name}/orders/function`, all(index + 1)]));
  const prometheus = small({ short }, 2);
  const collect = createCollector(prometheus, OPTIONS);
  const { usage, troubles } = await collect(targets, NOW, PATIENT);
  t.strictSame(
    names.map((name) => usage.get(`${name}/Deployment/orders/function`)?.short?.max),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  t.equal(troubles.size, 0);
  t.ok(prometheus.atOnce() <= 3, `${prometheus.atOnce()} at once`);
  prometheus.questions.length = 0;
  await collect(targets, NOW + MINUTE, PATIENT);
  t.ok(prometheus.questions.every(({ namespaces }) => namespaces.length <= 2));
});

t.test(
  'larger questions are tried again after a short window, because what was too much was perhaps a bad hour',
  async (t) => {
    const targets = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => deployment('orders', name));
    const largest = (prometheus: ReturnType<typeof play>) => {
      const sizes = prometheus.questions.map(({ namespaces }) => namespaces.length);
      prometheus.questions.length = 0;
      return Math.max(...sizes);
    };
    let most = 2;
    const prometheus = play({}, ({ namespaces }) => {
      if (namespaces.length > most) throw new PrometheusError('timed out', 422, 'too-much');
      return undefined;
    });
    const collect = createCollector(prometheus, OPTIONS);
    await collect(targets, NOW, PATIENT);
    largest(prometheus);
    most = 8;
    const seen: number[] = [];
    for (let minute = 1; minute <= 30; minute += 1) {
      await collect(targets, NOW + minute * MINUTE, PATIENT);
      seen.push(largest(prometheus));
    }
    t.strictSame([seen[0], seen[8], seen[9], seen[18], seen[19]], [2, 2, 4, 4, 8]);
  },
);

t.test('a look that fails in the middle keeps what it has learned: the next one has less to read', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const targets = names.map((name) => deployment('orders', name));
  const held = Object.fromEntries(names.map((name) => [`${name}/orders/function`, all(1)]));
  let answers = 0;
  const prometheus = play({ short: held, long: held }, ({ namespaces }) => {
    if (namespaces.length > 1) throw new PrometheusError('too many samples', 422, 'too-much');
    answers += 1;
    if (answers === 9) throw new PrometheusError('Prometheus did not answer in time for this cycle', 0, 'refused');
    return undefined;
  });
  const collect = createCollector(prometheus, OPTIONS);
  await t.rejects(collect(targets, NOW, PATIENT), { message: /in time for this cycle/ });
  const longs = () => {
    const asked = prometheus.questions.filter(({ window }) => window === 'long');
    prometheus.questions.length = 0;
    return asked.map(({ namespaces }) => namespaces.length);
  };
  longs();
  const { usage } = await collect(targets, NOW + MINUTE, PATIENT);
  t.equal(usage.size, 8);
  const asked = longs();
  t.strictSame(new Set(asked), new Set([1]), 'what is too much is not asked again');
  t.ok(asked.length < 16, `${asked.length} of 16 questions`);
});

t.test('what is too much even alone is said of that workload, and the others are looked at', async (t) => {
  const prometheus = play({ short: { 'bank/a/b': all(1) } }, ({ namespaces }) => {
    if (namespaces.includes('shop')) throw new PrometheusError('too many samples', 422, 'too-much');
    return undefined;
  });
  const usage = await collected(prometheus, [deployment('orders'), deployment('a', 'bank')]);
  t.match(usage, {
    'bank/Deployment/a/b': { short: { max: 1 } },
    troubles: { 'shop/Deployment/orders': 'too many samples' },
  });
});

t.test('the long window', async (t) => {
  const names = Array.from({ length: 40 }, (_, index) => `ns-${index}`);
  const targets = names.map((name) => deployment('orders', name));
  const every = (value: number) => Object.fromEntries(names.map((name) => [`${name}/orders/function`, all(value)]));
  const asked = (prometheus: ReturnType<typeof play>) => {
    const found = prometheus.questions
      .filter(({ window }) => window === 'long')
      .flatMap(({ namespaces }) => namespaces);
    prometheus.questions.length = 0;
    return new Set(found);
  };

  t.test('is read at the first look, then by turns, each once within the length of the short one', async (t) => {
    const prometheus = play({ short: every(1), long: every(2) });
    const collect = createCollector(prometheus, OPTIONS);
    await collect(targets, NOW, PATIENT);
    t.equal(asked(prometheus).size, 40);
    for (const round of [0, 1, 2]) {
      const times = new Map<string, number>();
      let busiest = 0;
      for (let minute = 1; minute <= 10; minute += 1) {
        const { usage } = await collect(targets, NOW + (round * 10 + minute) * MINUTE, PATIENT);
        t.equal(usage.get('ns-7/Deployment/orders/function')?.long?.max, 2, 'and is known all the time');
        const now = asked(prometheus);
        busiest = Math.max(busiest, now.size);
        for (const name of now) times.set(name, (times.get(name) ?? 0) + 1);
      }
      t.strictSame([times.size, [...times.values()].every((count) => count === 1)], [40, true]);
      t.ok(busiest <= 10, `${busiest} namespaces in one cycle`);
    }
  });

  t.test('of a workload that is new is read at once, without the others', async (t) => {
    const prometheus = play({
      short: { 'shop/a/x': all(1), 'shop/b/x': all(1) },
      long: { 'shop/a/x': all(2), 'shop/b/x': all(2) },
    });
    const collect = createCollector(prometheus, OPTIONS);
    await collect([deployment('a')], NOW, PATIENT);
    asked(prometheus);
    const { usage } = await collect([deployment('a'), deployment('b')], NOW + 1, PATIENT);
    t.equal(usage.get('shop/Deployment/b/x')?.long?.max, 2);
    const { promql } = { promql: '', ...prometheus.questions.find(({ window }) => window === 'long') };
    t.match(promql, 'pod=~"(?:b).*"');
  });

  t.test('is read again as soon as there is something to read', async (t) => {
    const prometheus = play({});
    const collect = createCollector(prometheus, OPTIONS);
    await collect([deployment('orders')], NOW, PATIENT);
    prometheus.held.short = { 'shop/orders/function': all(1) };
    prometheus.held.long = { 'shop/orders/function': all(2) };
    t.match([...(await collect([deployment('orders')], NOW + 1, PATIENT)).usage.values()], [{ long: undefined }]);
    t.match([...(await collect([deployment('orders')], NOW + 2, PATIENT)).usage.values()], [{ long: { max: 2 } }]);
  });

  t.test('read in part, or not at all, is read again at the next look', async (t) => {
    let partial = true;
    const held = { short: { 'shop/orders/function': all(1) }, long: { 'shop/orders/function': all(2) } };
    const prometheus = play(held, () => ({ partial }));
    const collect = createCollector(prometheus, OPTIONS);
    const look = async (at: number) => [...(await collect([deployment('orders')], at, PATIENT)).usage.values()];
    t.match(await look(NOW), [{ partial: true }]);
    partial = false;
    t.match(await look(NOW + 1), [{ partial: false }]);
  });

  t.test('of a workload that is gone is forgotten', async (t) => {
    const held = { short: { 'shop/orders/function': all(1) }, long: { 'shop/orders/function': all(2) } };
    const prometheus = play(held);
    const collect = createCollector(prometheus, OPTIONS);
    await collect([deployment('orders')], NOW, PATIENT);
    await collect([], NOW + 1, PATIENT);
    asked(prometheus);
    await collect([deployment('orders')], NOW + 2, PATIENT);
    t.equal(asked(prometheus).size, 1);
  });
});
