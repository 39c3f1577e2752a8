import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Api, openApi } from './api.ts';
import { answers, type Site } from './site.ts';
import { identities, newTokens, type User, writeKubeconfigs, writeTokenFile } from './users.ts';

/** A running etcd and API server, and how to talk to it. */
export interface ControlPlane {
  url: string;
  /** The file of the certificate authority that vouches for `url`. */
  caFile: string;
  /** What is in that file. */
  ca: string;
  tokens: Record<User, string>;
  /** Requests as admin. */
  api: Api;
}

/** The private key that signs service account tokens; the controller manager needs it too. */
export function serviceAccountKey(site: Site): string {
  return site.path('service-accounts.key');
}

/** Starts etcd and the API server, and gives the users their tokens, kubeconfigs and rights. */
export async function startControlPlane(site: Site, audit = false): Promise<ControlPlane> {
  const tokens = newTokens();
  writeTokenFile(site.path('tokens.csv'), tokens);
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  writeFileSync(serviceAccountKey(site), key.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });

  const etcdUrl = await startEtcd(site);
  const port = await site.port();
  const url = `https://127.0.0.1:${port.port}`;
  // Self-signed, and written by the API server itself on its first start.
  const caFile = site.path('apiserver', 'apiserver.crt');
  const ca = () => readFileSync(caFile, 'utf8');
  let open: Api | undefined;
  const api = () => {
    if (open !== undefined) return open;
    open = openApi(url, ca(), tokens.admin);
    site.atEnd(open.close);
    return open;
  };
  const apiserver = site.program({
    name: 'apiserver',
    executable: 'kube-apiserver',
    args: [
      `--etcd-servers=${etcdUrl}`,
      `--cert-dir=${site.path('apiserver')}`,
      `--secure-port=${port.port}`,
      '--bind-address=127.0.0.1',
      // Else it looks for an interface with a default route, which a machine without a network does not have.
      '--advertise-address=127.0.0.1',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${serviceAccountKey(site)}`,
      `--service-account-signing-key-file=${serviceAccountKey(site)}`,
      `--token-auth-file=${site.path('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--endpoint-reconciler-type=none',
      '--allow-privileged=true',
      '--profiling=false',
      ...(audit ? auditArgs(site) : []),
    ],
    ports: [port],
    // The default namespace appears a moment after /readyz says yes.
    ready: async () =>
      (await api().send('/readyz')).status === 200 && (await api().send('/api/v1/namespaces/default')).status === 200,
  });
  await apiserver.start();
  writeKubeconfigs(site.folder, url, caFile, tokens);
  await bindPerson(api());
  return { url, caFile, ca: ca(), tokens, api: api() };
}

/** Writes down who asked for what and what was answered, for the tuner alone. */
function auditArgs(site: Site): string[] {
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata', users: [identities.tuner.name] }, { level: 'None' }],
  };
  writeFileSync(site.path('audit-policy.json'), JSON.stringify(policy));
  return [`--audit-policy-file=${site.path('audit-policy.json')}`, `--audit-log-path=${site.path('audit.log')}`];
}

async function startEtcd(site: Site): Promise<string> {
  const [port, peerPort] = [await site.port(), await site.port()];
  const url = `http://127.0.0.1:${port.port}`;
  const peerUrl = `http://127.0.0.1:${peerPort.port}`;
  const etcd = site.program({
    name: 'etcd',
    args: [
      `--data-dir=${site.path('etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // Nothing here has to survive a power cut, and a laptop's disk is what makes etcd slow.
      '--unsafe-no-fsync',
      '--logger=zap',
      '--log-level=warn',
    ],
    ports: [port, peerPort],
    ready: () => answers(`${url}/health`),
  });
  await etcd.start();
  return url;
}

async function bindPerson(api: Api): Promise<void> {
  await api.create({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'harness-person' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: identities.person.name }],
  });
}
