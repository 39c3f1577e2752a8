/**
 * `npm run demo [-- folder of records]`: the webhook's story on one screen. The server, the cycle, the rules and the
 * admission are the real ones; the cluster is a folder of YAML files and Prometheus is a recording.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reason } from '../../src/log.ts';
import { deployed } from './acts/deployed.ts';
import { measured } from './acts/measured.ts';
import { mistaken } from './acts/mistaken.ts';
import { overridden } from './acts/overridden.ts';
import { undisturbed } from './acts/undisturbed.ts';
import { NotAsTold } from './expect.ts';
import { nextRelease, readFolder } from './manifest.ts';
import { recordSamples, type Shape } from './samples.ts';
import { createScreen, MARGIN, wrap } from './screen.ts';
import { type Recordings, setStage } from './stage.ts';

/** The moment at which the worker looks first; everything before it is recorded. */
const NOW = Date.parse('2026-01-31T14:00:00Z');
const HOURS = 6;
/** Longer than the cooldown, so that the worker may take another step. */
const LATER_MINUTES = 45;

const SHAPES: Record<string, Shape> = {
  'Deployment/orders/function': { pods: 3, idle: 70, day: 120, teeth: 36, burst: 110 },
  'Deployment/orders/odgm': { pods: 3, idle: 62, day: 10, teeth: 4, burst: 14 },
  'KnativeService/payments/api': { pods: 2, idle: 120, day: 60, teeth: 60, burst: 160 },
  'Deployment/search/index': { pods: 2, idle: 190, day: 90, teeth: 30, burst: 60 },
};

const here = import.meta.dirname;
const recordsFolder = process.argv[2] ?? join(here, 'records');

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR;
const columns = process.stdout.columns ?? (Number(process.env.COLUMNS) || undefined);
const screen = createScreen(columns, coloured, (line) => console.log(line));
const tlsDir = mkdtempSync(join(tmpdir(), 'oaas-tuner-demo-'));
process.on('exit', () => rmSync(tlsDir, { recursive: true, force: true }));
// Someone who reads only the beginning (`| head`) closes the pipe.
process.stdout.on('error', () => process.exit(1));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

try {
  await tell();
} catch (error) {
  console.error(error instanceof NotAsTold ? `not as told: ${error.message}` : `the demo failed: ${reason(error)}`);
  process.exitCode = 1;
}

async function tell() {
  const workloads = readFolder(join(here, 'workloads'));
  const stage = await setStage(readFolder(recordsFolder), workloads, recordAll(), tlsDir);
  try {
    const { paint } = screen;
    const { cluster, client, port } = stage;
    screen.lines([`${paint.bold('oaas-tuner')}: memory that was measured reaches the workload that kubectl applies`]);
    await measured(stage, screen, NOW);
    const file = nextRelease(cluster.workload('orders'));
    await deployed(stage, screen);
    await overridden(stage, screen);
    await undisturbed(stage, screen, { file, now: NOW + LATER_MINUTES * 60_000, minutes: LATER_MINUTES });
    await mistaken(stage, screen);
    const seconds = (performance.now() / 1000).toFixed(1);
    screen.heading(`All of it was checked in ${seconds} s`, `${client.count()} reviews over TLS to 127.0.0.1:${port}`);
    const next = 'Next: npm run demo:cluster (a real control plane), npm test, README.md; or edit test/demo/records';
    screen.lines(wrap(next, screen.width - MARGIN.length, '  '));
  } finally {
    await stage.close();
  }
}

function recordAll(): Recordings {
  const [from, to] = [NOW / 1000 - HOURS * 3600, NOW / 1000 + LATER_MINUTES * 60];
  return new Map(Object.entries(SHAPES).map(([key, shape]) => [key, recordSamples(key, shape, from, to)]));
}
