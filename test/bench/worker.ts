/**
 * What a cycle costs as workloads grow: the tuner as a process of its own against the real Prometheus and the real API
 * server, with as many workloads of three pods and two containers each. Beside the cycles reviews are asked for, a few
 * hundred a second: what they wait while a cycle runs is compared with what they wait while none does.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { available } from '../cluster/binaries.ts';
import { type Cluster, partsFor, startCluster } from '../cluster/cluster.ts';
import { record } from '../cluster/stage.ts';
import { byUrl, install, startTuner, type Tuner } from '../cluster/tuner.ts';
import { until } from '../cluster/until.ts';
import { asImage } from './as-image.ts';
import { CONTAINERS, createObjects, PODS, UNTIL, WINDOWS, writeSamples } from './crowd.ts';
import { quantile } from './load.ts';
import { pacedLoad, type Timed } from './paced-load.ts';
import { occupy, pin, pinnable } from './pin.ts';
import { reviewBody } from './reviews.ts';

/** The interval leaves about as much time without a cycle as with one. */
const SIZES = [
  { workloads: 100, intervalSecs: 2 },
  { workloads: 1000, intervalSecs: 5 },
  { workloads: 10_000, intervalSecs: 30 },
];

const PARTS = { prometheus: true, scrapeIntervalSecs: 15 } as const;

/** Cycles after the first one that costs are the mean of, and cycles beside which reviews are timed. */
const QUIET = 2;
const LOADED = { cycles: 4, seconds: 40 };

const MINUTE = 60_000;

/** A cycle as the tuner's log tells it. */
type Cycle = {
  /** when it ended, in milliseconds since the epoch */
  time: number;
  seconds: number;
  written: number;
  failed: number;
  containers: number;
  steps: Record<'list' | 'collect' | 'decide' | 'write', number>;
  trouble?: string;
};

type Row = {
  workloads: number;
  /** the first cycle, in which every record is new */
  first: Costs;
  /** the mean of those after it */
  later: Costs;
  peakRssMiB: number;
  admission: Record<'idle' | 'cycle', { reviews: number; p50Ms: number; p99Ms: number; eventLoopP99Ms: number }>;
};

/** Of one cycle. */
type Costs = {
  seconds: number;
  steps: Cycle['steps'];
  written: number;
  /** CPU of the whole process, in seconds */
  cpu: number;
  /** as Prometheus counts them: queries, bytes of its answers, seconds that it took for them (together) */
  queries: number;
  bytes: number;
  prometheusSeconds: number;
};

/** @param args `--workloads 100,1000` for less than all */
export async function run(args: string[]): Promise<void> {
  const can = available(partsFor(PARTS));
  if (!can.ok) throw new Error(`npm run bench -- worker ${can.why}`);
  const wanted = args[args.indexOf('--workloads') + 1 || Number.POSITIVE_INFINITY]?.split(',').map(Number);
  console.log(
    `node ${process.version}; each workload: ${PODS} pods, ${CONTAINERS.length} containers; windows ${WINDOWS.shortSeconds / 60} and ${WINDOWS.longSeconds / 60} min, a sample each ${WINDOWS.scrapeSeconds} s`,
  );
  const image = await asImage();
  const rows: Row[] = [];
  for (const size of SIZES.filter(({ workloads }) => wanted?.includes(workloads) ?? true)) {
    rows.push(await measure(size, image));
    print(rows);
  }
  mkdirSync('out', { recursive: true });
  writeFileSync('out/bench-worker.json', `${JSON.stringify(rows, null, 2)}\n`);
  console.log('\nout/bench-worker.json holds the same as JSON');
}

async function measure({ workloads, intervalSecs }: (typeof SIZES)[number], image: object): Promise<Row> {
  const say = progress(`${workloads} workloads`);
  say('starting a cluster');
  const cluster = await startCluster({ ...PARTS, say });
  try {
    await install(cluster, byUrl(1, cluster.caFile));
    await createObjects(cluster, workloads, say);
    // After the objects: the samples are of now, and reach only a few minutes ahead.
    const start = Date.now();
    await writeSamples(cluster, workloads, start, say);
    // The one that the reviews name.
    const overrides = { 'tuned-0': { request: '224Mi', limit: '336Mi' } };
    await cluster.apply(record({ overrides }));
    const tuner = await startTuner(cluster, {
      OPRC_CRM_PROM_URL: cluster.prometheusUrl,
      OPRC_CRM_ANALYZER_INTERVAL_SECS: String(intervalSecs),
      OPRC_CRM_SCRAPE_INTERVAL_SECS: String(WINDOWS.scrapeSeconds),
      OPRC_CRM_SHORT_WINDOW_SECS: String(WINDOWS.shortSeconds),
      OPRC_CRM_LONG_WINDOW_SECS: String(WINDOWS.longSeconds),
      OAAS_TUNER_LOG_LEVEL: 'debug',
      ...image,
    });
    try {
      const row = { workloads, ...(await watch(cluster, tuner, workloads, say)) };
      if (Date.now() > start + UNTIL) say('the samples ran out before the end: this row is worth nothing');
      return row;
    } finally {
      await tuner.stop();
    }
  } finally {
    await cluster.stop();
  }
}

