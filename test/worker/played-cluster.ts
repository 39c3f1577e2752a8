/**
 * A cluster in memory, with the shape that a cycle asks for; every write and Event can be read back. Its API server asks
 * the real admission, and its Deployment controller takes no time unless a test says otherwise.
 */
import { ApiException } from '@kubernetes/client-node';
import { type Collected, usageKey } from '../../src/collect/usage.ts';
import { at, type Json, type JsonObject, textAt } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { isPaused, memoryOf, ownerOf, ROLLOUT_ANNOTATION, tunedContainers } from '../../src/domain/workload.ts';
import { ApiError } from '../../src/kube/api.ts';
import type { RecordEvent } from '../../src/record/events.ts';
import { readTuning } from '../../src/record/wishes.ts';
import type { Around } from '../../src/worker/around.ts';
import type { Cluster } from '../../src/worker/cluster.ts';
import { type CycleReport, cycle, type Parts } from '../../src/worker/cycle.ts';
import { admit, context, edited, OWN_ACCOUNT, update } from '../admit/objects.ts';
import { RULES } from '../recommend/rules.ts';
import { type Line, listenedLog } from '../serve/log-lines.ts';

export type PlayedCluster = Cluster & {
  /** The status that stands in a record. */
  status(name: string): MemoryStatus | undefined;
  /** Somebody else writes the record. */
  amend(name: string, change: (record: RecordResource) => object): void;
  /** What was written so far, by record. */
  writes: string[];
  /** The VerticalPodAutoscalers as they stand, by name. */
  standing: Map<string, JsonObject>;
  /** `orders Recommended: …` */
  events: string[];
  lines: Line[];
  /** What stands around the workloads; a test may change it. */
  surroundings: Around;
  /** How the API server answers now: `deaf` calls no webhook, `behind` asks one that has not seen the last status. */
  webhook: 'well' | 'deaf' | 'behind';
  /** What a rollout does to the Deployment's status; at once complete, unless a test says otherwise. */
  controller(object: JsonObject, now: number): JsonObject;
  /** Each change of a pod template so far: `orders 256Mi/512Mi -> 224Mi/368Mi`. */
  rolled: string[];
  /** Requests for rollouts so far: `orders <id>`. */
  asked: string[];
  workload(name: string): JsonObject;
  /** An update by a person: through admission, as everybody's. */
  change(name: string, edit: Parameters<typeof edited>[1], username?: string): void;
  /** As one who writes the status of an object past everything. */
  set(name: string, edit: Parameters<typeof edited>[1]): void;
  setRecord(name: string, edit: Parameters<typeof edited>[1]): void;
  /** One cycle with what Prometheus would say. */
  work(usage: Parts['usage'], now: number, more?: Partial<Parts>): Promise<CycleReport>;
};

