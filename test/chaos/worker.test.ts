/** What may become of the worker's thread while reviews come in: it dies at once, for ever, of memory, or hangs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { startApp } from '../../src/app.ts';
import { readSettings } from '../../src/settings.ts';
import { superviseWorker } from '../../src/worker/supervise.ts';
import { until } from '../cluster/until.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { clientOf, record, review } from '../serve/served.ts';
import { IN_TIME_MS, timed } from './running.ts';

// For the threads that are started from here on: Node's own bound is gigabytes, which take minutes to fill.
setFlagsFromString('--max-old-space-size=200');

/** A thread that is this program. */
const thread = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);

async function serving(t: Test, code: string) {
  const tlsDir = t.testdir();
  const read = readSettings({
    ...{ OAAS_TUNER_HOST: '127.0.0.1', OAAS_TUNER_PORT: '0', OAAS_TUNER_METRICS_PORT: '0', OPRC_CRM_PROFILE: 'full' },
    OAAS_TUNER_TLS_DIR: tlsDir,
  });
  if ('problems' in read) throw new Error(read.problems.join());
  const { log, lines } = listenedLog();
  const app = await startApp(read.settings, log, async (store, namespaces) => {
    store.replace([record()]);
    namespaces.replace([]);
    const worker = superviseWorker(read.settings, log, { thread: thread(code), firstWaitMs: 10, longestWaitMs: 50 });
    return { workerMetrics: worker.metrics, workerDeaths: worker.deaths, leads: worker.leads, stop: worker.stop };
  });
  t.teardown(() => app.stop(0));
  const client = clientOf(app.reviewsPort, readFileSync(join(tlsDir, 'ca.crt'), 'utf8'));
  t.teardown(() => client.close());
  const metrics = async () => (await request(`http://127.0.0.1:${app.opsPort}/metrics`)).body.text();
  return { client, metrics, deaths: () => lines.filter(({ msg }) => /worker thread died/.test(msg)) };
}

async function answersInTime(t: Test, { client }: Awaited<ReturnType<typeof serving>>): Promise<void> {
  for (let count = 0; count < 50; count += 1) {
    const { reply, ms } = await timed(() => client.post('/mutate', review()));
    if (reply.status !== 200 || !reply.body.response.patch || ms > IN_TIME_MS) t.fail(`${reply.status} in ${ms} ms`);
  }
}

const FATES: Record<string, { code: string; error: RegExp }> = {
  'dies at once, for ever': { code: 'throw new Error("out of luck")', error: /out of luck/ },
  'cannot even be read': { code: 'this is no program', error: /./ },
  'dies of a promise that nobody looks after': { code: 'Promise.reject(new Error("lost"))', error: /lost/ },
  'eats all memory': { code: 'const all = []; for (;;) all.push({ a: all.length });', error: /memory/i },
};

for (const [how, { code, error }] of Object.entries(FATES)) {
  t.test(`a worker that ${how}: every review is answered in time, log and metric tell`, async (t) => {
    const served = await serving(t, code);
    const needed = how === 'eats all memory' ? 1 : 5;
    const answering = (async () => {
      do await answersInTime(t, served);
      while (served.deaths().length < needed);
    })();
    await until('it to have died', () => served.deaths().length >= needed, { timeoutMs: 180_000 });
    await answering;
    t.match(String(served.deaths()[0]?.error), error);
    const [, counted] = /^oaas_tuner_worker_deaths_total (\d+)$/m.exec(await served.metrics()) ?? [];
    t.ok(Number(counted) >= needed, `${counted} deaths`);
  });
}

t.test('a worker that turns in circles: every review is answered in time', async (t) => {
  const served = await serving(t, 'for (;;);');
  await answersInTime(t, served);
  t.strictSame(served.deaths(), []);
  t.match(await served.metrics(), /^oaas_tuner_leader 0$/m, 'nobody leads, says the metric that the alert reads');
});