async function watch(cluster: Cluster, tuner: Tuner, workloads: number, say: (line: string) => void) {
  const patience = { timeoutMs: 6 * MINUTE, everyMs: 500 };
  const after = async (count: number) => {
    await until(`cycle ${count}`, async () => finished(await tuner.metrics()) >= count, patience);
    return cycles(tuner);
  };
  const meter = async () => ({ cpu: cpuSeconds(tuner), ...(await answered(cluster)) });
  const difference = (from: Awaited<ReturnType<typeof meter>>, to: typeof from, count: number) => ({
    cpu: (to.cpu - from.cpu) / count,
    queries: (to.queries - from.queries) / count,
    bytes: (to.bytes - from.bytes) / count,
    prometheusSeconds: (to.prometheusSeconds - from.prometheusSeconds) / count,
  });

  say('waiting for the first cycle, in which every record is new');
  const before = await meter();
  const [first] = (await after(1)) as [Cycle];
  const afterFirst = await meter();
  check(first, workloads);
  say(`the first cycle took ${first.seconds.toFixed(1)} s; ${QUIET} more, alone`);
  const quiet = (await after(1 + QUIET)).slice(1, 1 + QUIET);
  const afterQuiet = await meter();
  for (const one of quiet) check(one, workloads);
  const mean = (of: (one: Cycle) => number) => quiet.reduce((sum, one) => sum + of(one), 0) / quiet.length;
  const steps = { ...first.steps };
  for (const step of Object.keys(steps) as (keyof typeof steps)[]) steps[step] = mean((one) => one.steps[step]);

  say('and some with reviews beside them');
  const together = apart(cluster, tuner, say);
  const admission = await timeReviews(cluster, tuner).finally(together);
  return {
    first: { ...first, ...difference(before, afterFirst, 1) },
    later: {
      ...{ seconds: mean(({ seconds }) => seconds), steps, written: mean(({ written }) => written) },
      ...difference(afterFirst, afterQuiet, QUIET),
    },
    peakRssMiB: peakRss(tuner) / 2 ** 20,
    admission,
  };
}

/** A cycle that failed costs little: it must not be taken for a good one. */
function check({ trouble, failed, containers }: Cycle, workloads: number): void {
  if (trouble !== undefined) throw new Error(`a cycle without usage: ${trouble}`);
  if (failed > 0) throw new Error(`${failed} records failed`);
  if (containers < workloads * CONTAINERS.length) throw new Error(`only ${containers} containers were looked at`);
}

async function timeReviews(cluster: Cluster, tuner: Tuner): Promise<Row['admission']> {
  const ca = readFileSync(join(cluster.folder, 'tuner-certs', 'ca.crt'), 'utf8');
  const body = reviewBody({ operation: 'UPDATE', containers: 1, patched: true, bytes: 6000 }, 'orders');
  const abort = new AbortController();
  const loops: Timed[] = [];
  const reviews = pacedLoad(tuner.reviewsPort, ca, [body], abort.signal);
  const started = Date.now();
  // One more than is wanted: the first may have begun before the reviews.
  const wanted = finished(await tuner.metrics()) + LOADED.cycles + 1;
  for (let count = 0; count < wanted || Date.now() < started + LOADED.seconds * 1000; ) {
    if (Date.now() > started + 5 * MINUTE) throw new Error('no more cycles');
    await sleep(1000);
    // prom-client begins anew after each look: this is the delay of the last second.
    const text = await tuner.metrics();
    count = finished(text);
    loops.push({
      at: Date.now() - 1000,
      tookMs: metric(text, 'nodejs_eventloop_lag_p99_seconds') * 1000,
    });
  }
  abort.abort();
  // A warm start: the JIT has to have seen the reviews. And the end: whether a cycle was running then is not known yet.
  const last = cycles(tuner).at(-1)?.time ?? 0;
  const timed = (await reviews).filter(({ at }) => at > started + 3000 && at < last);
  const ran = cycles(tuner).map(({ time, seconds }) => [time - seconds * 1000, time] as const);
  const during = ({ at }: Timed, length: number) => ran.some(([from, to]) => at + length > from && at < to);
  const side = (cycle: boolean) => {
    const sorted = Float64Array.from(
      timed.filter((one) => during(one, 0) === cycle).map(({ tookMs }) => tookMs),
    ).sort();
    const lags = loops.filter((one) => one.at < last && during(one, 1000) === cycle).map(({ tookMs }) => tookMs);
    return {
      reviews: sorted.length,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      eventLoopP99Ms: lags.length === 0 ? Number.NaN : Math.max(...lags),
    };
  };
  return { idle: side(false), cycle: side(true) };
}

