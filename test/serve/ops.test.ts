import { Gauge, Registry } from 'prom-client';
import t from 'tap';
import { createOpsServer } from '../../src/serve/ops.ts';

function ops(notReady: () => string | undefined = () => undefined, workerMetrics = () => '') {
  const registry = new Registry();
  new Gauge({ name: 'of_the_process', help: 'A metric.', registers: [registry] }).set(7);
  return createOpsServer({ registry, workerMetrics, notReady });
}

t.test('it is ready when nothing speaks against it, else it says what', async (t) => {
  let why: string | undefined = 'the records have not been listed yet';
  const app = ops(() => why);
  const ask = async () => {
    const { statusCode, body } = await app.inject('/readyz');
    return `${statusCode} ${body}`;
  };
  t.equal(await ask(), '503 not ready: the records have not been listed yet\n');
  why = undefined;
  t.equal(await ask(), '200 ok\n');
  why = 'stopping';
  t.equal(await ask(), '503 not ready: stopping\n');
});

t.test('it lives as long as it answers, ready or not', async (t) => {
  const { statusCode, body } = await ops(() => 'stopping').inject('/livez');
  t.equal(`${statusCode} ${body}`, '200 ok\n');
});

t.test("the worker's metrics follow those of the process, in one text that Prometheus reads", async (t) => {
  const answer = await ops(undefined, () => '# HELP of_the_worker A metric.\nof_the_worker 1\n').inject('/metrics');
  t.match(answer.headers['content-type'], 'text/plain; version=0.0.4');
  t.equal(
    answer.body,
    '# HELP of_the_process A metric.\n# TYPE of_the_process gauge\nof_the_process 7\n# HELP of_the_worker A metric.\nof_the_worker 1\n',
  );
  t.match((await ops().inject('/metrics')).body, 'of_the_process 7', 'also before the worker has said anything');
});

t.test('nothing else is served', async (t) => {
  for (const path of ['/', '/mutate', '/debug']) t.equal((await ops().inject(path)).statusCode, 404, path);
});
