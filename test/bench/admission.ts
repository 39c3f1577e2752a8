/**
 * How much of a bare HTTPS server's speed is left with the whole tuner in it. Server and load each have a core of their
 * own where there is `taskset`; contenders take turns in rounds, so that the machine's moods hit them alike. Beside the
 * rate stands the CPU per review, which a machine that is busy otherwise disturbs less.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import { type LoadResult, load, quantile } from './load.ts';
import { pin, pinnable } from './pin.ts';
import { type ReviewKind, reviewBody } from './reviews.ts';

type Contender = { name: string; args: string[] };
type Case = { name: string; review: ReviewKind; connections: number };
type Row = {
  case: string;
  contender: string;
  rps: number;
  p50: number;
  p99: number;
  p999: number;
  cpuMicros: number;
  rssMiB: number;
  failures: number;
  /** of (a): the rate, the CPU it takes the other way round, the slowest percent */
  ofBare: { rps: number; cpu: number; p99: number };
  /** the load generator's own work as a share of the time, at most */
  generatorBusy: number;
};

const CONTENDERS: Contender[] = [
  { name: '(a) node:https, allows everything', args: ['bare'] },
  { name: '(b) fastify, allows everything', args: ['fastify'] },
  ...[100, 1000, 20_000].map((records) => ({
    name: `(c) tuner, ${records} records`,
    args: ['tuner', String(records)],
  })),
];

const NO_CHANGE: ReviewKind = { operation: 'UPDATE', containers: 1, patched: false, bytes: 6_000 };
const SETTLED: ReviewKind = { ...NO_CHANGE, settled: true };
const PATCH: ReviewKind = { ...NO_CHANGE, patched: true };
const KINDS = { 'no change': NO_CHANGE, 'no change of a tuned one': SETTLED, 'patch of 1': PATCH };

const CASES: Case[] = [
  ...Object.entries(KINDS).flatMap(([name, review]) =>
    [1, 16, 64].map((connections) => ({
      name: `${name}, UPDATE 6 KB, ${connections} connections`,
      review,
      connections,
    })),
  ),
  { name: 'patch of 4, UPDATE 6 KB, 16 connections', review: { ...PATCH, containers: 4 }, connections: 16 },
  ...[2_000, 60_000].flatMap((bytes) =>
    Object.entries({ 'no change': NO_CHANGE, 'patch of 1': PATCH }).flatMap(([name, review]) =>
      (['CREATE', 'UPDATE'] as const).map((operation) => ({
        name: `${name}, ${operation} ${bytes / 1000} KB, 16 connections`,
        review: { ...review, operation, bytes },
        connections: 16,
      })),
    ),
  ),
];

/** Seconds of load before anything counts: V8 optimizes the larger functions only after tens of thousands of reviews. */
const WARM_UP = 10;

/** As `npm start` and the image do, for all contenders alike. */
const AS_IN_THE_IMAGE = '--max-semi-space-size=4';

/** @param args `--seconds <per measurement>` (default 2), `--rounds` (3), `--warm <seconds>`, `--only <text in a case's name>` */
export async function run(args: string[]): Promise<void> {
  const option = (name: string, otherwise: string) =>
    args[args.indexOf(name) + 1 || Number.POSITIVE_INFINITY] ?? otherwise;
  const [seconds, rounds] = [Number(option('--seconds', '2')), Number(option('--rounds', '3'))];
  const cases = CASES.filter(({ name }) => name.includes(option('--only', '')));
  await ensureCertificates('certs', Date.now());
  const machine = `${cpus().length} × ${cpus()[0]?.model}, node ${process.version}`;
  const pinned = pinnable() ? 'server and load on a core each' : 'not pinned: no taskset';
  console.log(`${machine}; ${pinned}; ${rounds} rounds of ${seconds} s`);
  if (pinnable()) pin(process.pid, '1');
  const servers = await Promise.all(CONTENDERS.map(start));
  try {
    for (const server of servers) {
      for (const review of Object.values(KINDS))
        await server.load(reviewBody(review, 'orders'), 16, Number(option('--warm', String(WARM_UP))) / 3);
    }
    const rows: Row[] = [];
    for (const test of cases) {
      const found = await measure(test, servers, rounds, seconds);
      rows.push(...found);
      print(test.name, found);
    }
    mkdirSync('out', { recursive: true });
    const command = ['npm run bench -- admission', ...args].join(' ');
    writeFileSync('out/bench-admission.json', `${JSON.stringify({ machine, pinned, command, rows }, null, 2)}\n`);
    console.log('\nout/bench-admission.json holds the same as JSON');
  } finally {
    for (const server of servers) server.stop();
  }
}