/** How many cycles have ended so far, well or not. To parse the log that often would be a load of its own. */
function finished(text: string): number {
  return ['ok', 'no-usage', 'failed'].reduce(
    (sum, outcome) => sum + metric(text, `oaas_tuner_cycles_total{outcome="${outcome}"}`),
    0,
  );
}

/** Every cycle that has ended so far. */
function cycles(tuner: Tuner): Cycle[] {
  const lines = tuner.log();
  const failed = lines.find(({ msg }) => msg === 'cycle failed');
  if (failed) throw new Error(`a cycle failed: ${failed.error}`);
  const ended = lines.filter(({ msg }) => msg === 'cycle finished') as unknown as (Omit<Cycle, 'time'> & {
    time: string;
  })[];
  return ended.map((one) => ({ ...one, time: Date.parse(one.time) }));
}

/** What Prometheus itself counts of its answers to queries. */
async function answered(cluster: Cluster): Promise<Pick<Costs, 'queries' | 'bytes' | 'prometheusSeconds'>> {
  const text = await (await request(`${cluster.prometheusUrl}/metrics`)).body.text();
  const of = '{handler="/api/v1/query"}';
  return {
    queries: metric(text, `prometheus_http_request_duration_seconds_count${of}`),
    prometheusSeconds: metric(text, `prometheus_http_request_duration_seconds_sum${of}`),
    bytes: metric(text, `prometheus_http_response_size_bytes_sum${of}`),
  };
}

/** 0 where there is none yet. */
function metric(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** User and system time of all threads so far. Linux only. */
function cpuSeconds(tuner: Tuner): number {
  const stat = readFileSync(`/proc/${tuner.pid()}/stat`, 'utf8');
  // The name, in parentheses, may hold spaces; user and system time are the 14th and 15th field, in hundredths.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** In bytes. Linux only. */
function peakRss(tuner: Tuner): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${tuner.pid()}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/**
 * The tuner and the reviews keep to one core, the cluster's programs to another, which is busy all the time: in a real cluster
 * they are on other machines, and what Prometheus computes is no cost of ours.
 *
 * @returns ends that
 */
function apart(cluster: Cluster, tuner: Tuner, say: (line: string) => void): () => void {
  if (!pinnable()) {
    say('the reviews compete with the cluster for the CPU: there is no taskset, or one core only');
    return () => {};
  }
  for (const name of ['etcd', 'apiserver', 'prometheus'] as const) pin(cluster.pid(name), '1');
  for (const pid of [tuner.pid(), process.pid]) if (pid !== undefined) pin(pid, '0');
  return occupy('1');
}

function progress(what: string): (line: string) => void {
  const started = performance.now();
  return (line) =>
    console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${what}: ${line}`);
}

function print(rows: Row[]): void {
  const table = (title: string, heads: string[], cells: (row: Row) => (string | number)[]) => {
    console.log(`\n${title}\n  ${['workloads', ...heads].map((head) => head.padStart(11)).join('')}`);
    for (const row of rows) {
      console.log(`  ${[row.workloads, ...cells(row)].map((cell) => String(cell).padStart(11)).join('')}`);
    }
  };
  const costs = ({ seconds, steps, written, cpu, queries, bytes, prometheusSeconds }: Costs, workloads: number) => [
    queries.toFixed(0),
    (bytes / 1e6).toFixed(2),
    seconds.toFixed(2),
    ...[steps.list, steps.collect, steps.decide, steps.write].map((step) => step.toFixed(2)),
    prometheusSeconds.toFixed(2),
    cpu.toFixed(2),
    ((cpu / workloads) * 1e6).toFixed(0),
    written.toFixed(0),
  ];
  const heads = ['queries', 'MB read', 'cycle s', 'list s', 'collect s', 'decide s', 'write s', 'Prom. s', 'our CPU s'];
  heads.push('µs/workload', 'written');
  table('a later cycle', heads, ({ later, workloads }) => costs(later, workloads));
  table('the first cycle', heads, ({ first, workloads }) => costs(first, workloads));
  table(
    'reviews while no cycle runs | while one does',
    ['p50 ms', 'p99 ms', 'loop p99', '| p50 ms', 'p99 ms', 'loop p99', 'p99 ratio', 'RSS MiB'],
    ({ admission: { idle, cycle }, peakRssMiB }) => [
      ...[idle.p50Ms, idle.p99Ms, idle.eventLoopP99Ms].map((ms) => ms.toFixed(2)),
      ...[cycle.p50Ms, cycle.p99Ms, cycle.eventLoopP99Ms].map((ms) => ms.toFixed(2)),
      (cycle.p99Ms / idle.p99Ms).toFixed(2),
      peakRssMiB.toFixed(0),
    ],
  );
}
