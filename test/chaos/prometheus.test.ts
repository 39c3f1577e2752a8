/** What Prometheus may do to us while reviews come in: be down, hang, refuse, lie, never stop talking. */
import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { readBytes } from '../../src/domain/quantity.ts';
import { edited } from '../admit/objects.ts';
import { until } from '../cluster/until.ts';
import { playPrometheus, sendJson, sendText, vector } from '../collect/played-prometheus.ts';
import { orders, record } from '../serve/served.ts';
import { type PlayedCluster, playCluster } from './played-cluster.ts';
import { keepsItsPromise, type Running, run } from './running.ts';

const Mi = 1024 * 1024;

/** A second record whose worker may write what it likes, and its workload, which runs with 256Mi/512Mi. */
const enforced = edited(record('enforced', {}), ({ spec }) => (spec.nfr.memory_tuning.enforce = true));
const workload = edited(orders, ({ metadata }) => {
  metadata.name = 'enforced';
  metadata.labels['oaas.io/owner'] = 'enforced';
});

async function observing(
  t: Test,
  prometheus: string,
  execArgv: string[] = [],
): Promise<{ cluster: PlayedCluster; tuner: Running }> {
  const cluster = await playCluster(t, [record(), enforced]);
  cluster.workloads = [workload];
  const env = {
    KUBECONFIG: cluster.kubeconfig,
    OPRC_CRM_PROM_URL: prometheus,
    OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'true',
    OPRC_CRM_ANALYZER_INTERVAL_SECS: '1',
    OAAS_TUNER_LOG_LEVEL: 'debug',
  };
  const tuner = await run(t, { env, execArgv });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  return { cluster, tuner };
}

const cycles = ({ metric }: Running, outcome: string) => metric(`oaas_tuner_cycles_total{outcome="${outcome}"}`);

/** The memory part of the last status that was written for the record `enforced`. */
// biome-ignore lint/suspicious/noExplicitAny: tests know the shape of a status
function lastStatus({ statuses }: PlayedCluster): any {
  // A request for a rollout carries no status.
  const own = statuses.filter(({ metadata, status }) => status && (metadata as JsonObject).name === 'enforced');
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return (own.at(-1) as any)?.status.nfr_recommendations.memory;
}

const FAULTS: Record<string, { answers?: (response: ServerResponse) => void; says: RegExp }> = {
  gone: { says: /ECONNREFUSED/ },
  'starting up': { answers: (response) => sendText(response, 'Service Unavailable', 503), says: /HTTP 503/ },
  refusing: {
    answers: (response) => sendJson(response, { status: 'error', error: 'too many samples' }, 422),
    says: /too many samples/,
  },
  'a proxy that wants a login': {
    answers: (response) => sendText(response, '<html>log in</html>', 200),
    says: /not as Prometheus does/,
  },
  'breaking every connection': { answers: (response) => response.destroy(), says: /does not answer/ },
  'stopping in the middle': {
    answers: (response) =>
      response.writeHead(200, { 'content-length': '1000' }).write('{"status":', () => response.destroy()),
    says: /does not answer/,
  },
  'never done talking': {
    answers: (response) => {
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(Mi)));
      };
      response.writeHead(200).on('drain', more);
      more();
    },
    says: /more than 16 MiB/,
  },
};

for (const [how, { answers, says }] of Object.entries(FAULTS)) {
  t.test(`${how}: reviews go on, the status says it in a sentence, nothing is decided`, async (t) => {
    const prometheus = await playPrometheus((_, response) => answers?.(response));
    if (answers) t.teardown(prometheus.close);
    else await prometheus.close();
    const { cluster, tuner } = await observing(t, prometheus.url);
    const { phase, containers } = await until('a status that says it', () => {
      const status = lastStatus(cluster);
      return says.test(status?.message) && status;
    });
    t.equal(phase, 'Degraded');
    await tuner.line('usage could not be read', ({ error }) => says.test(String(error)));
    const decided = (containers ?? []).filter((one: JsonObject) => one.recommended || one.applied);
    t.strictSame(decided, [], 'nothing is decided');
    await keepsItsPromise(t, tuner, 'right');
    // The worker's metrics reach the others at the end of a cycle, a moment after its status.
    const counted = /^oaas_tuner_prometheus_queries_total\{outcome="(busy|too-much|refused)"\} [1-9]/m;
    t.ok(await until('the metric to count it', async () => counted.test(await tuner.metrics())));
  });
}