type Server = {
  name: string;
  load(body: Buffer, connections: number, seconds: number): Promise<LoadResult>;
  used(): Promise<{ rss: number; cpuMicros: number }>;
  stop(): void;
};

async function start({ name, args }: Contender): Promise<Server> {
  const node = [process.execPath, AS_IN_THE_IMAGE, fileURLToPath(new URL('./server.ts', import.meta.url)), ...args];
  const [command = '', ...rest] = pinnable() ? ['taskset', '-c', '0', ...node] : node;
  const child: ChildProcess = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ca = readFileSync('certs/ca.crt', 'utf8');
  return {
    name,
    load: (body, connections, seconds) => load(port, ca, body, connections, seconds),
    async used() {
      child.send({});
      const [used] = await once(child, 'message');
      return used;
    },
    stop: () => child.kill(),
  };
}

async function measure({ name, review, connections }: Case, servers: Server[], rounds: number, seconds: number) {
  const body = reviewBody(review, 'orders');
  const results = servers.map(() => ({ loads: [] as LoadResult[], cpu: [] as number[] }));
  // The first round is one more warm-up, of this very case.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      const before = await server.used();
      const result = await server.load(body, connections, round === 0 ? seconds / 2 : seconds);
      const after = await server.used();
      if (round === 0) continue;
      results[index]?.loads.push(result);
      results[index]?.cpu.push((after.cpuMicros - before.cpuMicros) / result.requests);
    }
  }
  const rows: Row[] = [];
  for (const [index, { loads, cpu }] of results.entries()) {
    const sorted = Float64Array.from(loads.flatMap(({ latenciesMs }) => [...latenciesMs])).sort();
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((q) => quantile(sorted, q)) as [number, number, number];
    const [rps, cpuMicros] = [median(loads.map(({ requests, seconds: took }) => requests / took)), median(cpu)];
    const bare = rows[0] ?? { rps, cpuMicros, p99 };
    const server = servers[index];
    rows.push({
      ...{ case: name, contender: server?.name ?? '', rps, p50, p99, p999, cpuMicros },
      rssMiB: ((await server?.used())?.rss ?? Number.NaN) / 2 ** 20,
      failures: loads.reduce((sum, { failures }) => sum + failures, 0),
      ofBare: { rps: rps / bare.rps, cpu: bare.cpuMicros / cpuMicros, p99: p99 / bare.p99 },
      generatorBusy: Math.max(...loads.map(({ busy }) => busy)),
    });
  }
  return rows;
}

function print(name: string, rows: Row[]): void {
  const heads = ['req/s', 'of (a)', 'CPU µs', 'of (a)', 'p50 ms', 'p99 ms', 'of (a)', 'p99.9 ms', 'RSS MiB'];
  console.log(
    `\n${name} (load generator at most ${(Math.max(...rows.map((row) => row.generatorBusy)) * 100).toFixed()} % busy)`,
  );
  console.log(`  ${'contender'.padEnd(36)}${heads.map((head) => head.padStart(10)).join('')}`);
  for (const row of rows) {
    const cells = [
      ...[row.rps.toFixed(0), row.ofBare.rps.toFixed(2), row.cpuMicros.toFixed(1), row.ofBare.cpu.toFixed(2)],
      ...[
        row.p50.toFixed(2),
        row.p99.toFixed(2),
        row.ofBare.p99.toFixed(2),
        row.p999.toFixed(2),
        row.rssMiB.toFixed(0),
      ],
    ];
    const failed = row.failures > 0 ? `  ${row.failures} failed` : '';
    console.log(`  ${row.contender.padEnd(36)}${cells.map((cell) => cell.padStart(10)).join('')}${failed}`);
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