export function playCluster(
  records: RecordResource[],
  workloads: JsonObject[],
  {
    revisions = [],
    limitRanges = [],
    vpa = true,
  }: { revisions?: JsonObject[]; limitRanges?: JsonObject[]; vpa?: boolean } = {},
): PlayedCluster {
  let version = 0;
  /** As the API server keeps it: plain JSON, without what is undefined, of a new version. */
  const put = (one: RecordResource) => {
    version += 1;
    const metadata = { ...one.metadata, resourceVersion: String(version) };
    stored.set(one.metadata.name, JSON.parse(JSON.stringify({ ...one, metadata })));
  };
  const stored = new Map<string, RecordResource>();
  for (const one of records) put(one);
  const live = new Map(workloads.map((one) => [textAt(one, 'metadata', 'name'), one]));
  const [writes, events, rolled, asked]: [string[], string[], string[], string[]] = [[], [], [], []];
  /** the record as the webhook's store has it */
  const seen = new Map(stored);
  let clock = 0;
  const found = (name: string): JsonObject => live.get(name) ?? {};
  const store = (name: string, object: JsonObject, username: string) => {
    const old = found(name);
    const owner = seen.get(ownerOf(old) ?? '');
    const paused = cluster.surroundings.namespaces.some(isPaused);
    const asks = context(owner && readTuning(owner), { namespacePaused: paused });
    const review = update(structuredClone(object), structuredClone(old), { username });
    const admitted = cluster.webhook === 'deaf' ? object : admit(review, asks).object;
    const template = (one: JsonObject) => JSON.stringify(at(one, 'spec', 'template'));
    if (template(admitted) === template(old)) return void live.set(name, admitted);
    rolled.push(`${name} ${memoryText(old)} -> ${memoryText(admitted)}`);
    live.set(name, cluster.controller(admitted, clock));
  };
  const { log, lines } = listenedLog();
  const standing = new Map<string, JsonObject>();
  const cluster: PlayedCluster = {
    ...{ writes, events, lines, rolled, asked, standing },
    surroundings: { namespaces: [], autoscalers: [], verticalAutoscalers: undefined, quotas: [] },
    webhook: 'well',
    controller: (object) => object,
    workload: found,
    change: (name, edit, username = 'ann') => store(name, edited(found(name), edit), username),
    set: (name, edit) => live.set(name, edited(found(name), edit)),
    setRecord(name, edit) {
      const changed = edited(stored.get(name) as unknown as JsonObject, edit) as unknown as RecordResource;
      put(changed);
      seen.set(name, changed);
    },
    around: async () => {
      const others = cluster.surroundings.verticalAutoscalers ?? [];
      return frozen({
        ...structuredClone(cluster.surroundings),
        verticalAutoscalers: vpa ? [...others, ...standing.values()] : undefined,
      });
    },
    async requestRollout(workload, id) {
      const name = textAt(workload, 'metadata', 'name');
      asked.push(`${name} ${id}`);
      const annotations = { [ROLLOUT_ANNOTATION]: id };
      const request = edited(found(name), ({ metadata }) => {
        metadata.annotations = { ...metadata.annotations, ...annotations };
      });
      store(name, request, OWN_ACCOUNT);
    },
    status: (name) =>
      (stored.get(name)?.status as { nfr_recommendations?: { memory: MemoryStatus } })?.nfr_recommendations?.memory,
    amend(name, change) {
      const before = stored.get(name);
      if (before) put({ ...before, ...change(before) });
    },
    records: async () => [...stored.values()].map(frozen),
    reread: async ({ metadata: { name } }) => {
      const found = stored.get(name);
      if (!found) throw refused(404, 'not found');
      return found;
    },
    workloads: async () => [...live.values()].map(frozen),
    revisionDeployments: async () => revisions.map(frozen),
    limitRanges: async () => limitRanges.map(frozen),
    knativeConfig: async () => ({ defaults: {}, autoscaler: {} }),
    async writeVpa(vpa) {
      const name = textAt(vpa, 'metadata', 'name');
      writes.push(name);
      standing.set(name, structuredClone(vpa));
    },
    async removeVpa(vpa) {
      const name = textAt(vpa, 'metadata', 'name');
      writes.push(`-${name}`);
      standing.delete(name);
    },
    async writeStatus(record, memory, concurrency) {
      const { name, resourceVersion } = record.metadata;
      const found = await cluster.reread(record);
      const overtaken = resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion;
      if (overtaken) throw refused(409, 'the object has been modified');
      writes.push(name);
      put({
        ...found,
        status: { ...found.status, nfr_recommendations: { memory, concurrency } } as unknown as JsonObject,
      });
      const written = stored.get(name);
      if (written && cluster.webhook !== 'behind') seen.set(name, written);
    },
    async emit({ metadata: { name } }, event: RecordEvent) {
      events.push(`${name} ${event.reason}: ${event.message}`);
    },
    work(usage, now, more = {}) {
      clock = now;
      return cycle(
        {
          ...{ cluster, usage, log, rules: RULES, strategy: 'rollout' },
          limits: { perNamespace: 2, perCluster: 10 },
          storesCatchUp: async () => {},
          gates: { enforcement: true, enabledByDefault: true },
          ...{ strategy: 'rollout', record: { group: 'oaas.io', kind: 'DeploymentRecord' } },
          ownNamespace: 'oaas-system',
          ...more,
        },
        now,
      );
    },
  };
  return cluster;
}

/** What is listed is held from cycle to cycle (src/kube/hold.ts): who changes it fails. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const one of Object.values(value)) frozen(one);
  return Object.freeze(value);
}

/** A refusal of the API server. @param retryAfter in seconds */
export function refused(code: number, message: string, retryAfter?: number): ApiError {
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  return new ApiError('apply', new ApiException(code, message, { message }, headers));
}

/** Memory of the first container, `request/limit`. */
export function memoryText(object: JsonObject): string {
  const [container] = tunedContainers(object);
  const { request = '-', limit = '-' } = container ? memoryOf(container.json) : {};
  return `${request}/${limit}`;
}

export function record(name: string, memory_tuning: Json = {}): RecordResource {
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace: 'shop' },
    spec: { nfr: { memory_tuning } },
  };
}

/** A Deployment of one container, `function`. @param more goes into its metadata */
export function deployment(name: string, memory = '256Mi/512Mi', more: JsonObject = {}): JsonObject {
  const [request, limit] = memory.split('/').map((side) => (side === '-' ? undefined : side));
  const resources: JsonObject = {
    ...(request !== undefined && { requests: { memory: request } }),
    ...(limit !== undefined && { limits: { memory: limit } }),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'shop', labels: { 'oaas.io/owner': name }, ...more },
    spec: { replicas: 1, template: { spec: { containers: [{ name: 'function', resources }] } } },
    status: { replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
  };
}

/** What Prometheus says of the container `function` of these workloads; in MiB, with enough samples to trust. */
export function measured(refs: string[], avg = 110, p95 = 180, max = 210, more: Partial<Usage> = {}): Collected {
  const window = { avg: avg * Mi, p95: p95 * Mi, max: max * Mi, samples: 720 };
  const usage = { partial: false, short: window, long: window, ...more };
  return { usage: new Map(refs.map((ref) => [usageKey('shop', ref, 'function'), usage])), troubles: new Map() };
}
