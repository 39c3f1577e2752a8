import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { until } from './cluster/until.ts';
import { type PlayedApiServer, page, playApiServer } from './kube/played-api-server.ts';
import type { Line } from './serve/log-lines.ts';
import { clientOf, record, review } from './serve/served.ts';

const root = join(import.meta.dirname, '..');

/** The process with only these settings, whatever the environment of the tests holds. */
function start(env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: '/nonexistent', ...loopback, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const loopback = { OAAS_TUNER_HOST: '127.0.0.1', OAAS_TUNER_PORT: '0', OAAS_TUNER_METRICS_PORT: '0' };

/** Runs it to its end: the exit code and the lines on stderr. */
async function run(env: Record<string, string>): Promise<{ code: number; said: string[] }> {
  const child = start(env);
  const [said, [code]] = await Promise.all([text(child.stderr as NodeJS.ReadableStream as never), once(child, 'exit')]);
  return { code, said: said.trimEnd().split('\n') };
}

const certificates = t.testdir();

async function cluster(t: Test): Promise<{ server: PlayedApiServer; env: Record<string, string> }> {
  const server = await playApiServer();
  t.teardown(server.close);
  const folder = t.testdir({ kubeconfig: server.kubeconfig });
  return { server, env: { KUBECONFIG: join(folder, 'kubeconfig'), OAAS_TUNER_TLS_DIR: certificates } };
}

t.test('wrong settings: every problem, one line each, exit code 2', async (t) => {
  const { code, said } = await run({ OPRC_CRM_PROFILE: 'prod', OPRC_CRM_STEP_PERCENT: '0', OAAS_TUNER_PORT: 'x' });
  t.equal(code, 2);
  t.strictSame(said, [
    'OPRC_CRM_PROFILE: "prod" is not one of `dev`, `edge`, `full`',
    'OPRC_CRM_STEP_PERCENT: "0" is not a whole number from 1 to 100 (percent)',
    'OAAS_TUNER_PORT: "x" is not a whole number from 0 to 65535 (port)',
  ]);
});

t.test('without a cluster: one line that says what to do, exit code 1', async (t) => {
  const { code, said } = await run({ OAAS_TUNER_TLS_DIR: certificates });
  t.equal(code, 1);
  t.strictSame(said, [
    'oaas-tuner cannot start: no cluster is configured: set KUBECONFIG, or run inside a pod with a service account',
  ]);
});

t.test('a port that is taken: one line, exit code 1, also when the API server does not answer', async (t) => {
  const { env } = await cluster(t);
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  const ends = ['OAAS_TUNER_PORT', 'OAAS_TUNER_METRICS_PORT'].map((name) => run({ ...env, [name]: String(port) }));
  const said = [`oaas-tuner cannot start: listen EADDRINUSE: address already in use 127.0.0.1:${port}`];
  for (const end of ends) t.strictSame(await end, { code: 1, said });
});

/** A process that serves, and its log. */
async function serving(t: Test, more: Record<string, string> = {}) {
  const { server, env } = await cluster(t);
  const child = start({ ...env, OPRC_CRM_PROFILE: 'full', ...more });
  t.teardown(() => child.kill('SIGKILL'));
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      printed += chunk;
    });
  }
  const lines = () => printed.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
  const unless = () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${printed}`);
  };
  const line = (msg: string) => until(msg, () => lines().find((one) => one.msg === msg), { unless });
  const { reviewsPort, opsPort } = await line('serving');
  const ready = async () => (await request(`http://127.0.0.1:${opsPort}/readyz`)).statusCode;
  // Whoever answers has come past its first turn: it listens to signals, too.
  await ready();
  const client = clientOf(Number(reviewsPort), readFileSync(join(certificates, 'ca.crt'), 'utf8'), 1);
  t.teardown(() => client.close());
  return { child, server, client, ready, line };
}

/** Answers until both lists of a start have been asked for, in whatever order; the rest may wait. */
async function answerStart(server: PlayedApiServer): Promise<void> {
  for (let lists = 0; lists < 2; ) {
    const asked = await server.next();
    if (asked.method !== 'GET') asked.reply({ status: { userInfo: { username: 'me' } } }, 201);
    else {
      lists += 1;
      asked.reply(page(asked.path.endsWith('/deploymentrecords') ? [record()] : [], '10'));
    }
  }
}

t.test('SIGTERM: not ready at once, reviews are answered while it drains, exit code 0', async (t) => {
  const { child, server, client, ready, line } = await serving(t, { OAAS_TUNER_DRAIN_SECS: '8' });
  t.equal(await ready(), 503);
  await answerStart(server);
  await until('it to be ready', async () => (await ready()) === 200);
  t.equal((await client.post('/mutate', review())).body.response.patchType, 'JSONPatch');

  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.equal((await line('stopping')).drainSeconds, 8);
  t.equal(await ready(), 503);
  const { status, headers, body } = await client.post('/mutate', review());
  t.strictSame([status, headers.connection, body.response.patchType], [200, 'close', 'JSONPatch']);
  t.strictSame(await ended, [0, null]);
});

t.test('SIGINT ends it at once, also when the API server does not answer', async (t) => {
  const { child } = await serving(t);
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  t.strictSame(await ended, [0, null]);
});

t.test('a second signal does not wait for the drain', async (t) => {
  const { child, line } = await serving(t, { OAAS_TUNER_DRAIN_SECS: '300' });
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await line('stopping');
  child.kill('SIGTERM');
  t.strictSame(await ended, [1, null]);
});