t.test('hanging: reviews go on while a cycle waits', async (t) => {
  const prometheus = await playPrometheus(() => {});
  t.teardown(prometheus.close);
  const { tuner } = await observing(t, prometheus.url);
  await until('questions', () => prometheus.questions.length > 0);
  await keepsItsPromise(t, tuner, 'right');
});

t.test('slow: reviews go on, cycles take longer than their interval, and log and metric say so', async (t) => {
  const prometheus = await playPrometheus((_, response) => {
    setTimeout(() => sendJson(response, vector([])), 1_200);
  });
  t.teardown(prometheus.close);
  const { tuner } = await observing(t, prometheus.url);
  await until('a cycle to end', async () => (await cycles(tuner, 'ok')) > 0);
  await tuner.line('the cycle took longer than its interval; the next one starts late');
  t.ok((await tuner.metric('oaas_tuner_cycles_overrun_total')) > 0);
  await keepsItsPromise(t, tuner, 'right');
});

/** Whatever is asked: this is what the container uses. */
const everything = (value: string | number): Json => {
  const statistics = { sum: Number(value) * 1000 || value, count: 1000, samples: 1000 };
  const all = { ...statistics, p95: value, max: value, rss: value, oom: value, request: value, limit: value };
  const labels = { namespace: 'shop', workload: 'enforced', container: 'function' };
  return vector(Object.entries(all).map(([statistic, one]) => [{ ...labels, statistic }, one]));
};

const LIES: Record<string, () => string> = {
  'that everything uses 1e300 bytes': () => JSON.stringify(everything('1e300')),
  'that everything uses 1Ti': () => JSON.stringify(everything(1024 * 1024 * Mi)),
  'that everything uses a byte': () => JSON.stringify(everything(1)),
  'that nothing is a number': () => JSON.stringify(everything('NaN')),
  'that less than nothing is used': () => JSON.stringify(everything(-5e9)),
  'with texts': () => JSON.stringify(everything('much')),
  'with labels that are none': () => '{"status":"success","data":{"result":[{"metric":7,"value":7},null,7]}}',
  'with something deep': () => `${'['.repeat(500_000)}${']'.repeat(500_000)}`,
  'with 50,000 workloads': () =>
    JSON.stringify(
      vector(Array.from({ length: 50_000 }, (_, index) => [{ namespace: 'shop', workload: `w-${index}` }, index])),
    ),
};

for (const [how, lie] of Object.entries(LIES)) {
  t.test(`lying ${how}: reviews go on, and what it may bring about stays within bounds`, async (t) => {
    const text = lie();
    const prometheus = await playPrometheus((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    });
    t.teardown(prometheus.close);
    const { cluster, tuner } = await observing(t, prometheus.url);
    const finished = async () => (await cycles(tuner, 'ok')) + (await cycles(tuner, 'no-usage'));
    await until('two cycles', async () => (await finished()) >= 2);
    await keepsItsPromise(t, tuner, 'right');
    for (const { applied, recommended } of lastStatus(cluster)?.containers ?? []) {
      if (recommended) t.ok(within(recommended.request, 64, 4096) && within(recommended.limit, 128, 8192), 'clamped');
      if (!applied) continue;
      // 256Mi/512Mi run: at most 30 % of it at a step; only more that is in use is followed at once, up to 1Ti.
      const raised = how.includes('1Ti') ? 1024 * 1024 : 672;
      t.ok(within(applied.request, 176, raised) && within(applied.limit, 352, raised), JSON.stringify(applied));
    }
  });
}

function within(quantity: string, low: number, high: number): boolean {
  const bytes = readBytes(quantity) ?? 0;
  return bytes >= low * Mi && bytes <= high * Mi;
}
