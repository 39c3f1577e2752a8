/** The chart's mode cert-manager, installed by Helm, with cert-manager's own controllers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Running, run } from '../chaos/running.ts';
import { CHART, helm, skipWithout } from '../chart/helm.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { failedOpen, given, kubectl, manifest, memory, put } from './stage.ts';
import { NAMESPACE, REVIEW_TIMEOUT_SECS } from './tuner.ts';
import { until } from './until.ts';

const skip = skipWithout('helm', ...partsFor({ certManager: true }));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/oaas-tuner';
const SECRET = `/api/v1/namespaces/${NAMESPACE}/secrets/oaas-tuner-tls`;

t.test('cert-manager issues, publishes and renews', { skip }, async (t) => {
  const cluster = await startCluster({ certManager: true, say: console.error });
  t.teardown(() => cluster.stop());
  const release = ['tuner', CHART, '-n', NAMESPACE, '--create-namespace', '--set', 'certificates.mode=cert-manager'];
  const done = async (...args: string[]) => {
    const { code, stderr } = await helm(args, t.testdirName, cluster.kubeconfig);
    if (code !== 0) throw new Error(stderr);
  };
  await done('install', ...release);
  const first = await until('the Secret', () => secretOf(cluster));
  const bundle = await until('caBundle', () => bundleOf(cluster));

  await done('upgrade', ...release, '--set', 'settings.OPRC_CRM_PROFILE=full');
  t.equal(await bundleOf(cluster), bundle, 'an upgrade leaves the bundle alone');

  // The kubelet's part: the Secret as files; and the Service's: the way to a process on loopback.
  const tuner = await run(t, {
    env: { KUBECONFIG: cluster.kubeconfigFor('tuner'), OAAS_TUNER_NAMESPACE: NAMESPACE },
  });
  await mount(tuner, first);
  await leadHere(cluster, tuner.reviewsPort);
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await kubectl(cluster, ['wait', '--for=condition=established', 'crd/deploymentrecords.oaas.io', '--timeout=20s']);
  await given(cluster, { overrides: { function: { request: '300Mi', limit: '400Mi' } } });

  await t.test('the API server trusts it: a review works', async (t) => {
    t.equal(bundle, first['ca.crt'], 'the CA of the Certificate, from the Secret');
    await kubectl(cluster, ['apply', '-f', '-'], manifest());
    t.equal(await memory(cluster), '300Mi/400Mi');
  });

  await t.test('renewed: the new certificate is served at once, and no apply passes without its values', async (t) => {
    const failed = await failedOpen(cluster);
    await cluster.api().send(SECRET, { method: 'DELETE' });
    const second = await until('another one', async () => {
      const now = await secretOf(cluster);
      return now?.['tls.crt'] === first['tls.crt'] ? undefined : now;
    });
    await mount(tuner, second);
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ version: '2' }));
    t.equal(await memory(cluster), '300Mi/400Mi');
    t.equal(await failedOpen(cluster), failed);
  });

  await t.test('wiped, it is put back: by cert-manager, for the tuner may not', async (t) => {
    await put(cluster.api(), CONFIGURATION, (live) => {
      for (const webhook of live.webhooks) delete webhook.clientConfig.caBundle;
      return live;
    });
    t.equal(await until('the bundle', () => bundleOf(cluster)), bundle);
    const may = ['auth', 'can-i', 'patch', 'mutatingwebhookconfigurations/oaas-tuner'];
    t.equal((await cluster.kubectl(may, { user: 'tuner' })).stdout, 'no\n');
  });
});

type Files = Record<'tls.crt' | 'tls.key' | 'ca.crt', string>;

/** The files of the Secret as texts, once they are all there. */
async function secretOf(cluster: Cluster): Promise<Files | undefined> {
  const { body } = await cluster.api().send(SECRET);
  const names = ['tls.crt', 'tls.key', 'ca.crt'];
  if (!names.every((name) => body.data?.[name])) return undefined;
  return Object.fromEntries(names.map((name) => [name, Buffer.from(body.data[name], 'base64').toString()])) as Files;
}

/** What every webhook of ours trusts, once they all trust the same. */
async function bundleOf(cluster: Cluster): Promise<string | undefined> {
  const { body } = await cluster.api().send(CONFIGURATION);
  const [bundle, ...others] = new Set(
    body.webhooks.map(({ clientConfig }: { clientConfig: { caBundle?: string } }) => clientConfig.caBundle),
  );
  return bundle && others.length === 0 ? Buffer.from(bundle as string, 'base64').toString() : undefined;
}

async function mount({ tlsDir, lines }: Running, files: Files): Promise<void> {
  const served = () => lines().filter(({ msg }) => msg === 'serving a certificate').length;
  const before = served();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(tlsDir, name), text);
  await until('it to be served', () => served() > before);
}

/** The chart's Service leads to pods; there are none, so another of its name leads to this machine. */
async function leadHere(cluster: Cluster, port: number): Promise<void> {
  await kubectl(cluster, ['delete', 'service', 'oaas-tuner', '-n', NAMESPACE]);
  await kubectl(cluster, [
    'create',
    'service',
    'externalname',
    'oaas-tuner',
    '-n',
    NAMESPACE,
    '--external-name=localhost',
  ]);
  const changes = [0, 1].flatMap((index) => [
    { op: 'add', path: `/webhooks/${index}/clientConfig/service/port`, value: port },
    { op: 'replace', path: `/webhooks/${index}/timeoutSeconds`, value: REVIEW_TIMEOUT_SECS },
  ]);
  await kubectl(cluster, [
    'patch',
    'mutatingwebhookconfiguration',
    'oaas-tuner',
    '--type=json',
    '-p',
    JSON.stringify(changes),
  ]);
}
