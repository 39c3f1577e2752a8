/**
 * Whether the tuner stays as it is: mixed reviews, records that change, certificates that are replaced and a worker at
 * work, for twenty minutes, against the real API server and Prometheus. What may not grow is told minute by minute.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { issueAuthority, issueLeaf } from '../../src/serve/certificates.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import { record } from '../cluster/stage.ts';
import { byUrl, install, startTuner, type Tuner } from '../cluster/tuner.ts';
import { asImage } from './as-image.ts';
import { createObjects, UNTIL, WINDOWS, writeSamples } from './crowd.ts';
import { quantile } from './load.ts';
import { pacedLoad } from './paced-load.ts';
import { drawPlots } from './plot.ts';
import { reviewBody } from './reviews.ts';

const MINUTE = 60_000;
const WORKLOADS = 100;
const RECORD_EVERY_MS = 200;
const CERTIFICATE_EVERY_MS = 20_000;

const BODIES = [
  reviewBody({ operation: 'UPDATE', containers: 1, patched: false, bytes: 6_000 }, 'orders'),
  reviewBody({ operation: 'UPDATE', containers: 1, patched: true, settled: true, bytes: 6_000 }, 'orders'),
  reviewBody({ operation: 'UPDATE', containers: 4, patched: true, bytes: 6_000 }, 'orders'),
  reviewBody({ operation: 'CREATE', containers: 1, patched: true, bytes: 2_000 }, 'orders'),
  reviewBody({ operation: 'UPDATE', containers: 1, patched: true, bytes: 60_000 }, 'orders'),
];

type Row = {
  minute: number;
  reviews: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
  eventLoopP99Ms: number;
  rssMiB: number;
  heapMiB: number;
  /** so far */
  cycles: number;
  certificates: number;
  recordChanges: number;
};

/** What has to be flat, and how much more the last third may be than the middle one: answers depend on the machine's other work. */
const FLAT: Partial<Record<keyof Row, { title: string; atMost: number }>> = {
  rssMiB: { title: 'resident memory, MiB', atMost: 1.1 },
  heapMiB: { title: 'heap of the main thread, MiB', atMost: 1.2 },
  eventLoopP99Ms: { title: 'delay of the event loop, p99, ms', atMost: 1.5 },
  p99Ms: { title: 'answer to a review, p99, ms', atMost: 1.5 },
};

/** @param args `--minutes <how many>` (default 20) */
export async function run(args: string[]): Promise<void> {
  const minutes = Number(args[args.indexOf('--minutes') + 1 || Number.POSITIVE_INFINITY] ?? 20);
  const cluster = await startCluster({ prometheus: true, scrapeIntervalSecs: 15, say: console.error });
  const abort = new AbortController();
  try {
    const ca = authorityOf(cluster);
    await install(cluster, byUrl(1, cluster.caFile));
    await createObjects(cluster, WORKLOADS, console.error);
    const samples = keepSamples(cluster, abort.signal);
    await samples.first;
    await cluster.apply(record({ overrides: overridesOf(0) }));
    const tuner = await startTuner(cluster, {
      OPRC_CRM_PROM_URL: cluster.prometheusUrl,
      OPRC_CRM_ANALYZER_INTERVAL_SECS: '5',
      OPRC_CRM_SCRAPE_INTERVAL_SECS: String(WINDOWS.scrapeSeconds),
      OPRC_CRM_SHORT_WINDOW_SECS: String(WINDOWS.shortSeconds),
      OPRC_CRM_LONG_WINDOW_SECS: String(WINDOWS.longSeconds),
      OAAS_TUNER_LOG_LEVEL: 'warn',
      ...(await asImage()),
    });
    const changes = { count: 0 };
    const others = [samples.rest, changeRecords(cluster, changes, abort.signal), ca.replace(abort.signal)];
    const rows: Row[] = [];
    for (let minute = 1; minute <= minutes; minute += 1) {
      rows.push(await oneMinute(minute, tuner, ca.bundle, changes));
      print(rows);
    }
    abort.abort();
    await Promise.all(others);
    await tuner.stop();
    report(rows);
  } finally {
    abort.abort();
    await cluster.stop();
  }
}

