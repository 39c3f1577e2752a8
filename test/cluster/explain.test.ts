/** `npm run explain` against a real cluster, as the person who deploys. */
import { join } from 'node:path';
import t from 'tap';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { run } from './command.ts';
import { kubectl, manifest, record, restarted } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 120_000 };
const script = join(import.meta.dirname, '../../src/explain.ts');

t.test('what runs is explained by the record alone', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster, {
    ...measuring(cluster),
    OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission',
    OPRC_CRM_STEP_PERCENT: '50',
  });
  t.teardown(() => tuner.stop());
  const file = manifest({ usage: '180Mi', memory: { function: { request: '512Mi', limit: '1Gi' } } });
  await kubectl(cluster, ['apply', '-f', '-'], `${record({ enforce: true })}---\n${file}`);
  const waiting = await until(
    'applied values',
    async () => {
      const said = await explain(cluster);
      return /waits for a change of the pod template/.test(said.stdout) ? said : undefined;
    },
    PATIENCE,
  );

  await t.test('applied values that wait are told, and end with 1', async (t) => {
    t.equal(waiting.code, 1, waiting.stdout + waiting.stderr);
    t.match(waiting.stdout, /✓ applied +\d+Mi\/\d+Mi since/);
    t.match(waiting.stdout, 'OPRC_CRM_STEP_PERCENT=50', 'the settings of the tuner, not of this process');
    t.match(waiting.stdout, /✗ runs +512Mi\/1Gi \(applied\): \d+Mi\/\d+Mi waits for a change of the pod template/);
  });

  await t.test('once they run, every number matches', async (t) => {
    await restarted(cluster, (memory) => memory !== '512Mi/1Gi');
    const said = await until(
      'the status to see them',
      async () => {
        const said = await explain(cluster);
        return said.code === 0 ? said : Promise.reject(new Error(said.stdout + said.stderr));
      },
      PATIENCE,
    );
    t.match(said.stdout, 'Every number is explained, and matches.');
  });

  await t.test('a number that somebody wrote into the status is named', async (t) => {
    await tuner.stop();
    const path = '/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/orders/status';
    const { body } = await cluster.api().send(path);
    body.status.nfr_recommendations.memory.containers[0].recommended.request = '96Mi';
    await cluster.api().send(path, { method: 'PUT', body });
    const { code, stdout } = await explain(cluster);
    t.equal(code, 1);
    t.match(stdout, /✗ recommended +96Mi\/\d+Mi since .*: by its evidence it is \d+Mi\/\d+Mi/);
  });

  await t.test('what is not there is said in one line', async (t) => {
    const { code, stderr } = await explain(cluster, 'default/ordres');
    t.equal(code, 2);
    t.match(stderr, /^get deploymentrecords default\/ordres: .*not found.*\n$/);
  });
});

function explain(cluster: Cluster, what = 'default/orders') {
  return run(process.execPath, [script, what], '', { KUBECONFIG: cluster.kubeconfigFor('person') });
}
