import type { Api, KubernetesObject } from './api.ts';
import { playAutoscaler } from './knative-autoscaler.ts';
import { knativeNamespace, readInstallation, webhookService, withoutRegistries, withPort } from './knative-objects.ts';
import { answers, type Site } from './site.ts';
import { kubeconfigFile } from './users.ts';

/**
 * How much of Knative Serving runs: only its admission webhook, or also the controller that turns a Service into a Deployment,
 * with somebody who plays the autoscaler.
 */
export type KnativeExtent = 'webhook' | 'controller';

/**
 * Installs Knative Serving's own CRDs, config maps and webhook configurations, and runs its programs outside the cluster.
 * Ready means that its webhook defaults and refuses.
 */
export async function startKnative(site: Site, api: Api, extent: KnativeExtent): Promise<void> {
  const port = await site.port();
  const objects = readInstallation(site.bin);
  const of = (...kinds: string[]) => objects.filter(({ kind }) => kinds.includes(kind));
  await createAll(api, of('Namespace'));
  const crds = createAll(api, of('CustomResourceDefinition'));
  await createAll(api, [...of('ConfigMap').map(withoutRegistries), ...of('Secret'), webhookService]);
  await createAll(
    api,
    of('MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration').map((object) => withPort(object, port.port)),
  );
  await crds;
  await Promise.all([startWebhook(site, api, port), extent === 'controller' && startController(site)]);
  if (extent === 'controller') site.atEnd(playAutoscaler(api));
}

async function createAll(api: Api, objects: KubernetesObject[]): Promise<void> {
  await Promise.all(objects.map(api.create));
}

async function startWebhook(site: Site, api: Api, port: Awaited<ReturnType<Site['port']>>): Promise<void> {
  const own = await observability(site);
  const webhook = site.program({
    name: 'knative-webhook',
    args: programArgs(site),
    env: { ...own.env, WEBHOOK_NAME: webhookService.metadata.name, WEBHOOK_PORT: String(port.port) },
    ports: [port, ...own.ports],
    ready: () => admits(api),
  });
  await webhook.start();
}

async function startController(site: Site): Promise<void> {
  const own = await observability(site);
  const controller = site.program({
    name: 'knative-controller',
    args: programArgs(site),
    env: own.env,
    ports: own.ports,
    ready: () => answers(`http://127.0.0.1:${own.metricsPort}/metrics`),
  });
  await controller.start();
}

function programArgs(site: Site): string[] {
  return [`--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`, '--disable-ha'];
}

/** Ports that every Knative program opens whether anybody asks or not, and the names of its config maps. */
async function observability(site: Site) {
  const [metrics, profiling] = [await site.port(), await site.port()];
  const env = {
    POD_NAME: 'harness',
    SYSTEM_NAMESPACE: knativeNamespace,
    CONFIG_LOGGING_NAME: 'config-logging',
    CONFIG_OBSERVABILITY_NAME: 'config-observability',
    METRICS_DOMAIN: 'knative.dev/internal/serving',
    METRICS_PROMETHEUS_PORT: String(metrics.port),
    PROFILING_PORT: String(profiling.port),
  };
  return { env, ports: [metrics, profiling], metricsPort: metrics.port };
}

/** Whether Knative's webhook fills in a Service and refuses a wrong one; both are only asked, nothing is stored. */
async function admits(api: Api): Promise<boolean> {
  const ask = async (spec: object) => {
    const body = {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name: 'harness-probe' },
      spec: { template: { spec } },
    };
    return api.send('/apis/serving.knative.dev/v1/namespaces/default/services?dryRun=All', { method: 'POST', body });
  };
  const containers = [{ image: 'dev.local/probe' }];
  const filled = await ask({ containers });
  const refused = await ask({ containers, containerConcurrency: 2000 });
  return (
    filled.body?.spec?.template?.spec?.containerConcurrency === 0 &&
    /expected 0 <= 2000 <= 1000/.test(refused.body?.message ?? '')
  );
}
