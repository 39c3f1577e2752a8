/** What the image holds is enough, and nothing more is needed: its files in a clean folder, installed, started, asked. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { playCluster } from './chaos/played-cluster.ts';
import { reservePort } from './cluster/ports.ts';
import { until } from './cluster/until.ts';
import { playPrometheus, sendJson, vector } from './collect/played-prometheus.ts';
import { BUNDLE, COMPILE, environment, INSTALL, instruction, root, run } from './image.ts';
import { clientOf, review } from './serve/served.ts';

const text = (file: string) => readFileSync(join(root, file), 'utf8');
const { dependencies, devDependencies } = JSON.parse(text('package.json'));

/** What is copied out of the repository; the last word of a COPY is where to. */
const copied = [
  ...new Set(instruction('COPY').flatMap((line) => (line.startsWith('--') ? [] : line.split(' ').slice(0, -1)))),
];

t.test('only what runs goes into the image, as nobody in particular, on the Node of the tests', async (t) => {
  t.strictSame(copied.sort(), ['package-lock.json', 'package.json', 'src']);
  const allowed = text('.dockerignore').trim().split('\n');
  t.strictSame(
    allowed,
    ['*', ...copied.map((file) => `!${file}`)].sort((a, b) => allowed.indexOf(a) - allowed.indexOf(b)),
  );
  t.match(instruction('USER'), ['65532:65532']);
  const { packages } = JSON.parse(text('package-lock.json'));
  t.strictSame(instruction('ARG'), [`BASE=node:${packages['node_modules/node'].version}-slim`]);
  t.equal(instruction('FROM').length, 2);
  for (const from of instruction('FROM')) t.match(from, /^\$\{BASE\}/);
});

t.test('the image keeps its memory as small as npm start does', async (t) => {
  const [command = ''] = instruction('CMD');
  t.equal(JSON.parse(command).join(' '), JSON.parse(text('package.json')).scripts.start);
  t.match(environment, { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' });
  t.match(environment.NODE_COMPILE_CACHE, /^\/app\//);
  t.equal(environment.NODE_OPTIONS, '--conditions=bundle');
});

t.test('every dependency has its reason in the ADR, and every reason its dependency', async (t) => {
  const rows = [...text('docs/adr/0003-dependencies.md').matchAll(/^\| ([^|]+) \|/gm)].slice(2);
  const told = rows.flatMap(([, names = '']) => names.split(',').map((name) => name.trim()));
  const isTold = (name: string) =>
    told.some((one) => one === name || (one.endsWith('/*') && name.startsWith(one.slice(0, -1))));
  const all = Object.keys({ ...dependencies, ...devDependencies });
  t.strictSame(
    all.filter((name) => !isTold(name)),
    [],
  );
  t.strictSame(
    told.filter(
      (one) => !all.some((name) => one === name || (one.endsWith('/*') && name.startsWith(one.slice(0, -1)))),
    ),
    [],
  );
});

/** The image's folder; `undefined` when its packages are neither in the cache nor to be had. */
async function build(t: Test): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'oaas-tuner-image-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const file of copied) cpSync(join(root, file), join(folder, file), { recursive: true });
  for (const how of ['offline', 'prefer_online']) {
    try {
      await run(INSTALL, folder, { HOME: process.env.HOME, [`npm_config_${how}`]: 'true' });
      await run(BUNDLE, folder);
      return folder;
    } catch (error) {
      t.comment(`${how}: ${String(error).split('\n').slice(0, 3).join(' ')}`);
    }
  }
  return undefined;
}

t.test(
  'the files of the image, installed without development, answer a review and finish a cycle',
  { timeout: 540_000 },
  async (t) => {
    const folder = await build(t);
    if (!folder) {
      console.error(
        '\n*** SKIPPED: THE IMAGE WAS NOT TRIED: its packages are neither in the cache of npm nor to be had ***\n',
      );
      return t.comment('skipped: no packages');
    }
    const cluster = await playCluster(t);
    const prometheus = await playPrometheus((_, response) => sendJson(response, vector([])));
    t.teardown(prometheus.close);
    const [reviews, ops] = await Promise.all([reservePort(), reservePort()]);
    await Promise.all([reviews.release(), ops.release()]);
    const [command = '[]'] = instruction('CMD');
    const [, ...args] = JSON.parse(command) as string[];
    const env = {
      PATH: process.env.PATH,
      ...environment,
      NODE_COMPILE_CACHE: join(folder, 'cache'),
      KUBECONFIG: cluster.kubeconfig,
      OPRC_CRM_PROFILE: 'full',
      OPRC_CRM_PROM_URL: prometheus.url,
      OPRC_CRM_ANALYZER_INTERVAL_SECS: '1',
      OAAS_TUNER_HOST: '127.0.0.1',
      OAAS_TUNER_PORT: String(reviews.port),
      OAAS_TUNER_METRICS_PORT: String(ops.port),
      OAAS_TUNER_TLS_DIR: join(folder, 'certs'),
      OAAS_TUNER_DRAIN_SECS: '0',
    };
    await run(COMPILE, folder, { ...environment, NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE });
    // Whatever still loads the client whole fails from here on.
    rmSync(join(folder, 'node_modules/@kubernetes'), { recursive: true });
    t.notOk(existsSync(join(folder, 'certs')), 'no key is made for all who run the image');
    const compiled = readdirSync(env.NODE_COMPILE_CACHE, { recursive: true }).length;
    t.ok(compiled > 500, `${compiled} files are compiled already`);
    const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk));
    const ended = once(child, 'exit');
    t.teardown(() => child.kill('SIGKILL'));
    const unless = () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${printed}`);
    };
    const get = async (path: string) => (await request(`http://127.0.0.1:${ops.port}${path}`)).body.text();
    await until('it to be ready', async () => (await get('/readyz')) === 'ok\n', { unless });
    const client = clientOf(reviews.port, readFileSync(join(folder, 'certs/ca.crt'), 'utf8'));
    t.teardown(() => client.close());
    t.equal((await client.post('/mutate', review())).body.response.patchType, 'JSONPatch');
    await until('a cycle', async () => (await get('/metrics')).includes('oaas_tuner_cycles_total{outcome="ok"} 1'), {
      unless,
    });

    const [health = ''] = instruction('HEALTHCHECK').map((line) => line.slice(line.indexOf('CMD ') + 4));
    const [, ...asks] = JSON.parse(health) as string[];
    const asked = () => promisify(execFile)(process.execPath, asks, { env });
    await t.resolves(asked(), 'the image says that it is healthy');
    child.kill('SIGTERM');
    t.strictSame(await ended, [0, null]);
    await t.rejects(asked(), 'and that it is not');
  },
);
