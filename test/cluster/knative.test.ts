import t from 'tap';
import { RULES } from '../recommend/rules.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { USED } from './kill-points.ts';
import { playWorker } from './played-worker.ts';
import { given, kubectl, type Manifest, manifest, memory, record } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true, knative: 'controller' } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const applied = (name: string, request: string, limit: string) => ({
  [`KnativeService/${name}/function`]: { request, limit },
});
const OVERRIDES = { function: { request: '300Mi', limit: '400Mi' } };

t.test("Knative Services, through Knative's own webhooks", { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.stop());
  /** A Service of that name and owner; each test has its own, because Knative takes its time to clear up. */
  const service = (name: string, from: Manifest = {}) => manifest({ kind: 'Service', name, owner: name, ...from });

  for (const [name, way] of Object.entries({ client: ['apply'], server: ['apply', '--server-side'] })) {
    await t.test(`kubectl ${way.join(' ')}: one Revision per change of the template, and none without`, async (t) => {
      const ksvc = `ksvc/${name}`;
      await given(cluster, { name, enforce: true, applied: applied(name, '224Mi', '336Mi') });
      await kubectl(cluster, [...way, '-f', '-'], service(name));
      t.equal(await memory(cluster, ksvc), '224Mi/336Mi');
      await revisions(cluster, name, 1);
      await given(cluster, { name, enforce: true, applied: applied(name, '208Mi', '320Mi') });
      await kubectl(cluster, [...way, '-f', '-'], service(name));
      await kubectl(cluster, ['annotate', ksvc, 'note=hello']);
      await kubectl(cluster, ['label', ksvc, 'team=a']);
      t.equal(await memory(cluster, ksvc), '224Mi/336Mi', 'the same file and metadata leave the values alone');
      await kubectl(cluster, [...way, '-f', '-'], service(name, { version: '2' }));
      t.equal(await memory(cluster, ksvc), '208Mi/320Mi');
      await revisions(cluster, name, 2);
    });
  }

  await t.test('an override wins over applied values and over the manifest, gate open or closed', async (t) => {
    const name = 'wish';
    const overrides = { function: { request: '0.25Gi', limit: '700M' } };
    for (const gate of ['true', 'false']) {
      await tuner.stop();
      await tuner.start({ OPRC_CRM_FEATURES_NFR_ENFORCEMENT: gate });
      await given(cluster, { name, enforce: true, applied: applied(name, '224Mi', '336Mi'), overrides });
      const wanted = { version: gate, memory: { function: { request: '100Mi', limit: '2Gi' } } };
      await kubectl(cluster, ['apply', '-f', '-'], service(name, wanted));
      t.equal(await memory(cluster, `ksvc/${name}`), '256Mi/700M', "to the letter, in Knative's own spelling");
    }
    await tuner.stop();
    await tuner.start();
  });

  await t.test("a container that its author left to Knative's default name", async (t) => {
    const name = 'unnamed';
    await given(cluster, { name, overrides: { 'user-container': { request: '300Mi', limit: '400Mi' } } });
    const file = service(name, { memory: { '': { request: '256Mi', limit: '512Mi' } } });
    await kubectl(cluster, ['apply', '-f', '-'], file);
    t.equal(await memory(cluster, `ksvc/${name}`, 'user-container'), '300Mi/400Mi');
    await revisions(cluster, name, 1);
    await kubectl(cluster, ['apply', '-f', '-'], file);
    await kubectl(cluster, ['annotate', `ksvc/${name}`, 'note=hello']);
    await kubectl(cluster, ['apply', '-f', '-'], service(name, { memory: { '': {} }, version: '2' }));
    await revisions(cluster, name, 2);
    t.equal(await memory(cluster, `ksvc/${name}`, 'user-container'), '300Mi/400Mi');
  });

  await t.test('a template that names its revision goes through untouched', async (t) => {
    const name = 'named';
    await given(cluster, { name, overrides: OVERRIDES });
    const said = await kubectl(cluster, ['apply', '-f', '-'], service(name, { revisionName: 'named-one' }));
    t.match(said, 'the template names its revision');
    await kubectl(cluster, ['annotate', `ksvc/${name}`, 'note=hello']);
    t.equal(await memory(cluster, `ksvc/${name}`), '256Mi/512Mi');
    await kubectl(cluster, ['apply', '-f', '-'], service(name, { revisionName: 'named-two', version: '2' }));
    t.equal(await memory(cluster, `ksvc/${name}`), '256Mi/512Mi');
  });

  await t.test("the Deployment that Knative makes of a Revision is Knative's, labelled or not", async (t) => {
    const name = 'theirs';
    const deployment = `deployment/${name}-00001-deployment`;
    await given(cluster, { name, overrides: OVERRIDES });
    const plain = service(name);
    const labelled = plain.replace('labels:\n        app:', `labels:\n        oaas.io/owner: ${name}\n        app:`);
    t.not(labelled, plain, 'OaaS labels the template too, and so the Deployment');
    await kubectl(cluster, ['apply', '-f', '-'], labelled);
    await revisions(cluster, name, 1);
    await given(cluster, { name, overrides: { function: { request: '310Mi', limit: '410Mi' } } });
    await kubectl(cluster, ['annotate', deployment, 'note=hello']);
    t.equal(await memory(cluster, deployment), '300Mi/400Mi', 'an immutable Revision stays what it was');
  });

  await t.test("the worker's requests: one Revision a step, none for the same file again", async (t) => {
    const written = { function: { request: '512Mi', limit: '1Gi' } };
    const file = service('steps', { memory: written });
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ name: 'steps', enforce: true })}---\n${file}`);
    await revisions(cluster, 'steps', 1);
    const worker = playWorker(cluster.kubeconfigFor('tuner'), {
      usage: () => USED,
      sees: ({ metadata }) => metadata.name === 'steps',
      knative: true,
    });
    const rollout = ['get', 'deploymentrecord', 'steps', '-o', 'jsonpath={.status..rollouts[0].state}'];
    let now = Date.now();
    for (const [index, to] of ['368Mi/720Mi', '272Mi/512Mi'].entries()) {
      await until(`the step to ${to}`, async () => {
        await worker.work(now);
        // However many looks it takes, they must not add up to the cooldown.
        now += 1_000;
        return (await kubectl(cluster, rollout)) === 'Done' && (await memory(cluster, 'ksvc/steps')) === to;
      });
      await kubectl(cluster, ['apply', '-f', '-'], file);
      t.equal(await memory(cluster, 'ksvc/steps'), to);
      await revisions(cluster, 'steps', index + 2);
      now += RULES.cooldownSeconds * 1000;
    }
  });

  await t.test('what the pods of all its Revisions use is measured under its name', async (t) => {
    await tuner.stop();
    await tuner.start({ OPRC_CRM_PROM_URL: cluster.prometheusUrl });
    await kubectl(cluster, ['apply', '-f', '-'], service('busy', { usage: '400Mi' }));
    await given(cluster, { name: 'busy', enabled: true });
    const container = await until(
      'a recommendation',
      async () => {
        const { stdout } = await cluster.kubectl(['get', 'deploymentrecord', 'busy', '-o', 'json']);
        const found = JSON.parse(stdout).status?.nfr_recommendations?.memory?.containers?.[0];
        return found?.recommended && found;
      },
      { timeoutMs: 120_000 },
    );
    t.match(container, { name: 'function', workload: 'KnativeService/busy', observed: { ws_max: '400Mi' } });
  });
});

async function revisions(cluster: Cluster, service: string, count: number): Promise<void> {
  await until(`${count} revisions of ${service} with their Deployments`, async () => {
    const label = `serving.knative.dev/service=${service}`;
    const { stdout } = await cluster.kubectl(['get', 'deployments', '-l', label, '-o', 'name']);
    const names = stdout.trim().split('\n').filter(Boolean);
    if (names.length > count) throw new Error(`${names}`);
    return names.length === count;
  });
}
