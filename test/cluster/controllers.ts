import type { Api } from './api.ts';
import { type ControlPlane, serviceAccountKey } from './control-plane.ts';
import { answers, type Site } from './site.ts';
import { until } from './until.ts';
import { kubeconfigFile } from './users.ts';

const nodes = ['node-1', 'node-2', 'node-3', 'node-4'];

/**
 * Starts what makes a Deployment become running pods: the controller manager, the scheduler, and KWOK with four fake nodes.
 * Gives the URL where KWOK plays their kubelets.
 */
export async function startControllers(site: Site, { api, caFile }: ControlPlane): Promise<string> {
  const [kwokUrl] = await Promise.all([
    startKwok(site),
    startManager(site, caFile),
    startScheduler(site),
    ...nodes.map((name) => addNode(api, name)),
  ]);
  const patience = { timeoutMs: 120_000, unless: site.mustBeOpen };
  const allReady = async () => {
    const { body } = await api.send('/api/v1/nodes');
    return body.items.length === nodes.length && body.items.every(isReady);
  };
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  await until('every fake node to be ready', allReady, patience);
  // Without it every pod of the default namespace is refused.
  await until('the default service account', async () => (await api.send(account)).status === 200, patience);
  return kwokUrl;
}

async function startManager(site: Site, caFile: string): Promise<void> {
  const port = await site.port();
  const manager = site.program({
    name: 'controller-manager',
    executable: 'kube-controller-manager',
    args: [
      `--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port.port}`,
      `--cert-dir=${site.path('controller-manager')}`,
      // Alone it would still wait 15 s for a lease after each restart.
      '--leader-elect=false',
      // A heartbeat that a busy machine delays is no dead node: its pods would be unavailable for good.
      '--node-monitor-grace-period=30m',
      `--root-ca-file=${caFile}`,
      `--service-account-private-key-file=${serviceAccountKey(site)}`,
      ...unhurried,
    ],
    ports: [port],
    ready: () => answers(`https://127.0.0.1:${port.port}/healthz`),
  });
  await manager.start();
}

async function startScheduler(site: Site): Promise<void> {
  const port = await site.port();
  const scheduler = site.program({
    name: 'scheduler',
    executable: 'kube-scheduler',
    args: [
      `--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port.port}`,
      `--cert-dir=${site.path('scheduler')}`,
      '--leader-elect=false',
      ...unhurried,
    ],
    ports: [port],
    ready: () => answers(`https://127.0.0.1:${port.port}/healthz`),
  });
  await scheduler.start();
}

// The defaults (20 and 50 requests a second) are meant to spare a shared API server; here they only make tests wait.
const unhurried = ['--kube-api-qps=500', '--kube-api-burst=1000', '--profiling=false'];

async function startKwok(site: Site): Promise<string> {
  const port = await site.port();
  const url = `http://127.0.0.1:${port.port}`;
  const stages = [
    'node/fast/node-initialize',
    'node/heartbeat-with-lease/node-heartbeat-with-lease',
    'pod/fast/pod-ready',
    'pod/fast/pod-complete',
    'pod/fast/pod-delete',
  ];
  const configs = stages.map((stage) => `${site.bin}/kwok-stages/sigs.k8s.io/kwok/${stage}.yaml`);
  const kwok = site.program({
    name: 'kwok',
    args: [
      ...[...configs, `${import.meta.dirname}/kwok-metrics.yaml`].map((file) => `--config=${file}`),
      `--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`,
      '--manage-all-nodes=true',
      '--node-ip=127.0.0.1',
      `--node-port=${port.port}`,
      `--server-address=127.0.0.1:${port.port}`,
      '--cidr=10.244.0.0/16',
    ],
    ports: [port],
    ready: () => answers(`${url}/readyz`),
  });
  await kwok.start();
  return url;
}

async function addNode(api: Api, name: string): Promise<void> {
  const size = { cpu: '64', memory: '256Gi', pods: '250' };
  await api.create({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: { 'kwok.x-k8s.io/node': 'fake', 'node.alpha.kubernetes.io/ttl': '0' },
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        type: 'kwok',
      },
    },
    status: { allocatable: size, capacity: size },
  });
}

interface NodeStatus {
  status: { conditions?: { type: string; status: string }[] };
}

function isReady({ status }: NodeStatus): boolean {
  return status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}
