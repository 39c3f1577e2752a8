import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createPrometheus, PrometheusError, type QueryResult } from '../../src/collect/prometheus.ts';
import { collectUsage, type Target } from '../../src/collect/usage.ts';
import {
  type PlayedPrometheus,
  playPrometheus,
  type Question,
  sendJson,
  sendText,
  vector,
} from './played-prometheus.ts';

const NOW = Date.parse('2026-01-31T10:00:00Z');
const OPTIONS = { matchers: 'container!=""', shortWindowSeconds: 600, longWindowSeconds: 21_600 };

const deployment = (name: string, namespace = 'shop'): Target => ({
  namespace,
  ref: `Deployment/${name}`,
  deployments: [name],
});

/** Which question of a look this is, e.g. `short max`, or `oom`. */
function kindOf({ form }: Question): string {
  const promql = form.get('query') ?? '';
  if (promql.includes('OOMKilled')) return 'oom';
  const window = promql.includes('[10m]') ? 'short' : 'long';
  if (promql.includes('max_over_time')) return `${window} max`;
  if (promql.includes('quantile_over_time')) return `${window} p95`;
  return promql.includes('sum_over_time') ? `${window} avg` : `${window} samples`;
}

type Row = [namespace: string, workload: string, container: string, value: string | number];

/** A Prometheus that answers each kind of question with these rows, and any other with none. */
async function play(
  t: Test,
  rows: Record<string, Row[]>,
  more: Record<string, object> = {},
): Promise<PlayedPrometheus> {
  const server = await playPrometheus((question, response) => {
    const kind = kindOf(question);
    const answer = (rows[kind] ?? []).map(
      ([namespace, workload, container, value]): [Record<string, string>, string | number] => [
        { namespace, workload, container },
        value,
      ],
    );
    sendJson(response, vector(answer, more[kind]));
  });
  t.teardown(server.close);
  return server;
}

async function collected(server: PlayedPrometheus, targets: Target[]) {
  return Object.fromEntries(await collectUsage(createPrometheus(server.url, 5_000), targets, OPTIONS, NOW));
}

/** The same number for all four statistics of a window: what they are does not matter here. */
const everyStatistic = (window: 'short' | 'long', rows: Row[]) =>
  Object.fromEntries(['avg', 'p95', 'max', 'samples'].map((statistic) => [`${window} ${statistic}`, rows]));

t.test('a look asks for four statistics over both windows and for OOM kills, all at one time', async (t) => {
  const server = await play(t, {
    'short avg': [['shop', 'orders', 'function', 100]],
    'short p95': [['shop', 'orders', 'function', 200]],
    'short max': [['shop', 'orders', 'function', 300]],
    'short samples': [['shop', 'orders', 'function', 20]],
    'long avg': [['shop', 'orders', 'function', 101]],
    'long p95': [['shop', 'orders', 'function', 201]],
    'long max': [['shop', 'orders', 'function', 301]],
    'long samples': [['shop', 'orders', 'function', 720]],
    oom: [['shop', 'orders', 'function', 256]],
  });
  t.strictSame(await collected(server, [deployment('orders')]), {
    'shop/Deployment/orders/function': {
      partial: false,
      short: { avg: 100, p95: 200, max: 300, samples: 20 },
      long: { avg: 101, p95: 201, max: 301, samples: 720 },
      oomLimit: 256,
    },
  });
  t.equal(server.questions.length, 9);
  t.strictSame([...new Set(server.questions.map(({ form }) => form.get('time')))], [String(NOW / 1000)]);
  t.ok(server.atOnce() <= 3, `${server.atOnce()} at once`);
});

t.test('only the namespaces of the workloads are asked about, each once', async (t) => {
  const server = await play(t, {});
  await collected(server, [deployment('a', 'shop'), deployment('b', 'bank'), deployment('c', 'shop')]);
  for (const { form } of server.questions) t.match(form.get('query'), 'namespace=~"bank|shop"');
});

t.test('nothing to look at is nothing to ask', async (t) => {
  const server = await play(t, {});
  t.strictSame(await collected(server, []), {});
  t.equal(server.questions.length, 0);
});

t.test('rows of workloads that are not ours are ignored, also where a name is the beginning of another', async (t) => {
  const rows: Row[] = [
    ['shop', 'orders', 'function', 1],
    ['shop', 'orders-v2', 'function', 2],
    ['shop', 'order', 'function', 3],
    ['bank', 'orders', 'function', 4],
    ['shop', '', 'function', 5],
  ];
  const server = await play(t, everyStatistic('long', rows));
  const usage = await collected(server, [deployment('orders'), deployment('orders-v2')]);
  t.strictSame(Object.keys(usage), ['shop/Deployment/orders/function', 'shop/Deployment/orders-v2/function']);
  t.equal(usage['shop/Deployment/orders/function']?.long?.max, 1);
  t.equal(usage['shop/Deployment/orders-v2/function']?.long?.max, 2);
});

