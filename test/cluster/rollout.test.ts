/** The tuner's own rolling restart, as its Deployment does it: one more is started, then an old one is stopped. */
import { join } from 'node:path';
import t from 'tap';
import { openBalancer } from './balancer.ts';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import { failedOpen, given, kubectl, manifest, memory } from './stage.ts';
import { byUrl, install, isCalled, startTuner } from './tuner.ts';
import { until } from './until.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

/** Each restarts both replicas. */
const ROUNDS = Number(process.env.OAAS_TUNER_ROUNDS ?? 3);

t.test('a rolling restart under a stream of applies', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const tuners = [];
  for (let count = 0; count < 3; count += 1) {
    const tuner = await startTuner(cluster, { OAAS_TUNER_DRAIN_SECS: '8' });
    t.teardown(() => tuner.kill());
    tuners.push(tuner);
  }
  await tuners[2]?.stop();
  const balancer = await openBalancer(tuners.map(({ opsUrl, reviewsPort }) => ({ opsUrl, port: reviewsPort })));
  t.teardown(() => balancer.close());
  await install(cluster, byUrl(balancer.port, join(cluster.folder, 'tuner-certs/ca.crt')));
  await given(cluster, { overrides: { function: { request: '300Mi', limit: '400Mi' } } });
  await until('the API server to call the balancer', () => isCalled(cluster));

  const failed = await failedOpen(cluster);
  let done = false;
  let applies = 0;
  const stream = async (name: string) => {
    while (!done) {
      applies += 1;
      await kubectl(cluster, ['apply', '-f', '-'], manifest({ name, version: String(applies) }));
      const got = await memory(cluster, `deployment/${name}`);
      if (got !== '300Mi/400Mi') t.fail(`apply ${applies}: ${got}`);
    }
  };
  const streams = Promise.all([stream('one'), stream('two')]);
  for (let restarts = 0; restarts < ROUNDS * 2; restarts += 1) {
    const [old, , fresh] = [tuners[0], tuners[1], tuners[2]];
    await fresh?.start();
    await old?.stop();
    tuners.push(...tuners.splice(0, 1));
  }
  done = true;
  await streams;
  t.ok(applies > ROUNDS * 4, `${applies} applies over ${ROUNDS * 2} restarts`);
  t.equal(await failedOpen(cluster), failed, 'the API server never had to go on without us');
});
