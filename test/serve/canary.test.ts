import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { request } from 'undici';
import { startApp } from '../../src/app.ts';
import { followCanary } from '../../src/serve/canary.ts';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import { readSettings } from '../../src/settings.ts';
import { reservePort } from '../cluster/ports.ts';
import { until } from '../cluster/until.ts';
import { type Line, listenedLog } from './log-lines.ts';
import { serve } from './served.ts';

/** Sends one after the other until the test ends; what it was told, and said. */
function sending(t: Test, url: string, ca: () => string | undefined) {
  const abort = new AbortController();
  t.teardown(() => abort.abort());
  const outcomes: boolean[] = [];
  const { log, lines } = listenedLog();
  const told = (answered: boolean) => outcomes.push(answered);
  void followCanary({ url, ca, told, everyMs: 10, log, signal: abort.signal });
  return { outcomes, lines };
}

/** A canary is given up after some seconds, and a machine may stand still for as long. */
const otherThanStalls = (lines: Line[]) => lines.filter(({ error }) => !/timeout/.test(String(error)));

t.test('a canary that is answered says that the path works, and is no admission of a workload', async (t) => {
  const served = await serve();
  t.teardown(() => served.close());
  const { outcomes, lines } = sending(t, `https://localhost:${served.port}/mutate`, () => served.ca);
  await until('some', () => outcomes.filter(Boolean).length > 2);
  t.strictSame(otherThanStalls(lines), []);
  t.strictSame(Object.keys(await served.counted()), ['other/CREATE/skipped/not-a-workload']);
});

t.test('whoever is not there, not trusted or not the tuner is told of, once for each cause', async (t) => {
  const served = await serve();
  t.teardown(() => served.close());
  const other = await serve();
  t.teardown(() => other.close());
  let ca: string | undefined;
  const silent = sending(t, `https://localhost:${served.port}/mutate`, () => ca);
  const wrong = sending(t, `https://localhost:${served.port}/elsewhere`, () => served.ca);
  const gone = sending(t, 'https://127.0.0.1:9/mutate', () => served.ca);
  await ensureCertificates(t.testdirName, Date.now());
  const stranger = readFileSync(join(t.testdirName, 'ca.crt'), 'utf8');
  const distrusted = sending(t, `https://localhost:${served.port}/mutate`, () => stranger);
  for (const [{ outcomes, lines }, why] of [
    [wrong, /HTTP 404/],
    [gone, /ECONNREFUSED/],
    [distrusted, /certificate/],
  ] as const) {
    await until('some', () => outcomes.length > 2);
    t.strictSame([...new Set(outcomes)], [false]);
    const [line, ...others] = otherThanStalls(lines);
    t.match(line, { msg: 'the API server would not reach us this way', error: why });
    t.ok(
      others.every(({ error }) => error === line?.error),
      'one cause',
    );
    const repeated = lines.filter(({ error }, index) => error === lines[index - 1]?.error);
    t.strictSame(repeated, [], 'told once');
  }
  t.strictSame(silent.outcomes, [], 'without a CA nobody could');
  ca = served.ca;
  await until('the first', () => silent.outcomes.length > 0);
});

t.test('the app sends one as soon as it is ready, and the metric shows it', async (t) => {
  const reviews = await reservePort();
  await reviews.release();
  const read = readSettings({
    ...{ OAAS_TUNER_HOST: '127.0.0.1', OAAS_TUNER_PORT: String(reviews.port), OAAS_TUNER_METRICS_PORT: '0' },
    OAAS_TUNER_TLS_DIR: t.testdir(),
  });
  if ('problems' in read) throw new Error(read.problems.join());
  const app = await startApp(read.settings, listenedLog().log, async (store, namespaces) => {
    store.replace([]);
    namespaces.replace([]);
    return { path: `https://localhost:${reviews.port}/mutate`, stop: async () => {} };
  });
  t.teardown(() => app.stop(0));
  await until('the metric', async () => {
    const { body } = await request(`http://127.0.0.1:${app.opsPort}/metrics`);
    return (await body.text()).includes('oaas_tuner_canary_reviews_total{outcome="answered"} 1\n');
  });
});
