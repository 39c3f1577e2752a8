/** A cluster in memory, with the shape that a cycle asks for; every write and Event can be read back. */
import { ApiException } from '@kubernetes/client-node';
import { type Collected, usageKey } from '../../src/collect/usage.ts';
import { type Json, type JsonObject, textAt } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { ApiError } from '../../src/kube/api.ts';
import type { RecordEvent } from '../../src/record/events.ts';
import type { Cluster } from '../../src/worker/cluster.ts';
import { type CycleReport, cycle, type Parts } from '../../src/worker/cycle.ts';
import { RULES } from '../recommend/rules.ts';
import { type Line, listenedLog } from '../serve/log-lines.ts';

export type PlayedCluster = Cluster & {
  /** The status that stands in a record. */
  status(name: string): MemoryStatus | undefined;
  /** Somebody else writes the record. */
  change(name: string, change: (record: RecordResource) => object): void;
  /** What was written so far, by record. */
  writes: string[];
  /** The VerticalPodAutoscalers as they stand, by name. */
  standing: Map<string, JsonObject>;
  /** `orders Recommended: …` */
  events: string[];
  lines: Line[];
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
  const [writes, events]: [string[], string[]] = [[], []];
  const { log, lines } = listenedLog();
  const standing = new Map<string, JsonObject>();
  const cluster: PlayedCluster = {
    ...{ writes, events, lines, standing },
    status: (name) =>
      (stored.get(name)?.status as { nfr_recommendations?: { memory: MemoryStatus } })?.nfr_recommendations?.memory,
    change(name, change) {
      const before = stored.get(name);
      if (before) put({ ...before, ...change(before) });
    },
    records: async () => [...stored.values()],
    reread: async ({ metadata: { name } }) => {
      const found = stored.get(name);
      if (!found) throw refused(404, 'not found');
      return found;
    },
    workloads: async () => workloads,
    revisionDeployments: async () => revisions,
    limitRanges: async () => limitRanges,
    vpas: async () => (vpa ? [...standing.values()] : undefined),
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
    async writeStatus(record, memory) {
      const { name, resourceVersion } = record.metadata;
      const found = await cluster.reread(record);
      const overtaken = resourceVersion !== undefined && resourceVersion !== found.metadata.resourceVersion;
      if (overtaken) throw refused(409, 'the object has been modified');
      writes.push(name);
      put({ ...found, status: { ...found.status, nfr_recommendations: { memory } } as unknown as JsonObject });
    },
    async emit({ metadata: { name } }, event: RecordEvent) {
      events.push(`${name} ${event.reason}: ${event.message}`);
    },
    work: (usage, now, more = {}) =>
      cycle(
        {
          ...{ cluster, usage, log, rules: RULES },
          gates: { enforcement: true, enabledByDefault: true },
          ...{ strategy: 'rollout', record: { group: 'oaas.io', kind: 'DeploymentRecord' } },
          ...more,
        },
        now,
      ),
  };
  return cluster;
}

/** A refusal of the API server. @param retryAfter in seconds */
export function refused(code: number, message: string, retryAfter?: number): ApiError {
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  return new ApiError('apply', new ApiException(code, message, { message }, headers));
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
    spec: { template: { spec: { containers: [{ name: 'function', resources }] } } },
  };
}

/** What Prometheus says of the container `function` of these workloads; in MiB, with enough samples to trust. */
export function measured(refs: string[], avg = 110, p95 = 180, max = 210, more: Partial<Usage> = {}): Collected {
  const window = { avg: avg * Mi, p95: p95 * Mi, max: max * Mi, samples: 720 };
  const usage = { partial: false, short: window, long: window, ...more };
  return { usage: new Map(refs.map((ref) => [usageKey('shop', ref, 'function'), usage])), troubles: new Map() };
}