t.test('a Knative Service uses what the largest of its Revisions uses', async (t) => {
  const service = {
    namespace: 'shop',
    ref: 'KnativeService/orders',
    deployments: ['orders-00001-deployment', 'orders-00002-deployment'],
  };
  const largest: Row[] = [
    ['shop', 'orders-00001-deployment', 'user-container', 500],
    ['shop', 'orders-00002-deployment', 'user-container', 300],
    ['shop', 'orders-00003-deployment', 'user-container', 900],
  ];
  const server = await play(t, {
    ...everyStatistic('long', largest),
    'long p95': [
      ['shop', 'orders-00002-deployment', 'user-container', 290],
      ['shop', 'orders-00001-deployment', 'user-container', 280],
    ],
    oom: [
      ['shop', 'orders-00002-deployment', 'user-container', 512],
      ['shop', 'orders-00001-deployment', 'user-container', 256],
    ],
  });
  t.match(await collected(server, [service]), {
    'shop/KnativeService/orders/user-container': { long: { max: 500, p95: 290 }, oomLimit: 512 },
  });
});

t.test('a Deployment and a Knative Service of one name are kept apart', async (t) => {
  const service = { namespace: 'shop', ref: 'KnativeService/orders', deployments: ['orders-00001-deployment'] };
  const rows: Row[] = [
    ['shop', 'orders', 'function', 1],
    ['shop', 'orders-00001-deployment', 'function', 2],
  ];
  const server = await play(t, everyStatistic('short', rows));
  const usage = await collected(server, [deployment('orders'), service]);
  t.equal(usage['shop/Deployment/orders/function']?.short?.max, 1);
  t.equal(usage['shop/KnativeService/orders/function']?.short?.max, 2);
});

t.test('what was measured hours ago only has no short window', async (t) => {
  const server = await play(t, everyStatistic('long', [['shop', 'orders', 'function', 1]]));
  const [usage] = Object.values(await collected(server, [deployment('orders')]));
  t.strictSame(Object.keys(usage ?? {}).sort(), ['long', 'partial']);
  t.equal(usage?.partial, false);
});

t.test('a window that lacks a statistic, because it was NaN, is not used, and nothing is lowered', async (t) => {
  const rows = everyStatistic('long', [['shop', 'orders', 'function', 1]]);
  const server = await play(t, { ...rows, 'long avg': [] });
  t.strictSame(Object.values(await collected(server, [deployment('orders')])), [{ partial: true }]);
});

t.test('one answer in part makes the whole look doubtful', async (t) => {
  const rows = { 'short max': [['shop', 'orders', 'function', 1] as Row], 'long avg': [['bank', 'a', 'b', 2] as Row] };
  const server = await play(t, rows, { 'long p95': { warnings: ['a store did not answer'] } });
  const usage = await collected(server, [deployment('orders'), deployment('a', 'bank')]);
  t.strictSame(
    Object.values(usage).map(({ partial }) => partial),
    [true, true],
  );
});

t.test('one query without an answer fails the whole look', async (t) => {
  for (const failing of ['short avg', 'long samples', 'oom']) {
    const server = await playPrometheus((question, response) => {
      if (kindOf(question) === failing) sendText(response, 'Service Unavailable', 503);
      else sendJson(response, vector([[{ namespace: 'shop', workload: 'orders', container: 'function' }, 1]]));
    });
    await t.rejects(collected(server, [deployment('orders')]), { name: 'PrometheusError', status: 503 }, failing);
    await server.close();
  }
});

t.test('after a failure the queries that were to come are not asked any more', async (t) => {
  const waiting: (() => void)[] = [];
  let asked = 0;
  const query = () => {
    asked += 1;
    if (asked === 1) return Promise.reject(new PrometheusError('it is overloaded', 503));
    return new Promise<QueryResult>((resolve) => waiting.push(() => resolve({ rows: [], partial: false })));
  };
  await t.rejects(collectUsage({ query }, [deployment('orders')], OPTIONS, NOW), {
    name: 'PrometheusError',
    status: 503,
  });
  for (const answer of waiting) answer();
  await nextTurn();
  t.equal(asked, 3, 'those that were on their way');
});
