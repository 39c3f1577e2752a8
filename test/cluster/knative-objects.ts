import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubernetesObject } from './api.ts';

/** Where Knative Serving lives. */
export const knativeNamespace = 'knative-serving';

/** Every object that Knative Serving's installation has and that its webhook and controller need. */
export function readInstallation(bin: string): KubernetesObject[] {
  const config = join(bin, 'knative-config', 'knative.dev');
  const files = [
    join(config, 'serving', '100-namespace.yaml'),
    ...yamlFiles(join(config, 'serving', '300-resources')),
    ...yamlFiles(join(config, 'serving', 'configmaps')),
    ...yamlFiles(join(config, 'serving', 'webhooks')),
    ...yamlFiles(join(config, 'networking')),
    ...yamlFiles(join(config, 'caching')),
  ];
  return files.flatMap(readObjects);
}

/** The webhook's Service. An external name is the way from a Service to a process that runs on the API server's own host. */
export const webhookService: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'webhook', namespace: knativeNamespace },
  spec: { type: 'ExternalName', externalName: 'localhost' },
};

/** A webhook configuration whose calls go to a port of our choice: with an external name, the port is used as it is. */
export function withPort(configuration: KubernetesObject, port: number): KubernetesObject {
  const copy = structuredClone(configuration);
  for (const webhook of copy.webhooks as { clientConfig: { service: { port?: number } } }[])
    webhook.clientConfig.service.port = port;
  return copy;
}

/**
 * Keeps the controller from asking registries for the digests of images that do not exist: a test has no network.
 * Every image must then begin with one of these hosts; a name without a host belongs to index.docker.io.
 */
export function withoutRegistries(configMap: KubernetesObject): KubernetesObject {
  if (configMap.metadata.name !== 'config-deployment') return configMap;
  const hosts =
    'index.docker.io,docker.io,ghcr.io,gcr.io,quay.io,registry.k8s.io,example.com,dev.local,kind.local,ko.local';
  return { ...configMap, data: { ...(configMap.data as object), 'registries-skipping-tag-resolving': hosts } };
}

function yamlFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(folder, name));
}

function readObjects(file: string): KubernetesObject[] {
  return parseAllDocuments(readFileSync(file, 'utf8'))
    .map((document) => document.toJS())
    .filter((object) => object !== null);
}
