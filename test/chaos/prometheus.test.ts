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
  const own = statuses.filter(({ metadata }) => (metadata as JsonObject).name === 'enforced');
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return (own.at(-1) as any)?.status.nfr_recommendations.memory;
}

const FAULTS: Record<string, { answers: (response: ServerResponse) => void; says: RegExp }> = {
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
    const prometheus = await playPrometheus((_, response) => answers(response));
    t.teardown(prometheus.close);
    const { cluster, tuner } = await observing(t, prometheus.url);
    await tuner.line('usage could not be read', ({ error }) => says.test(String(error)));
    await keepsItsPromise(t, tuner, 'right');
    await until('a cycle to be counted', async () => (await cycles(tuner, 'no-usage')) > 0);
    const { phase, message, containers } = await until('a status', () => lastStatus(cluster));
    t.equal(phase, 'Degraded');
    t.match(message, says);
    t.strictSame(containers ?? [], [], 'nothing is decided');
  });
}

t.test('hanging: reviews go on while a cycle waits', async (t) => {
  const prometheus = await playPrometheus(() => {});
  t.teardown(prometheus.close);
  const { tuner } = await observing(t, prometheus.url);
  await until('questions', () => prometheus.questions.length > 0);
  await keepsItsPromise(t, tuner, 'right');
});

/** Every series that was ever asked for has this value. */
const everything = (value: string | number): Json =>
  vector([[{ namespace: 'shop', workload: 'enforced', container: 'function' }, value]]);

const LIES: Record<string, { answer: () => Json }> = {
  'that everything uses 1e300 bytes': { answer: () => everything('1e300') },
  'that everything uses a byte': { answer: () => everything(1) },
  'that nothing is a number': { answer: () => everything('NaN') },
  'that less than nothing is used': { answer: () => everything(-5e9) },
  'with texts': { answer: () => everything('much') },
  'with labels that are none': {
    answer: () => ({ status: 'success', data: { result: [{ metric: 7, value: 7 }, null, 7] } }),
  },
  'with something deep': { answer: () => JSON.parse(`${'['.repeat(5_000)}${']'.repeat(5_000)}`) as Json },
  'with 100,000 workloads': {
    answer: () =>
      vector(Array.from({ length: 100_000 }, (_, index) => [{ namespace: 'shop', workload: `w-${index}` }, index])),
  },
};

for (const [how, { answer }] of Object.entries(LIES)) {
  t.test(`lying ${how}: reviews go on, and what it may bring about stays within bounds`, async (t) => {
    const lie = JSON.stringify(answer());
    const prometheus = await playPrometheus((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(lie);
    });
    t.teardown(prometheus.close);
    const { cluster, tuner } = await observing(t, prometheus.url);
    const finished = async () => (await cycles(tuner, 'ok')) + (await cycles(tuner, 'no-usage'));
    await until('two cycles', async () => (await finished()) >= 2);
    await keepsItsPromise(t, tuner, 'right');
    for (const { applied, recommended } of lastStatus(cluster)?.containers ?? []) {
      if (recommended) t.ok(within(recommended.request, 64, 4096) && within(recommended.limit, 128, 8192), 'clamped');
      if (!applied) continue;
      // 256Mi/512Mi run: at most 30 % of it at a step, unless more is in use, and then not above the clamp.
      t.ok(within(applied.request, 176, 4096) && within(applied.limit, 352, 8192), JSON.stringify(applied));
    }
  });
}

function within(quantity: string, low: number, high: number): boolean {
  const bytes = readBytes(quantity) ?? 0;
  return bytes >= low * Mi && bytes <= high * Mi;
}
