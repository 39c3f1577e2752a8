import { stringify } from 'yaml';
import type { Knobs } from '../../src/domain/concurrency.ts';
import type { Pair } from '../../src/domain/workload.ts';
import type { Api } from './api.ts';
import type { Cluster } from './cluster.ts';
import { until } from './until.ts';

/** A record as a test tells it. */
export interface Wishes {
  name?: string;
  enabled?: boolean;
  enforce?: boolean;
  overrides?: Record<string, Pair<string>>;
  /** what the worker would have applied, by `Deployment/orders/function` */
  applied?: Record<string, { request: string; limit: string }>;
  /** `spec.nfr.knative_tuning.overrides` */
  knative?: { containerConcurrency?: number; annotations?: Record<string, string> };
  /** what the worker would have applied, by `KnativeService/orders` */
  knobs?: Record<string, Knobs>;
}

/** A Deployment or Knative Service as a test tells it: everything that it does not say is left out. */
export interface Manifest {
  kind?: 'Deployment' | 'Service';
  name?: string;
  namespace?: string;
  owner?: string | null;
  /** by container name; an empty one is left out */
  memory?: Record<string, Pair<string>>;
  /** a label of the pod template: changing it changes the template */
  version?: string;
  annotations?: Record<string, string>;
  replicas?: number;
  minReadySeconds?: number;
  usage?: string;
  ownerReferences?: object[];
  revisionName?: string;
  /** of a Service's template: `containerConcurrency`, and annotations */
  concurrency?: number;
  scaling?: Record<string, string>;
}

/** The manifest as a person would keep it in a repository. */
export function manifest(from: Manifest = {}): string {
  const {
    kind = 'Deployment',
    name = 'orders',
    owner = 'orders',
    memory = { function: { request: '256Mi', limit: '512Mi' } },
  } = from;
  const knative = kind === 'Service';
  const containers = Object.entries(memory).map(([container, { request, limit }]) => ({
    ...(container !== '' && { name: container }),
    image: `dev.local/${container || 'unnamed'}:1`,
    resources: { ...(request && { requests: { memory: request } }), ...(limit && { limits: { memory: limit } }) },
  }));
  const template = {
    metadata: {
      labels: { app: name, version: from.version ?? '1' },
      ...((from.usage || from.scaling) && {
        annotations: { ...(from.usage && { 'kwok.x-k8s.io/usage-memory': from.usage }), ...from.scaling },
      }),
      ...(from.revisionName && { name: from.revisionName }),
    },
    spec: { containers, ...(from.concurrency !== undefined && { containerConcurrency: from.concurrency }) },
  };
  return stringify({
    apiVersion: knative ? 'serving.knative.dev/v1' : 'apps/v1',
    kind,
    metadata: {
      name,
      ...(from.namespace && { namespace: from.namespace }),
      ...(owner !== null && { labels: { 'oaas.io/owner': owner } }),
      ...(from.annotations && { annotations: from.annotations }),
      ...(from.ownerReferences && { ownerReferences: from.ownerReferences }),
    },
    spec: knative
      ? { template }
      : {
          replicas: from.replicas ?? 1,
          selector: { matchLabels: { app: name } },
          ...(from.minReadySeconds && { minReadySeconds: from.minReadySeconds }),
          template,
        },
  });
}

/** The record as a person would keep it. */
export function record({ name = 'orders', enabled, enforce, overrides, knative }: Wishes = {}): string {
  const memory_tuning = {
    ...(enabled !== undefined && { enabled }),
    ...(enforce !== undefined && { enforce }),
    ...(overrides && { overrides }),
  };
  return stringify({
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name },
    spec: { nfr: { memory_tuning, ...(knative && { knative_tuning: { overrides: knative } }) } },
  });
}

let canary = 100;

/**
 * Writes a record, with applied values as the worker would have, and waits until the tuner's store has seen it: a
 * container `canary` that nobody else uses tells, by a dry run, which version of the record is in force.
 */
export async function given(cluster: Cluster, wishes: Wishes): Promise<void> {
  const { name = 'orders', applied = {}, knobs = {} } = wishes;
  const containers = Object.entries(applied).map(([key, values]) => {
    const slash = key.lastIndexOf('/');
    return {
      workload: key.slice(0, slash),
      name: key.slice(slash + 1),
      applied: { ...values, at: '2026-01-31T10:00:00Z' },
    };
  });
  await cluster.apply(record(wishes));
  const path = `/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}/status`;
  const services = Object.entries(knobs).map(([workload, values]) => ({
    workload,
    applied: { ...values, at: '2026-01-31T10:00:00Z' },
  }));
  const status = { status: { nfr_recommendations: { memory: { containers }, concurrency: { services } } } };
  await cluster.api().send(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body: status });
  // Watch events keep their order: who has seen the last write has seen the ones before.
  canary += 1;
  const value = `${canary}Mi`;
  await cluster.apply(record({ ...wishes, overrides: { ...wishes.overrides, canary: { request: value } } }));
  const probe = manifest({ name: `canary-${canary}`, owner: name, memory: { canary: {} } });
  await until(`the store to see record ${name}`, async () => {
    const { stdout } = await cluster.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], { stdin: probe });
    const seen = JSON.parse(stdout).spec.template.spec.containers[0].resources.requests?.memory;
    return seen === (wishes.enabled === false ? undefined : value);
  });
}

