/** The tuner as a process of its own, and what has to hold for it whatever happens around it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { request } from 'undici';
import type { JsonObject } from '../../src/domain/json.ts';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import { edited, memory, patched } from '../admit/objects.ts';
import { reservePort } from '../cluster/ports.ts';
import { until } from '../cluster/until.ts';
import type { Line } from '../serve/log-lines.ts';
import { type Client, clientOf, orders, type Reply, review } from '../serve/served.ts';

const root = join(import.meta.dirname, '../..');

/** What the chart's webhook configuration gives a review (`timeoutSeconds`). */
export const IN_TIME_MS = 3_000;

export type Running = {
  child: ChildProcess;
  client: Client;
  tlsDir: string;
  reviewsPort: number;
  /** a new client that trusts what stands in the folder now */
  trusting(connections?: number): Client;
  /** the first line with this message that `also` holds for, as soon as it is there */
  line(msg: string, also?: (line: Line) => boolean): Promise<Line>;
  lines(): Line[];
  metrics(): Promise<string>;
  /** one metric's value, by its name with its labels as they are printed */
  metric(name: string): Promise<number>;
  ready(): Promise<string>;
};

export type Start = {
  env?: Record<string, string>;
  /** options for node itself */
  execArgv?: string[];
  /** where the log goes: read by the test, nobody reads it, or a file descriptor */
  stdout?: 'read' | 'unread' | number;
  /** folder of the control group in which it runs */
  cgroup?: string;
};

/** A folder of its own: a second `t.testdir` of one test would empty the first. */
export function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'oaas-tuner-chaos-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** @returns when it answers on both ports; whether it is ready is for the test to say */
export async function run(t: Test, { env = {}, execArgv = [], stdout = 'read', cgroup }: Start): Promise<Running> {
  const tlsDir = folderFor(t);
  await ensureCertificates(tlsDir, Date.now());
  const [reviews, ops] = await Promise.all([reservePort(), reservePort()]);
  await Promise.all([reviews.release(), ops.release()]);
  const command = [process.execPath, ...execArgv, 'src/main.ts'];
  const inside = cgroup
    ? ['/bin/sh', '-c', `echo $$ > ${cgroup}/cgroup.procs && unset NODE_OPTIONS && exec "$@"`, 'sh']
    : [];
  const [program = '', ...args] = [...inside, ...command];
  const child = spawn(program, args, {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      OPRC_CRM_PROFILE: 'full',
      OAAS_TUNER_HOST: '127.0.0.1',
      OAAS_TUNER_PORT: String(reviews.port),
      OAAS_TUNER_METRICS_PORT: String(ops.port),
      OAAS_TUNER_TLS_DIR: tlsDir,
      OAAS_TUNER_DRAIN_SECS: '0',
      ...env,
    },
    stdio: ['ignore', typeof stdout === 'number' ? stdout : 'pipe', 'pipe'],
  });
  let printed = '';
  if (stdout === 'read') child.stdout?.on('data', (chunk) => (printed += chunk));
  let complained = '';
  child.stderr?.on('data', (chunk) => (complained += chunk));
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const unless = () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended: ${printed}${complained}`);
  };
  const get = async (path: string) => (await request(`http://127.0.0.1:${ops.port}${path}`)).body.text();
  await until('it to answer', () => get('/livez'), { unless });
  const lines = () => printed.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
  const metrics = () => get('/metrics');
  const trusting = (connections = 8) => {
    const client = clientOf(reviews.port, readFileSync(join(tlsDir, 'ca.crt'), 'utf8'), connections);
    t.teardown(() => client.close());
    return client;
  };
  return {
    ...{ child, tlsDir, reviewsPort: reviews.port, trusting, lines, metrics },
    client: trusting(),
    line: (msg, also = () => true) =>
      until(`the line "${msg}"`, () => lines().find((one) => one.msg === msg && also(one)), { unless }),
    async metric(name) {
      const found = (await metrics()).split('\n').find((line) => line.startsWith(`${name} `));
      return Number(found?.slice(name.length + 1) ?? Number.NaN);
    },
    ready: () => get('/readyz'),
  };
}

/** What the record of `served.ts` makes of the Deployment `orders`. */
const RIGHT = { function: '300Mi/400Mi' };

const UPDATE = { operation: 'UPDATE', oldObject: edited(orders, ({ spec }) => (spec.template.spec.hostname = 'old')) };

/**
 * The promise itself, over a burst of creates and updates: each answered in time, allowed, and the object right, or as its
 * author wrote it; the process alive.
 */
export async function keepsItsPromise(
  t: Test,
  { client, child, metric }: Running,
  outcome: 'right' | 'unchanged',
  answered = client,
): Promise<void> {
  const before = await metric('oaas_tuner_admission_duration_seconds_count');
  const reviews = Array.from({ length: 30 }, (_, index) => review(orders, index % 2 ? UPDATE : {}));
  const found = await Promise.all(reviews.map((body) => timed(() => answered.post('/mutate', body))));
  const expected = outcome === 'right' ? RIGHT : memory(orders);
  const wrong = found.filter(({ reply, ms }) => {
    const { status, body } = reply;
    const object = admitted(orders, reply);
    const rest = edited(object, withoutMemory);
    return (
      status !== 200 ||
      !body.response.allowed ||
      ms > IN_TIME_MS ||
      JSON.stringify(memory(object)) !== JSON.stringify(expected) ||
      JSON.stringify(rest) !== JSON.stringify(edited(orders, withoutMemory))
    );
  });
  t.strictSame(wrong, [], `${found.length} reviews: ${outcome}`);
  t.equal(child.exitCode, null, 'the process lives');
  t.equal(await metric('oaas_tuner_admission_duration_seconds_count'), before + reviews.length, 'each was counted');
}

/**
 * Many large reviews at once. How each ended: whether its object was allowed, or the status. On a busy machine bodies are
 * not read within the 10 s that they have: 408, or 0 where the connection was closed before that could be read.
 */
export async function flood(client: Client, text: string): Promise<(boolean | number)[]> {
  const one = async () => {
    try {
      const { status, body } = await client.post('/mutate', text);
      return status === 200 ? body.response.allowed : status;
    } catch (error) {
      if (['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes((error as { code: string }).code)) return 0;
      throw error;
    }
  };
  return Promise.all(Array.from({ length: 40 }, one));
}

/** The object as it would be stored: the patch of the answer applied, strictly. */
export function admitted(object: JsonObject, { body }: Reply): JsonObject {
  const { patch } = body.response;
  const operations = patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString());
  return patched(object, operations);
}

/** @returns `ms`: how long it took, without what this process lost to a machine that let it wait */
export async function timed<T>(ask: () => Promise<T>): Promise<{ reply: T; ms: number }> {
  const started = awakeMs();
  const reply = await ask();
  return { reply, ms: awakeMs() - started };
}

const TICK_MS = 50;
let [awake, ticked, worked] = [0, performance.now(), process.threadCpuUsage()];
setInterval(() => {
  awake = awakeMs();
  [ticked, worked] = [performance.now(), process.threadCpuUsage()];
}, TICK_MS).unref();

/** A clock that stands still while this thread may not run, but not while it works: it may be what is tested. */
function awakeMs(): number {
  const { user, system } = process.threadCpuUsage(worked);
  return awake + Math.max((user + system) / 1000, Math.min(performance.now() - ticked, TICK_MS * 2));
}

// biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
function withoutMemory(object: any): void {
  delete object.metadata.annotations;
  for (const { resources } of object.spec.template.spec.containers) {
    delete resources.requests.memory;
    delete resources.limits.memory;
  }
}
