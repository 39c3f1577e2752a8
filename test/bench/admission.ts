/**
 * How much of a bare HTTPS server's speed is left with the whole tuner in it. Server and load each have a core of their
 * own where there is `taskset`; contenders take turns in rounds, so that the machine's moods hit them alike.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import { load, quantile } from './load.ts';
import { type ReviewKind, reviewBody } from './reviews.ts';

type Contender = { name: string; args: string[] };
type Row = {
  case: string;
  contender: string;
  rps: number;
  p50: number;
  p99: number;
  p999: number;
  rssMiB: number;
  failures: number;
  ofBare: number;
};

const CONTENDERS: Contender[] = [
  { name: '(a) node:https, allows everything', args: ['bare'] },
  { name: '(b) fastify, allows everything', args: ['fastify'] },
  ...[100, 1000, 20_000].map((records) => ({
    name: `(c) tuner, ${records} records`,
    args: ['tuner', String(records)],
  })),
];

const CASES: { name: string; review: ReviewKind; connections: number }[] = [
  ...[1, 16, 64].map((connections) => ({
    name: `no change, UPDATE 6 KB, ${connections} connections`,
    review: review('UPDATE', 1, false, 6000),
    connections,
  })),
  ...[1, 16, 64].map((connections) => ({
    name: `patch of 1, UPDATE 6 KB, ${connections} connections`,
    review: review('UPDATE', 1, true, 6000),
    connections,
  })),
  { name: 'patch of 4, UPDATE 6 KB, 16 connections', review: review('UPDATE', 4, true, 6000), connections: 16 },
  { name: 'no change, CREATE 2 KB, 16 connections', review: review('CREATE', 1, false, 2000), connections: 16 },
  { name: 'patch of 1, CREATE 2 KB, 16 connections', review: review('CREATE', 1, true, 2000), connections: 16 },
  { name: 'no change, UPDATE 60 KB, 16 connections', review: review('UPDATE', 1, false, 60_000), connections: 16 },
  { name: 'patch of 1, UPDATE 60 KB, 16 connections', review: review('UPDATE', 1, true, 60_000), connections: 16 },
];

const ROUNDS = 3;

/** @param args `--seconds <per measurement>` (default 2), `--only <text in a case's name>` */
export async function run(args: string[]): Promise<void> {
  const option = (name: string, otherwise: string) =>
    args[args.indexOf(name) + 1 || Number.POSITIVE_INFINITY] ?? otherwise;
  const [seconds, only] = [Number(option('--seconds', '2')), option('--only', '')];
  await ensureCertificates('certs', Date.now());
  const pinned = pin(process.pid, '1');
  console.log(
    `node ${process.version}, ${pinned ? 'server and load on a core each' : 'not pinned: no taskset'}, ${ROUNDS} rounds of ${seconds} s`,
  );
  const rows: Row[] = [];
  for (const test of CASES.filter(({ name }) => name.includes(only))) {
    const found = await measure(test, seconds);
    rows.push(...found);
    print(test.name, found);
  }
  mkdirSync('out', { recursive: true });
  writeFileSync('out/bench-admission.json', `${JSON.stringify(rows, null, 2)}\n`);
  console.log('\nout/bench-admission.json holds the same as JSON');
}

async function measure({ name, review, connections }: (typeof CASES)[number], seconds: number): Promise<Row[]> {
  const ca = readFileSync('certs/ca.crt', 'utf8');
  const body = reviewBody(review, 'orders');
  const servers = await Promise.all(CONTENDERS.map(({ args }) => startServer(args)));
  const results = CONTENDERS.map(() => ({ rps: [] as number[], latencies: [] as Float64Array[], failures: 0 }));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, server] of servers.entries()) {
      // The first round warms up: the JIT has to have seen the code.
      const result = await load(server.port, ca, body, connections, round === 0 ? 1 : seconds);
      const into = results[index];
      if (round === 0 || !into) continue;
      into.rps.push(result.requests / result.seconds);
      into.latencies.push(result.latenciesMs);
      into.failures += result.failures;
    }
  }
  const rss = await Promise.all(servers.map(({ child }) => askRss(child)));
  for (const { child } of servers) child.kill();
  const bare = median(results[0]?.rps ?? []);
  return results.map(({ rps, latencies, failures }, index) => {
    const sorted = Float64Array.from(latencies.flatMap((part) => [...part])).sort();
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((q) => quantile(sorted, q)) as [number, number, number];
    const contender = CONTENDERS[index]?.name ?? '';
    return {
      case: name,
      contender,
      rps: median(rps),
      p50,
      p99,
      p999,
      rssMiB: (rss[index] ?? 0) / 2 ** 20,
      failures,
      ofBare: median(rps) / bare,
    };
  });
}

async function startServer(args: string[]): Promise<{ port: number; child: ChildProcess }> {
  const child = fork(new URL('./server.ts', import.meta.url), args);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  pin(child.pid ?? 0, '0');
  return { port, child };
}

async function askRss(child: ChildProcess): Promise<number> {
  child.send({});
  const [{ rss }] = (await once(child, 'message')) as [{ rss: number }];
  return rss;
}

/** All threads of the process onto one core. */
function pin(pid: number, core: string): boolean {
  try {
    execFileSync('taskset', ['-a', '-p', '-c', core, String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function print(name: string, rows: Row[]): void {
  console.log(`\n${name}`);
  console.log(
    `  ${'contender'.padEnd(36)}${['req/s', 'of (a)', 'p50 ms', 'p99 ms', 'p99.9 ms', 'RSS MiB'].map((head) => head.padStart(10)).join('')}`,
  );
  for (const { contender, rps, ofBare, p50, p99, p999, rssMiB, failures } of rows) {
    const cells = [
      rps.toFixed(0),
      ofBare.toFixed(2),
      p50.toFixed(2),
      p99.toFixed(2),
      p999.toFixed(2),
      rssMiB.toFixed(0),
    ];
    console.log(
      `  ${contender.padEnd(36)}${cells.map((cell) => cell.padStart(10)).join('')}${failures ? `  ${failures} failed` : ''}`,
    );
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function review(operation: 'CREATE' | 'UPDATE', containers: number, patched: boolean, bytes: number): ReviewKind {
  return { operation, containers, patched, bytes };
}
