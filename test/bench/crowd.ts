/**
 * Many workloads as a cluster and a Prometheus would have them: objects, and the series that cAdvisor and
 * kube-state-metrics would have of their pods. No controller makes them: they are written as they would be.
 */
import { Mi } from '../../src/domain/quantity.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Sample, Series } from '../cluster/remote-write.ts';

export const PODS = 3;
export const CONTAINERS = ['function', 'sidecar'];

/** Workloads of one namespace. */
const NEIGHBOURS = 50;

const MINUTE = 60_000;

/**
 * What is written, counted from the moment at which writing begins: within an hour in all, because beyond that Prometheus
 * has to take older samples on its slow path; and some minutes of the future, so that nothing is stale while the
 * bench runs (it takes up to ten).
 */
const FROM = -46 * MINUTE;
export const UNTIL = 9 * MINUTE;
export const WINDOWS = { shortSeconds: 600, longSeconds: 45 * 60, scrapeSeconds: 30 };

const namespaceOf = (index: number) => `team-${Math.floor(index / NEIGHBOURS)}`;
const nameOf = (index: number) => `orders-${index}`;

/** Where an object is created, and the object. */
export type Created = { path: string; body: object };

/** @param count workloads, each with a record of its own */
export function* objects(count: number): Generator<Created> {
  for (let index = 0; index < count; index += NEIGHBOURS) {
    const metadata = { name: namespaceOf(index) };
    yield { path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata } };
  }
  for (let index = 0; index < count; index += 1) {
    const [namespace, name] = [namespaceOf(index), nameOf(index)];
    yield {
      path: `/apis/oaas.io/v1alpha1/namespaces/${namespace}/deploymentrecords`,
      body: { apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecord', metadata: { name, namespace }, spec: {} },
    };
    yield { path: `/apis/apps/v1/namespaces/${namespace}/deployments`, body: deployment(namespace, name) };
  }
}

function deployment(namespace: string, name: string): object {
  const env = Array.from({ length: 8 }, (_, index) => ({ name: `VARIABLE_${index}`, value: `${name}-${index}` }));
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 10 };
  const containers = CONTAINERS.map((container) => ({
    ...{ name: container, image: `registry.example/${container}:1`, env },
    ...{ ports: [{ name: `${container}-http`, containerPort: 8080 }], readinessProbe: probe, livenessProbe: probe },
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { 'oaas.io/owner': name, app: name } },
    spec: {
      replicas: PODS,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers, volumes: [{ name: 'data', emptyDir: {} }] },
      },
    },
  };
}

/** @param start when writing begins, in milliseconds */
export function* series(count: number, start: number): Generator<Series> {
  const [containersAt, podsAt] = [30_000, 60_000].map((step) => times(start, step)) as [number[], number[]];
  const constant = (value: number): Sample[] => podsAt.map((at) => ({ at, value }));
  const [one, none, request, limit] = [1, 0, 256 * Mi, 512 * Mi].map(constant) as [
    Sample[],
    Sample[],
    Sample[],
    Sample[],
  ];
  const ksm = { job: 'kube-state-metrics', instance: '10.0.0.7:8080' };
  for (let index = 0; index < count; index += 1) {
    const [namespace, name] = [namespaceOf(index), nameOf(index)];
    const set = `${name}-5d9c7b6f4d`;
    const owner = { owner_is_controller: 'true', owner_kind: 'Deployment', owner_name: name };
    yield { labels: { __name__: 'kube_replicaset_owner', ...ksm, namespace, replicaset: set, ...owner }, samples: one };
    for (let replica = 0; replica < PODS; replica += 1) {
      const pod = { namespace, pod: `${set}-${(index * PODS + replica).toString(36).padStart(5, 'x')}` };
      const uid = `7c2f1b60-0000-4000-8000-${String(index * PODS + replica).padStart(12, '0')}`;
      const ofSet = { owner_is_controller: 'true', owner_kind: 'ReplicaSet', owner_name: set };
      yield { labels: { __name__: 'kube_pod_owner', ...ksm, ...pod, uid, ...ofSet }, samples: one };
      for (const [place, container] of CONTAINERS.entries()) {
        const node = `node-${(index + replica) % 40}`;
        const ofContainer = {
          ...{ ...pod, container, image: `registry.example/${container}:1`, node, instance: node },
          ...{ job: 'kubelet', metrics_path: '/metrics/cadvisor', name: `${uid}-${place}` },
          id: `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid}.slice/cri-containerd-${place}.scope`,
        };
        const used = usage(index, replica, place);
        const samples = (share: number) => containersAt.map((at) => ({ at, value: Math.round(used(at) * share) }));
        yield { labels: { __name__: 'container_memory_working_set_bytes', ...ofContainer }, samples: samples(1) };
        yield { labels: { __name__: 'container_memory_rss', ...ofContainer }, samples: samples(0.8) };
        const told = { ...ksm, ...pod, uid, container };
        const memory = { ...told, node, resource: 'memory', unit: 'byte' };
        yield { labels: { __name__: 'kube_pod_container_resource_requests', ...memory }, samples: request };
        yield { labels: { __name__: 'kube_pod_container_resource_limits', ...memory }, samples: limit };
        yield { labels: { __name__: 'kube_pod_container_status_restarts_total', ...told }, samples: none };
      }
    }
  }
}

function times(start: number, step: number): number[] {
  const first = Math.ceil((start + FROM) / step) * step;
  return Array.from({ length: Math.floor((UNTIL - FROM) / step) }, (_, index) => first + index * step);
}

/** A wave of ten minutes around a level of its own, in bytes: it moves, and each window holds the same. */
function usage(index: number, replica: number, place: number): (at: number) => number {
  const level = (60 + ((index * 37 + replica * 5 + place * 11) % 300)) * Mi;
  const phase = index % 20;
  return (at) => level * (1 + 0.1 * Math.sin(((at / MINUTE + phase) / 10) * 2 * Math.PI));
}

/** @param say is told how far it is */
export async function createObjects(cluster: Cluster, count: number, say: (line: string) => void): Promise<void> {
  const api = cluster.api();
  const waiting = objects(count);
  let created = 0;
  const lane = async () => {
    for (const { path, body } of waiting) {
      const answer = await api.send(path, { method: 'POST', body });
      if (answer.status !== 201)
        throw new Error(`creating an object was answered ${answer.status}: ${answer.body.message}`);
      created += 1;
      if (created % 5000 === 0) say(`${created} objects created`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  say(`${created} objects created`);
}

/**
 * @param start when writing begins, in milliseconds
 * @param after only what is later: what came before has been written
 */
export async function writeSamples(
  cluster: Cluster,
  count: number,
  start: number,
  say: (line: string) => void,
  after = Number.NEGATIVE_INFINITY,
): Promise<void> {
  let [written, samples] = [0, 0];
  let batch: Series[] = [];
  const underWay = new Set<Promise<void>>();
  const flush = async () => {
    if (underWay.size >= 2) await Promise.race(underWay);
    const pushed: Promise<void> = cluster.metricsPush(batch).finally(() => underWay.delete(pushed));
    underWay.add(pushed);
    batch = [];
  };
  for (const whole of series(count, start)) {
    const one = { ...whole, samples: whole.samples.filter(({ at }) => at > after) };
    if (one.samples.length === 0) continue;
    batch.push(one);
    samples += one.samples.length;
    written += 1;
    if (batch.length === 1000) await flush();
    if (written % 50_000 === 0) say(`${written} series written`);
  }
  if (batch.length > 0) await flush();
  await Promise.all(underWay);
  say(`${written} series with ${(samples / 1e6).toFixed(1)} million samples written`);
}