/** Connections are new each minute, so that new certificates are seen. */
async function oneMinute(minute: number, tuner: Tuner, ca: string, changes: { count: number }): Promise<Row> {
  const timed = await pacedLoad(tuner.reviewsPort, ca, BODIES, AbortSignal.timeout(MINUTE));
  const text = await tuner.metrics();
  const took = Float64Array.from(timed.map(({ tookMs }) => tookMs)).sort();
  return {
    ...{ minute, reviews: took.length, failed: took.filter((ms) => ms === Number.POSITIVE_INFINITY).length },
    ...{ p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) },
    // prom-client begins anew after each look: this is the delay within the minute.
    eventLoopP99Ms: metric(text, 'nodejs_eventloop_lag_p99_seconds') * 1000,
    rssMiB: metric(text, 'process_resident_memory_bytes') / 2 ** 20,
    heapMiB: metric(text, 'nodejs_heap_size_used_bytes') / 2 ** 20,
    cycles: metric(text, 'oaas_tuner_cycles_total{outcome="ok"}'),
    certificates: metric(text, 'oaas_tuner_certificates_served_total'),
    recordChanges: changes.count,
  };
}

/** A CA in the tuner's folder that outlives its leaves. */
function authorityOf(cluster: Cluster) {
  const folder = join(cluster.folder, 'tuner-certs');
  const authority = issueAuthority('soak', Date.now());
  mkdirSync(folder, { recursive: true });
  const write = () => {
    const leaf = issueLeaf(authority, ['localhost', '127.0.0.1'], Date.now());
    writeFileSync(join(folder, 'tls.key'), leaf.key);
    writeFileSync(join(folder, 'tls.crt'), leaf.cert);
  };
  writeFileSync(join(folder, 'ca.crt'), authority.cert);
  write();
  return {
    bundle: readFileSync(join(folder, 'ca.crt'), 'utf8'),
    replace: (signal: AbortSignal) => repeat(signal, CERTIFICATE_EVERY_MS, async () => write()),
  };
}

/** Samples reach some minutes ahead; before they run out there are new ones. */
function keepSamples(cluster: Cluster, signal: AbortSignal) {
  let start = Date.now();
  const first = writeSamples(cluster, WORKLOADS, start, console.error);
  const rest = first.then(() =>
    repeat(signal, UNTIL / 2, async () => {
      const written = start + UNTIL;
      start = Date.now();
      await writeSamples(cluster, WORKLOADS, start, () => {}, written);
    }),
  );
  return { first, rest };
}

/** The record that the reviews name, and others. */
function changeRecords(cluster: Cluster, changes: { count: number }, signal: AbortSignal): Promise<void> {
  return repeat(signal, RECORD_EVERY_MS, async () => {
    changes.count += 1;
    await cluster.apply(
      record({
        name: changes.count % 2 === 0 ? 'orders' : `other-${changes.count % 500}`,
        overrides: overridesOf(changes.count),
      }),
    );
  });
}

function overridesOf(turn: number) {
  const values = { request: `${200 + (turn % 50)}Mi`, limit: '336Mi' };
  return Object.fromEntries(Array.from({ length: 4 }, (_, index) => [`tuned-${index}`, values]));
}

async function repeat(signal: AbortSignal, everyMs: number, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted) await act();
  }
}

function metric(text: string, name: string): number {
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1),
  );
}

function print(rows: Row[]): void {
  const row = rows.at(-1) as Row;
  if (rows.length === 1)
    console.log(
      Object.keys(row)
        .map((head) => head.padStart(15))
        .join(''),
    );
  console.log(
    Object.values(row)
      .map((value) => value.toFixed(Number.isInteger(value) ? 0 : 1).padStart(15))
      .join(''),
  );
}

function report(rows: Row[]): void {
  mkdirSync('out', { recursive: true });
  writeFileSync('out/bench-soak.json', `${JSON.stringify(rows, null, 2)}\n`);
  const plots = Object.entries(FLAT).map(([key, { title }]) => ({
    title,
    values: rows.map((row) => row[key as keyof Row]),
  }));
  writeFileSync('out/bench-soak.svg', drawPlots(plots, 'minute'));
  const third = Math.ceil(rows.length / 3);
  for (const [key, { title, atMost }] of Object.entries(FLAT)) {
    const mean = (part: Row[]) => part.reduce((sum, row) => sum + row[key as keyof Row], 0) / part.length;
    const ratio = mean(rows.slice(-third)) / mean(rows.slice(-2 * third, -third));
    console.log(
      `${title}: the last third is ${ratio.toFixed(2)} of the one before; ${ratio <= atMost ? 'flat' : `NOT flat (${atMost})`}`,
    );
  }
  console.log('out/bench-soak.svg shows it, out/bench-soak.json holds it');
}
