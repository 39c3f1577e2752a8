import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { ensureCertificates } from '../../src/serve/certificates.ts';
import type { Api, KubernetesObject } from './api.ts';
import { answers, type Site } from './site.ts';
import { kubeconfigFile } from './users.ts';

/** How much of the VerticalPodAutoscaler runs: only its API, or also what applies it: its admission controller and updater. */
export type VpaExtent = 'api' | 'controllers';

/**
 * Installs VPA's own CRDs and runs its programs outside the cluster. There is no recommender: that is what the tuner is.
 * Ready means that its webhook is registered and its updater alive.
 */
export async function startVpa(site: Site, api: Api, extent: VpaExtent): Promise<void> {
  const file = join(site.bin, 'vpa-config/k8s.io/autoscaler/vertical-pod-autoscaler/vpa-v1-crd-gen.yaml');
  const crds: KubernetesObject[] = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS());
  await Promise.all(crds.map(api.create));
  if (extent === 'controllers') await Promise.all([startAdmissionController(site, api), startUpdater(site)]);
}

async function startAdmissionController(site: Site, api: Api): Promise<void> {
  const [port, metrics] = [await site.port(), await site.port()];
  const certificates = site.path('vpa-certificates');
  await ensureCertificates(certificates, Date.now());
  const controller = site.program({
    name: 'vpa-admission-controller',
    args: [
      ...common(site, metrics.port),
      `--port=${port.port}`,
      `--client-ca-file=${join(certificates, 'ca.crt')}`,
      `--tls-cert-file=${join(certificates, 'tls.crt')}`,
      `--tls-private-key=${join(certificates, 'tls.key')}`,
      '--register-by-url',
      '--webhook-address=https://127.0.0.1',
      `--webhook-port=${port.port}`,
    ],
    ports: [port, metrics],
    // It registers itself ten seconds after it has started, and only then tells the updater that it lives.
    ready: async () =>
      (await api.send('/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/vpa-admission-controller')).status ===
      200,
  });
  await controller.start();
}

async function startUpdater(site: Site): Promise<void> {
  const metrics = await site.port();
  const updater = site.program({
    name: 'vpa-updater',
    args: [
      ...common(site, metrics.port),
      '--updater-interval=1s',
      // By default a workload with a single pod is never touched.
      '--min-replicas=1',
    ],
    ports: [metrics],
    ready: () => answers(`http://127.0.0.1:${metrics.port}/health-check`),
  });
  await updater.start();
}

function common(site: Site, metricsPort: number): string[] {
  return [
    `--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`,
    `--address=127.0.0.1:${metricsPort}`,
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
  ];
}
