import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What the harness can build. Each part is one line of thought for a person ("I need a scheduler"), not one Go module:
 * the API server and the controllers come from the same module, but a folder named by KUBEBUILDER_ASSETS holds only the first.
 */
export const parts = {
  apiserver: {
    module: 'kubernetes',
    binaries: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    },
    minutes: 5,
  },
  etcd: { module: 'etcd', binaries: { etcd: 'go.etcd.io/etcd/server/v3' }, minutes: 1 },
  controllers: {
    module: 'kubernetes',
    binaries: {
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
    },
    minutes: 2,
  },
  kwok: {
    module: 'kwok',
    binaries: { kwok: 'sigs.k8s.io/kwok/cmd/kwok' },
    // How a fake node and a fake pod come to life: KWOK's own stages, kept in its module rather than copied here.
    folders: { 'kwok-stages': [['sigs.k8s.io/kwok', 'kustomize/stage']] },
    minutes: 2,
  },
  prometheus: {
    module: 'prometheus',
    binaries: {
      prometheus: 'github.com/prometheus/prometheus/cmd/prometheus',
      promtool: 'github.com/prometheus/prometheus/cmd/promtool',
    },
    // Without the clouds' service discoveries the binary is a third of the size and builds in a third of the time.
    tags: 'remove_all_sd,enable_http_sd,enable_file_sd',
    minutes: 3,
  },
  knative: {
    module: 'knative',
    binaries: {
      'knative-webhook': 'knative.dev/serving/cmd/webhook',
      // Our own main around Knative's reconcilers; its head says why.
      'knative-controller': './controller',
    },
    folders: {
      'knative-config': [
        ['knative.dev/serving', 'config/core'],
        ['knative.dev/networking', 'config'],
        ['knative.dev/caching', 'config'],
      ],
    },
    minutes: 2,
  },
  vpa: {
    module: 'vpa',
    binaries: {
      'vpa-admission-controller': 'k8s.io/autoscaler/vertical-pod-autoscaler/pkg/admission-controller',
      'vpa-updater': 'k8s.io/autoscaler/vertical-pod-autoscaler/pkg/updater',
    },
    folders: { 'vpa-config': [['k8s.io/autoscaler/vertical-pod-autoscaler', 'deploy']] },
    minutes: 2,
  },
  certManager: {
    module: 'cert-manager',
    // Our own main around its controllers; its head says why.
    binaries: { 'cert-manager': './controller' },
    folders: { 'cert-manager-crds': [['github.com/cert-manager/cert-manager', 'deploy/crds']] },
    minutes: 2,
  },
  helm: { module: 'helm', binaries: { helm: 'helm.sh/helm/v4/cmd/helm' }, minutes: 2 },
} satisfies Record<string, PartDefinition>;

/** One part of the harness: what it builds, from which nested module, and what else of that module a run needs. */
export interface PartDefinition {
  /** The folder under `binaries/` that holds its go.mod. */
  module: string;
  /** The name of each program → its Go package. */
  binaries: Record<string, string>;
  /** The name of a folder beside the programs → the [module, folder] pairs whose files it holds. */
  folders?: Record<string, [module: string, folder: string][]>;
  /** Go build tags. */
  tags?: string;
  /** About how long the first build takes on two cores: for the line that a waiting person reads. */
  minutes: number;
}

/** The name of a part. */
export type PartName = keyof typeof parts;

/** Looks a part up by its name. */
export function definitionOf(name: PartName): PartDefinition {
  return parts[name];
}

/** Where the nested go.mod of a part lies. */
export function moduleFolder(name: PartName): string {
  return join(import.meta.dirname, 'binaries', definitionOf(name).module);
}

/** The version that the nested go.mod asks for: the only place where a version is written down. */
export function versionOf(name: PartName): string {
  const goMod = readFileSync(join(moduleFolder(name), 'go.mod'), 'utf8');
  const { binaries, folders = {} } = definitionOf(name);
  // Where the main is our own, the module that its files come from tells.
  const [main = ''] = [
    ...Object.values(binaries),
    ...Object.values(folders)
      .flat()
      .map(([module]) => module),
  ].filter((path) => !path.startsWith('./'));
  for (const [, path, version] of goMod.matchAll(/^(?:require)?\s+(\S+) (v\S+)/gm)) {
    if (path !== undefined && version !== undefined && `${main}/`.startsWith(`${path}/`)) return version;
  }
  throw new Error(`${moduleFolder(name)}/go.mod requires no module that holds ${main}`);
}
