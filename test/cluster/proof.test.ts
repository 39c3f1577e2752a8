/** `OPRC_CRM_ENFORCEMENT_BACKTEST=required` with the real API server and the real Prometheus: who is proven, and who is not. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus } from '../../src/domain/record.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import type { Series } from './remote-write.ts';
import { kubectl, manifest, memory, record } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const can = available(partsFor({ prometheus: true }));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 120_000 };
const NAMES = ['proven', 'risky', 'young'];
const workload = (name: string, version = '1') =>
  manifest({ name, owner: name, version, memory: { function: { request: '512Mi', limit: '1Gi' } } });

t.test('only what its own history proves is applied', { skip: can.ok ? false : can.why }, async (t) => {
  const cluster = await startCluster({ prometheus: true, say: console.error });
  t.teardown(() => cluster.stop());
  await cluster.metricsPush([
    ...lived('proven', 30),
    // A quarter of an hour that the manifest's 1Gi holds, and what is left after a day of tuning does not.
    ...lived('risky', 30, (age) => (age > 60 && age < 75 ? 900 : 100)),
    ...lived('young', 12),
  ]);
  const tuner = await startTuner(cluster, {
    OPRC_CRM_PROM_URL: cluster.prometheusUrl,
    OPRC_CRM_ENFORCEMENT_BACKTEST: 'required',
    // Nothing runs these Deployments: the values come with the next change of the template.
    OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission',
  });
  t.teardown(() => tuner.stop());
  for (const name of NAMES) {
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ name, enforce: true })}---\n${workload(name)}`);
  }
  const judged = async (name: string) =>
    until(
      `the verdict of ${name}`,
      async () => {
        const found = await status(cluster, name);
        return found?.backtest && found;
      },
      PATIENCE,
    );

  await t.test('proven: applied, and injected with the next change of the template', async (t) => {
    t.match((await judged('proven'))?.backtest, { passed: true, kills: { manifest: 0, tuned: 0 }, containers: 1 });
    await until('values', async () => (await status(cluster, 'proven'))?.containers[0]?.applied, PATIENCE);
    await until('the webhook to have seen them', async () => {
      await kubectl(cluster, ['apply', '-f', '-'], workload('proven', String(Math.random())));
      return (await memory(cluster, 'deployment/proven')) !== '512Mi/1Gi';
    });
  });

  await t.test('one that tuning would have killed: held, with what would make it pass', async (t) => {
    const risky = await judged('risky');
    t.match(risky, {
      phase: 'Recommending',
      backtest: { passed: false, kills: { manifest: 0 }, message: /an override of its limit would make it pass/ },
      rollouts: [{ state: 'Waiting', reason: 'backtest' }],
    });
    t.ok((risky.backtest?.kills?.tuned ?? 0) > 0);
    t.equal(risky.containers[0]?.applied, undefined);
  });

  await t.test('too little history: held, and said so', async (t) => {
    const young = await judged('young');
    t.match(young.backtest, { passed: false, message: /container function has 1[12] hours of samples/ });
    t.match(young.rollouts, [{ state: 'Waiting', reason: 'backtest', message: /needs 24$/ }]);
    await kubectl(cluster, ['apply', '-f', '-'], workload('young', '2'));
    t.equal(await memory(cluster, 'deployment/young'), '512Mi/1Gi');
  });
});

/**
 * What Prometheus has of a workload that has lived for so many hours, up to now.
 *
 * @param used MiB, so many minutes ago
 */
function lived(name: string, hours: number, used: (age: number) => number = () => 100): Series[] {
  const every = (value: (age: number) => number) =>
    Array.from({ length: hours * 60 }, (_, age) => ({ at: Date.now() - age * 60_000, value: value(age) }));
  const [namespace, pod] = ['default', `${name}-5d9c-aaa`];
  const owner = { owner_kind: 'ReplicaSet', owner_name: `${name}-5d9c`, owner_is_controller: 'true' };
  const container = { container: 'function', image: 'function:1', id: `/${name}` };
  return [
    {
      labels: { __name__: 'container_memory_working_set_bytes', namespace, pod, ...container },
      samples: every((age) => used(age) * Mi),
    },
    { labels: { __name__: 'kube_pod_owner', namespace, pod, ...owner }, samples: every(() => 1) },
  ];
}

async function status(cluster: Cluster, name: string): Promise<MemoryStatus | undefined> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}`);
  return body.status?.nfr_recommendations?.memory;
}
