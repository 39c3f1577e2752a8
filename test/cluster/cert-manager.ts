import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Api, KubernetesObject } from './api.ts';
import type { Site } from './site.ts';
import { kubeconfigFile } from './users.ts';

/** Installs cert-manager's own CRDs and runs its controllers outside the cluster. Ready means that an Issuer is. */
export async function startCertManager(site: Site, api: Api): Promise<void> {
  const folder = join(site.bin, 'cert-manager-crds/github.com/cert-manager/cert-manager');
  const crds: KubernetesObject[] = readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => parse(readFileSync(join(folder, file), 'utf8')));
  await Promise.all(crds.map(api.create));
  // Its caches want every kind to be served before it starts; the Issuer is the probe, too.
  const issuers = '/apis/cert-manager.io/v1/namespaces/default/issuers';
  const probe = {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Issuer',
    metadata: { name: 'probe' },
    spec: { selfSigned: {} },
  };
  const controllers = site.program({
    name: 'cert-manager',
    args: [`--kubeconfig=${kubeconfigFile(site.folder, 'admin')}`],
    ports: [],
    ready: async () => {
      await api.send(issuers, { method: 'POST', body: probe });
      const { body } = await api.send(`${issuers}/probe`);
      return body.status?.conditions?.some(
        ({ type, status }: Record<string, string>) => type === 'Ready' && status === 'True',
      );
    },
  });
  await controllers.start();
}
