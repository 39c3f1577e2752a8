import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { readSettings, type Settings } from '../../src/settings.ts';
import { superviseWorker } from '../../src/worker/supervise.ts';
import { until } from '../cluster/until.ts';
import { playApiServer } from '../kube/played-api-server.ts';
import { listenedLog } from '../serve/log-lines.ts';

function settingsOf(env: Record<string, string> = {}): Settings {
  const read = readSettings(env);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read.settings;
}

/** A thread that is this program. */
const thread = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const DIED = 'the worker thread died; it is started again';

t.test('a thread that dies is started again, each time a little later', async (t) => {
  const { log, line } = listenedLog();
  const dying = { thread: thread('throw new Error("out of luck")'), firstWaitMs: 10, longestWaitMs: 40 };
  const supervised = superviseWorker(settingsOf(), log, dying);
  for (const retryMs of [10, 20, 40, 40]) {
    t.match(await line(DIED), { level: 50, code: 1, error: 'out of luck', retryMs });
  }
  await supervised.stop();
});

t.test('a thread that ends by itself has died, too', async (t) => {
  const { log, line } = listenedLog();
  const ending = { thread: thread('process.exit(0)'), firstWaitMs: 10, longestWaitMs: 40 };
  const supervised = superviseWorker(settingsOf(), log, ending);
  t.match(await line(DIED), { code: 0, error: 'it ended by itself' });
  await supervised.stop();
});

t.test('its metrics are those that it told last, also after its death; life resets the waiting', async (t) => {
  const { log, line } = listenedLog();
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    parentPort.postMessage({ metrics: 'profile ' + workerData.profile, finished: true });
    setImmediate(() => { throw new Error('later'); });`;
  const living = { thread: thread(code), firstWaitMs: 10, longestWaitMs: 40 };
  const supervised = superviseWorker(settingsOf({ OPRC_CRM_PROFILE: 'edge' }), log, living);
  t.equal(supervised.metrics(), '', 'before it has said anything');
  for (let count = 0; count < 3; count += 1) t.match(await line(DIED), { error: 'later', retryMs: 10 });
  t.equal(supervised.metrics(), 'profile edge');
  await supervised.stop();
});

t.test('metrics of a start alone are shown, and reset no waiting', async (t) => {
  const { log, line } = listenedLog();
  const code = `
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ metrics: 'started', finished: false });
    setImmediate(() => { throw new Error('soon'); });`;
  const supervised = superviseWorker(settingsOf(), log, { thread: thread(code), firstWaitMs: 10, longestWaitMs: 40 });
  for (const retryMs of [10, 20, 40]) t.match(await line(DIED), { error: 'soon', retryMs });
  t.equal(supervised.metrics(), 'started');
  await supervised.stop();
});

t.test('after stop it is not started again, whether it lived or was being waited for', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const { log, lines, line } = listenedLog();
  const dying = { thread: thread('throw new Error("x")'), firstWaitMs: 60_000, longestWaitMs: 60_000 };
  const before = timers();
  const waiting = superviseWorker(settingsOf(), log, dying);
  await line(DIED);
  t.equal(timers(), before + 1);
  await waiting.stop();
  t.equal(timers(), before, 'nothing will start it');
  const living = superviseWorker(settingsOf(), log, { ...dying, thread: thread('setInterval(() => {}, 1000)') });
  await living.stop();
  t.equal(lines.length, 1, 'to be stopped is not to die');
  t.equal(timers(), before);
});

t.test('the real thread works: a cycle against an API server that fails, then one that answers', async (t) => {
  const server = await playApiServer();
  t.teardown(server.close);
  const before = process.env.KUBECONFIG;
  const folder = t.testdir({ kubeconfig: server.kubeconfig });
  process.env.KUBECONFIG = `${folder}/kubeconfig`;
  t.teardown(() => {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
  });
  const { log, lines } = listenedLog();
  const settings = settingsOf({
    OPRC_CRM_PROM_URL: 'http://127.0.0.1:9',
    OPRC_CRM_ANALYZER_INTERVAL_SECS: '1',
    OAAS_TUNER_LOG_LEVEL: 'silent',
  });
  const supervised = superviseWorker(settings, log);
  t.teardown(() => supervised.stop());
  // Watches are refused, so that each cycle lists.
  const next = async () => {
    for (;;) {
      const asked = await server.next();
      if (asked.query.watch === undefined) return asked;
      asked.refuse(403, 'you may not watch');
    }
  };
  const answer = async (times: number, how: 'refuse' | 'reply') => {
    for (let count = 0; count < times; count += 1) {
      const asked = await next();
      if (how === 'refuse') asked.refuse(500, 'etcd is slow');
      else asked.reply({ metadata: { resourceVersion: '1' }, items: [] });
    }
  };
  const cycles = (outcome: string, count: number) =>
    until(`${count} ${outcome}`, () =>
      supervised.metrics().includes(`oaas_tuner_cycles_total{outcome="${outcome}"} ${count}`),
    );
  await until('metrics before the first cycle', () =>
    supervised.metrics().includes('oaas_tuner_cycles_total{outcome="ok"} 0'),
  );
  // Records, Deployments, Knative Services, Revisions' Deployments, LimitRanges, four that stand around workloads, Knative's two.
  await answer(11, 'refuse');
  await cycles('failed', 1);
  await answer(11, 'reply');
  await cycles('ok', 1);
  // None yet, unless the machine was so busy that these took longer than their second, too.
  const overran = () => Number(/^oaas_tuner_cycles_overrun_total (\d+)$/m.exec(supervised.metrics())?.[1]);
  const earlier = overran();
  const late = await next();
  // Longer than the interval of a second: there is nothing else to wait for.
  await sleep(1100);
  late.reply({ metadata: { resourceVersion: '1' }, items: [] });
  await answer(10, 'reply');
  await cycles('ok', 2);
  t.equal(overran(), earlier + 1, 'a cycle that is too long is said');
  t.strictSame(lines, [], 'it did not die');
});
