/** Servers that speak Prometheus' API with an accent, each played as its documentation and source have it (docs/prometheus.md). */
import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { accessOf } from '../../src/collect/access.ts';
import { createPrometheus } from '../../src/collect/prometheus.ts';
import { createCollector, type Target } from '../../src/collect/usage.ts';
import { readSettings } from '../../src/settings.ts';
import { playPrometheus, type Question, sendJson, sendText, vector } from './played-prometheus.ts';

const NOW = Date.parse('2026-01-31T10:00:00Z');
const TARGETS: Target[] = ['shop', 'bank'].map((namespace) => ({
  ...{ namespace, ref: 'Deployment/orders', deployments: ['orders'], open: false },
}));

/** Every statistic of `orders` in the namespaces that were asked for. */
function answer({ form }: Question, response: ServerResponse, more: object = {}): void {
  const promql = form.get('query') ?? '';
  const namespaces = /namespace=~"([^"]*)"/.exec(promql)?.[1]?.split('|') ?? [];
  const statistics = promql.startsWith('sum') ? ['sum', 'count'] : ['max', 'p95', 'samples'];
  const labels = namespaces.flatMap((namespace) =>
    statistics.map((statistic) => ({ namespace, workload: 'orders', container: 'function', statistic })),
  );
  sendJson(
    response,
    vector(
      labels.map((one) => [one, 100]),
      more,
    ),
  );
}

/** One look by these settings at a server that answers so. */
async function look(
  t: Test,
  path: string,
  env: Record<string, string>,
  serve: (question: Question, response: ServerResponse) => void,
) {
  const server = await playPrometheus(serve);
  t.teardown(server.close);
  const read = readSettings({ ...env, OPRC_CRM_PROM_URL: `${server.url}${path}` });
  if ('problems' in read) throw new Error(read.problems.join());
  const { settings } = read;
  const prometheus = createPrometheus({
    ...{ url: settings.prometheusUrl, timeoutMs: 5_000, params: settings.prometheusParams },
    ...{ access: accessOf(settings), firstWaitMs: 1 },
  });
  return createCollector(prometheus, settings)(TARGETS, NOW, AbortSignal.timeout(20_000));
}

const seen = ({ usage }: Awaited<ReturnType<typeof look>>) =>
  [...usage].map(([key, { partial, short }]) => [key.split('/')[0], partial, short?.max]);
const WHOLE = [
  ['shop', false, 100],
  ['bank', false, 100],
];

t.test('Thanos answers raw and whole, because it is asked to', async (t) => {
  const found = await look(t, '', {}, (question, response) => {
    const { form } = question;
    if (form.get('max_source_resolution') !== '0s') return answer(question, response, { warnings: ['downsampled'] });
    if (form.get('partial_response') !== 'false')
      return answer(question, response, { warnings: ['a store is missing'] });
    answer(question, response);
  });
  t.strictSame(seen(found), WHOLE);
});

t.test('Thanos without a store: an error, and nothing is decided', async (t) => {
  const lacking = look(t, '', {}, (_question, response) => {
    const error = 'expanding series: proxy Series(): rpc error: code = Unavailable';
    sendJson(response, { status: 'error', errorType: 'execution', error }, 422);
  });
  await t.rejects(lacking, { message: /^Prometheus refused a query: HTTP 422: expanding series: proxy Series\(\)/ });
});

t.test('Mimir wants a tenant, and is found below its prefix', async (t) => {
  const serve = (question: Question, response: ServerResponse) => {
    if (question.path !== '/prometheus/api/v1/query') return sendText(response, '404 page not found', 404);
    if (question.headers['x-scope-orgid'] !== 'team-a') return sendText(response, 'no org id', 401);
    answer(question, response);
  };
  t.strictSame(seen(await look(t, '/prometheus', { OPRC_CRM_PROM_HEADERS: 'X-Scope-OrgID: team-a' }, serve)), WHOLE);
  await t.rejects(look(t, '/prometheus', {}, serve), { message: /HTTP 401 \(check .*OPRC_CRM_PROM_HEADERS/ });
  await t.rejects(look(t, '', {}, serve), { message: /HTTP 404 \(check the path of OPRC_CRM_PROM_URL\)/ });
});

t.test('Grafana Cloud takes a number and a token as user and password', async (t) => {
  const basic = Buffer.from('12345:glc_token').toString('base64');
  const file = t.testdir({ headers: `Authorization: Basic ${basic}\n` });
  const found = await look(t, '/api/prom', { OPRC_CRM_PROM_HEADERS_FILE: `${file}/headers` }, (question, response) => {
    if (question.authorization === `Basic ${basic}`) answer(question, response);
    else sendText(response, 'unauthorized', 401);
  });
  t.strictSame(seen(found), WHOLE);
});

t.test('VictoriaMetrics asks for patience in plain text, and names errors by their status', async (t) => {
  let asked = 0;
  const found = await look(t, '/select/0/prometheus', {}, (question, response) => {
    asked += 1;
    if (asked === 1) return void response.writeHead(429, { 'retry-after': '0' }).end('too many concurrent requests');
    const namespaces = /namespace=~"([^"]*)"/.exec(question.form.get('query') ?? '')?.[1] ?? '';
    if (namespaces.includes('|')) {
      const error = 'too long query; got 20000 bytes; cannot exceed `-search.maxQueryLen=16384` bytes';
      return sendJson(response, { status: 'error', errorType: '400', error }, 400);
    }
    answer(question, response);
  });
  t.strictSame(new Set(seen(found)), new Set(WHOLE));
});

t.test('VictoriaMetrics with a storage node missing may raise, never lower', async (t) => {
  const found = await look(t, '', {}, (question, response) => answer(question, response, { isPartial: true }));
  t.strictSame(seen(found), [
    ['shop', true, 100],
    ['bank', true, 100],
  ]);
});
