/** Helm against a real API server: installed, upgraded, uninstalled; no record is ever lost. */
import { join } from 'node:path';
import t from 'tap';
import { type Cluster, partsFor, startCluster } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { kubectl, record } from '../cluster/stage.ts';
import { until } from '../cluster/until.ts';
import { CHART, helm, skipWithout } from './helm.ts';

t.setTimeout(30 * 60_000);
const skip = skipWithout('helm', ...partsFor({}));

t.test('the chart in a real cluster', { skip }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const release = ['tuner', CHART, '-n', 'oaas-system', '--create-namespace'];
  const done = async (...args: string[]) => {
    const { code, stdout, stderr } = await helm(args, t.testdirName, cluster.kubeconfig);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };

  await t.test('installed with one command; the notes say what to do next', async (t) => {
    const notes = await done('install', ...release);
    t.match(notes, 'settings.OPRC_CRM_PROM_URL=http://prometheus.monitoring:9090');
    const found = await kubectl(cluster, [
      'get',
      'deploy,svc,pdb,netpol,sa,secret,role',
      '-n',
      'oaas-system',
      '-o',
      'name',
    ]);
    for (const kind of ['deployment.apps', 'service', 'poddisruptionbudget.policy', 'secret'])
      t.match(found, `${kind}/oaas-tuner`);
    await kubectl(cluster, ['wait', '--for=condition=established', 'crd/deploymentrecords.oaas.io', '--timeout=120s']);
    // Discovery tells of a new kind a moment after that.
    await until('the kind to be known', () => kubectl(cluster, ['apply', '-f', '-'], record({ name: 'orders' })));
  });

  await t.test(
    'an upgrade changes settings and keeps records, the Secret and the bundle that is in force',
    async (t) => {
      await patch(cluster, 'secret/oaas-tuner-tls', { data: { 'tls.crt': 'aGVsbG8=' } });
      const bundle = Buffer.from('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n').toString('base64');
      const ours = { webhooks: [{ name: 'deployments.tuning.oaas.io', clientConfig: { caBundle: bundle } }] };
      await applyBundle(cluster, ours);
      const notes = await done('upgrade', ...release, '--set', 'settings.OPRC_CRM_PROM_URL=http://prometheus:9090');
      t.match(notes, 'settings.OPRC_CRM_FEATURES_NFR_ENFORCEMENT=true', 'the next step');
      const env = await kubectl(cluster, ['get', 'deploy/oaas-tuner', '-n', 'oaas-system', '-o', 'jsonpath={..env}']);
      t.match(env, '"OPRC_CRM_PROM_URL","value":"http://prometheus:9090"');
      t.match(await kubectl(cluster, ['get', 'deploymentrecords', '-o', 'name']), 'deploymentrecord.oaas.io/orders');
      const secret = await kubectl(cluster, [
        'get',
        'secret/oaas-tuner-tls',
        '-n',
        'oaas-system',
        '-o',
        'jsonpath={.data}',
      ]);
      t.match(secret, 'aGVsbG8=');
      t.equal(await bundleOf(cluster), bundle);
    },
  );

  await t.test('uninstalled, the CRD and every record stay, and nothing is left in the way of a deploy', async (t) => {
    await done('uninstall', 'tuner', '-n', 'oaas-system');
    t.match(await kubectl(cluster, ['get', 'deploymentrecords', '-o', 'name']), 'deploymentrecord.oaas.io/orders');
    t.notMatch(await kubectl(cluster, ['get', 'mutatingwebhookconfigurations', '-o', 'name']), 'oaas-tuner');
    const left = await kubectl(cluster, ['get', 'deploy,svc,secret,role,sa', '-n', 'oaas-system', '-o', 'name']);
    t.notMatch(left, 'oaas-tuner');
  });

  await t.test('without Helm: the plain manifests install the same, in one go', async (t) => {
    const script = join(import.meta.dirname, 'manifests.ts');
    const { code, stdout, stderr } = await run(process.execPath, [
      script,
      'plain',
      '--set',
      'monitoring.dashboard=true',
    ]);
    t.equal(code, 0, stderr);
    await kubectl(cluster, ['apply', '-f', '-'], stdout);
    const found = await kubectl(cluster, ['get', 'deploy,svc,cm,secret', '-n', 'plain', '-o', 'name']);
    for (const kind of ['deployment.apps', 'service', 'secret']) t.match(found, `${kind}/oaas-tuner`);
    await kubectl(
      cluster,
      ['delete', '-f', '-', '--wait=false'],
      stdout.slice(stdout.indexOf('# Source: oaas-tuner/templates')),
    );
  });

  await t.test('installed again, it finds the records', async (t) => {
    await done('install', ...release, '--set', 'validateRecords=true');
    t.match(await kubectl(cluster, ['get', 'deploymentrecords', '-o', 'name']), 'deploymentrecord.oaas.io/orders');
  });
});

async function patch(cluster: Cluster, what: string, body: object): Promise<void> {
  await kubectl(cluster, ['patch', what, '-n', 'oaas-system', '--type=merge', '-p', JSON.stringify(body)]);
}

const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/oaas-tuner';

/** As the tuner does it: server-side apply of that field only. */
async function applyBundle(cluster: Cluster, fields: object): Promise<void> {
  const { status, body } = await cluster.api().send(`${CONFIGURATION}?fieldManager=oaas-tuner&force=true`, {
    method: 'PATCH',
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'oaas-tuner' },
      ...fields,
    },
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

async function bundleOf(cluster: Cluster): Promise<string> {
  const { body } = await cluster.api().send(CONFIGURATION);
  return body.webhooks[0].clientConfig.caBundle;
}
