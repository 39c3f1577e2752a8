/**
 * A start with many records against the real API server: how long until it is ready, that it is not ready before, how much
 * memory that takes at most, and what each change of a record costs from then on.
 */
import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { startTuner, type Tuner } from '../cluster/tuner.ts';
import { until } from '../cluster/until.ts';
import { asImage } from './as-image.ts';

const RECORDS = '/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords';
const AT_ONCE = 32;
const STARTS = 3;

/** @param args `--records <how many>` (default 20000), `--changes <how many>` (default 2000) */
export async function run(args: string[]): Promise<void> {
  const option = (name: string, otherwise: number) =>
    Number(args[args.indexOf(name) + 1 || Number.POSITIVE_INFINITY] ?? otherwise);
  const [records, changes] = [option('--records', 20_000), option('--changes', 2_000)];
  const cluster = await startCluster({ say: console.error });
  try {
    const tuner = await startTuner(cluster, await asImage());
    await tuner.kill();
    console.error(`creating ${records} records…`);
    await each(records, (index) => create(cluster, index));
    for (let start = 1; start <= STARTS; start += 1) {
      const { seconds, polls } = await timedStart(tuner, records);
      const said = `start ${start}: ready after ${seconds.toFixed(2)} s with ${records} records, not before (${polls} looks)`;
      console.log(`${said}; ${memoryOf(tuner)}`);
      if (start < STARTS) await tuner.kill();
    }
    console.log(await costOfChanges(cluster, tuner, changes, records));
    await tuner.stop();
  } finally {
    await cluster.stop();
  }
}

async function each(count: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const actor = async () => {
    for (let index = next++; index < count; index = next++) await act(index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, actor));
}

/** A record in production: an override, and a status as the worker writes it. */
async function create(cluster: Cluster, index: number): Promise<void> {
  const name = `record-${index}`;
  const metadata = { name, namespace: 'default', labels: { team: `team-${index % 50}` } };
  const overrides = { sidecar: { request: '64Mi', limit: '128Mi' } };
  const body = {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata,
    spec: { nfr: { memory_tuning: { enforce: true, overrides } } },
  };
  await sent(cluster, RECORDS, 'POST', body);
  const decided = { request: '224Mi', limit: '336Mi', at: '2026-01-31T10:00:00Z' };
  const containers = ['function', 'odgm', 'sidecar'].map((container) => ({
    name: container,
    workload: `Deployment/${name}`,
    current: { request: '256Mi', limit: '512Mi' },
    observed: { ws_avg: '110Mi', ws_p95: '180Mi', ws_max: '210Mi', window: '6h' },
    recommended: decided,
    applied: decided,
    source: 'applied',
    rationale: 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi',
  }));
  const status = { nfr_recommendations: { memory: { phase: 'Enforcing', containers } } };
  await sent(cluster, `${RECORDS}/${name}/status`, 'PATCH', { status });
}

async function sent(cluster: Cluster, path: string, method: string, body: object): Promise<void> {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const { status, body: said } = await cluster.api().send(path, { method, contentType, body });
  if (status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(said)}`);
}

/** @throws {Error} when it says that it is ready and does not hold every record */
async function timedStart(tuner: Tuner, records: number): Promise<{ seconds: number; polls: number }> {
  const started = performance.now();
  let [seconds, polls] = [Number.NaN, 0];
  const starting = tuner.start();
  await until(
    'the tuner to be ready',
    async () => {
      polls += 1;
      if ((await request(`${tuner.opsUrl}/readyz`)).statusCode !== 200) return false;
      seconds = (performance.now() - started) / 1000;
      return true;
    },
    { everyMs: 20 },
  );
  const held = await metricOf(tuner, 'oaas_tuner_store_records');
  if (held !== records) throw new Error(`ready with ${held} of ${records} records`);
  await starting;
  return { seconds, polls };
}

async function metricOf(tuner: Tuner, metric: string): Promise<number> {
  return Number(new RegExp(`^${metric} (.+)$`, 'm').exec(await tuner.metrics())?.[1]);
}

/** As the kernel counts it. */
function memoryOf(tuner: Tuner): string {
  const status = readFileSync(`/proc/${tuner.pid()}/status`, 'utf8');
  const mebibytes = (field: string) => Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return `${mebibytes('VmHWM')} MiB resident at most, ${mebibytes('VmRSS')} MiB now`;
}

async function costOfChanges(cluster: Cluster, tuner: Tuner, changes: number, records: number): Promise<string> {
  const before = await metricOf(tuner, 'process_cpu_seconds_total');
  const started = performance.now();
  await each(changes, (index) =>
    sent(cluster, `${RECORDS}/record-${index % records}`, 'PATCH', { metadata: { labels: { change: `${index}` } } }),
  );
  // Events keep their order: who knows the last record knows the changes before it.
  await create(cluster, records);
  await until('the last change', async () => (await metricOf(tuner, 'oaas_tuner_store_records')) === records + 1);
  const seconds = (performance.now() - started) / 1000;
  const cpu = (await metricOf(tuner, 'process_cpu_seconds_total')) - before;
  return `${changes} changes in ${seconds.toFixed(1)} s: ${((cpu / changes) * 1000).toFixed(2)} ms of CPU each; ${memoryOf(tuner)}`;
}
