import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { parseAllDocuments, stringify } from 'yaml';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import type { Cluster } from './cluster.ts';
import { reservePort } from './ports.ts';
import { until } from './until.ts';

/** The tuner as a process of its own, against a test's cluster, asked by the API server over TLS. */
export interface Tuner {
  opsUrl: string;
  reviewsPort: number;
  /** Of the process that was started last. */
  pid(): number | undefined;
  /** Its log so far, one object a line. */
  log(): Record<string, unknown>[];
  /** Its own metrics, as text. */
  metrics(): Promise<string>;
  /** As if the machine had lost power. */
  kill(): Promise<void>;
  /** Starts it again on the same ports; ready when this returns. */
  start(env?: Record<string, string>): Promise<void>;
  /** In order: SIGTERM. */
  stop(): Promise<void>;
}

const root = new URL('../../', import.meta.url).pathname;
const chart = join(root, 'charts/oaas-tuner');

/** Where the chart is installed; the users' names in the harness say so, too. */
export const NAMESPACE = 'oaas-system';

/** What a test's tuner is set to unless it says otherwise: everything on, nothing waits longer than it must. */
const defaults = {
  OPRC_CRM_PROFILE: 'full',
  OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'true',
  OPRC_CRM_ANALYZER_INTERVAL_SECS: '1',
  OAAS_TUNER_HOST: '127.0.0.1',
  OAAS_TUNER_DRAIN_SECS: '0',
  OAAS_TUNER_NAMESPACE: NAMESPACE,
};

/** Settings of a worker that reads the cluster's Prometheus and makes up its mind within seconds. */
export const measuring = (cluster: Cluster) => ({
  OPRC_CRM_PROM_URL: cluster.prometheusUrl,
  OPRC_CRM_SCRAPE_INTERVAL_SECS: '1',
  OPRC_CRM_SHORT_WINDOW_SECS: '10',
});

/**
 * Installs what the chart installs (CRD, role, webhook configuration) and starts `src/main.ts` as the chart's account.
 * Ready when it returns.
 *
 * @param env settings on top of the defaults above; without OPRC_CRM_PROM_URL the worker does not run
 */
export async function startTuner(cluster: Cluster, env: Record<string, string> = {}): Promise<Tuner> {
  const tlsDir = join(cluster.folder, 'tuner-certs');
  mkdirSync(tlsDir, { recursive: true });
  await ensureCertificates(tlsDir, Date.now());
  const [reviews, ops] = await Promise.all([reservePort(), reservePort()]);
  const itself = env.OAAS_TUNER_CERTIFICATES === 'secret';
  try {
    await install(cluster, itself ? byService(reviews.port) : byUrl(reviews.port, join(tlsDir, 'ca.crt')));
  } finally {
    // Held for ever they would keep a run alive that has failed here.
    await Promise.all([reviews.release(), ops.release()]);
  }

  const base = {
    ...defaults,
    KUBECONFIG: cluster.kubeconfigFor('tuner'),
    OAAS_TUNER_PORT: String(reviews.port),
    OAAS_TUNER_METRICS_PORT: String(ops.port),
    OAAS_TUNER_TLS_DIR: tlsDir,
    ...env,
  };
  const opsUrl = `http://127.0.0.1:${ops.port}`;
  let child: ChildProcess | undefined;
  let printed = '';

  const tuner: Tuner = {
    opsUrl,
    reviewsPort: reviews.port,
    log: () => printed.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : [])),
    pid: () => child?.pid,
    async metrics() {
      return (await request(`${opsUrl}/metrics`)).body.text();
    },
    async start(changed = {}) {
      child = spawn(process.execPath, ['src/main.ts'], {
        cwd: root,
        env: { ...process.env, ...base, ...changed },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk) => {
          printed += chunk;
        });
      }
      const unless = () => {
        if (child?.exitCode !== null) throw new Error(`the tuner ended: ${printed}`);
      };
      const ready = async () => (await request(`${opsUrl}/readyz`)).statusCode === 200;
      await until('the tuner to be ready', ready, { unless });
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
  async function end(signal: NodeJS.Signals) {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
  await tuner.start();
  await until('the API server to call the webhook', () => isCalled(cluster));
  return tuner;
}

/** A new webhook configuration reaches the API server's own watch a moment after it was written. */
export async function isCalled(cluster: Cluster): Promise<boolean> {
  const probe = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'probe', labels: { 'oaas.io/owner': 'nobody' } },
    spec: {
      selector: { matchLabels: { app: 'probe' } },
      template: { metadata: { labels: { app: 'probe' } }, spec: { containers: [{ name: 'probe', image: 'probe' }] } },
    },
  };
  const { stderr } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: stringify(probe) });
  return stderr.includes('oaas-tuner');
}

type Address = (path: string) => object;

/** Straight to a port of loopback, with a certificate for localhost. */
export function byUrl(port: number, caFile: string): Address {
  const caBundle = readFileSync(caFile).toString('base64');
  return (path) => ({ url: `https://127.0.0.1:${port}${path}`, caBundle });
}

/** As in a cluster: by the Service's name, trusting whom the tuner says to trust. */
export function byService(port: number): Address {
  return (path) => ({ service: { name: 'oaas-tuner', namespace: NAMESPACE, path, port } });
}

/** Everything of the chart but the Deployment, with that address for reviews. */
export async function install(cluster: Cluster, address: Address): Promise<void> {
  const crd = readFileSync(join(chart, 'crds/deploymentrecords.yaml'), 'utf8');
  await cluster.apply(crd);
  await cluster.kubectl(['wait', '--for=condition=established', 'crd/deploymentrecords.oaas.io', '--timeout=120s']);
  await cluster.apply(grants());
  await cluster.apply(webhookConfiguration(address));
}

/** The chart's roles, bound to its account, in its namespace. */
function grants(): string {
  const roles = parseAllDocuments(readFileSync(join(chart, 'files/role.yaml'), 'utf8')).map((one) => one.toJS());
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    // What the chart makes: an empty Secret. And a Service that leads to loopback.
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'oaas-tuner-tls', namespace: NAMESPACE } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'oaas-tuner', namespace: NAMESPACE },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
    ...roles.flatMap((role) => {
      const { apiVersion, kind } = role;
      const metadata = { name: role.metadata.name, ...(kind === 'Role' && { namespace: NAMESPACE }) };
      const [apiGroup] = apiVersion.split('/');
      const subjects = [{ kind: 'ServiceAccount', name: 'oaas-tuner', namespace: NAMESPACE }];
      const roleRef = { apiGroup, kind, name: metadata.name };
      return [
        { ...role, metadata },
        { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects },
      ];
    }),
  ];
  return objects.map((object) => stringify(object)).join('---\n');
}

/** In seconds, the most that there is: a busy machine must not fail open where a test does not look. */
export const REVIEW_TIMEOUT_SECS = 30;

/** The chart's configuration, with an address on loopback. */
function webhookConfiguration(address: Address): string {
  const documents = parseAllDocuments(readFileSync(join(chart, 'files/webhooks.yaml'), 'utf8'));
  const mutating = documents[0]?.toJS();
  for (const webhook of mutating.webhooks) {
    webhook.clientConfig = address(webhook.path);
    delete webhook.path;
    webhook.timeoutSeconds = REVIEW_TIMEOUT_SECS;
  }
  return stringify(mutating, { aliasDuplicateObjects: false });
}