/** A container's memory as it stands in the cluster, `request/limit`; a dash where there is none. */
export async function memory(cluster: Cluster, what = 'deployment/orders', container = 'function'): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectl(['get', what, '-o', 'json']);
  if (code !== 0) throw new Error(stderr);
  const { containers } = JSON.parse(stdout).spec.template.spec;
  const found = containers.find(({ name }: { name: string }) => name === container);
  return `${found.resources?.requests?.memory ?? '-'}/${found.resources?.limits?.memory ?? '-'}`;
}

/** What would differ if something had rolled: the template, the revision, the ReplicaSets (not the generation). */
export async function rollout(cluster: Cluster, name = 'orders'): Promise<object> {
  // `kubectl replace` takes the controller's annotation away, and it puts it back.
  const { template, revision } = await until(`the controller to have seen ${name}`, async () => {
    const { stdout } = await cluster.kubectl(['get', `deployment/${name}`, '-o', 'json']);
    const { metadata, spec, status } = JSON.parse(stdout);
    const revision = metadata.annotations?.['deployment.kubernetes.io/revision'];
    return revision && status.observedGeneration >= metadata.generation && { template: spec.template, revision };
  });
  const sets = await cluster.kubectl(['get', 'replicasets', '-l', `app=${name}`, '-o', 'name']);
  return { template, revision, replicaSets: sets.stdout.trim().split('\n').sort() };
}

/** Waits until the Deployment controller has acted on the newest template, and has nothing left to write. */
export async function settled(cluster: Cluster, name = 'orders'): Promise<void> {
  const { code, stderr } = await cluster.kubectl(['rollout', 'status', `deployment/${name}`, '--timeout=120s']);
  if (code !== 0) throw new Error(stderr);
  await until(`the old pods of ${name} to be gone`, async () => {
    const terminating = ['get', `deployment/${name}`, '-o', 'jsonpath={.status.terminatingReplicas}'];
    return Number((await cluster.kubectl(terminating)).stdout) === 0;
  });
}

/** Restarts a rollout until it brings what was waited for: the tuner's store may see that after the one who asks. */
export async function restarted(cluster: Cluster, brings: (memory: string) => boolean, name = 'orders'): Promise<void> {
  await until('the values, by a restart', async () => {
    // A second restart within one second is refused.
    await kubectl(cluster, ['rollout', 'restart', `deployment/${name}`]).catch(() => {});
    return brings(await memory(cluster, `deployment/${name}`));
  });
}

/** `kubectl <args>` with a manifest on standard input; gives what a person reads. A refusal is an exception. */
export async function kubectl(cluster: Cluster, args: string[], stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args, {
    user: 'person',
    ...(stdin !== undefined && { stdin }),
  });
  // It reads, then writes that version: what a controller wrote between the two is none of its business.
  if (args[0] === 'replace' && stderr.includes('object has been modified')) return kubectl(cluster, args, stdin);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stderr + stdout;
}

/** Reads an object, changes it and puts it back, until nobody else writes in between. */
// biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of every kind; the test that changes one knows its shape.
export async function put(api: Api, path: string, changed: (live: any) => object): Promise<void> {
  await until(`an update of ${path} without a conflict`, async () => {
    const { body: live } = await api.send(path);
    const { status, body } = await api.send(path, { method: 'PUT', body: changed(live) });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return true;
  });
}

/** The names of the Events that a field selector chooses. */
export async function events(cluster: Cluster, selector: string): Promise<string[]> {
  const { stdout } = await cluster.kubectl(['get', 'events', '--field-selector', selector, '-o', 'name']);
  return stdout.split('\n').filter(Boolean);
}

/** The API server's own count of how often it went on without us. */
export async function failedOpen(cluster: Cluster): Promise<number> {
  const { body } = await cluster.api().send('/metrics');
  const lines = String(body).matchAll(/^apiserver_admission_webhook_fail_open_count\{.*tuning\.oaas\.io.*\} (\d+)/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
