/** A cluster in memory, with the shape that a cycle asks for; every write and Event can be read back. */
import { type Collected, usageKey } from '../../src/collect/usage.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import type { RecordEvent } from '../../src/record/events.ts';
import type { Cluster } from '../../src/worker/cluster.ts';
import { type CycleReport, cycle, type Parts } from '../../src/worker/cycle.ts';
import { RULES } from '../recommend/rules.ts';
import { type Line, listenedLog } from '../serve/log-lines.ts';

export type PlayedCluster = Cluster & {
  /** The status that stands in a record. */
  status(name: string): MemoryStatus | undefined;
  /** What was written so far, by record. */
  writes: string[];
  /** `orders Recommended: …` */
  events: string[];
  lines: Line[];
  /** One cycle with what Prometheus would say. */
  work(usage: Parts['usage'], now: number, more?: Partial<Parts>): Promise<CycleReport>;
};

export function playCluster(
  records: RecordResource[],
  workloads: JsonObject[],
  { revisions = [], limitRanges = [] }: { revisions?: JsonObject[]; limitRanges?: JsonObject[] } = {},
): PlayedCluster {
  const stored = new Map(records.map((one) => [one.metadata.name, one]));
  const [writes, events]: [string[], string[]] = [[], []];
  const { log, lines } = listenedLog();
  const cluster: PlayedCluster = {
    ...{ writes, events, lines },
    status: (name) =>
      (stored.get(name)?.status as { nfr_recommendations?: { memory: MemoryStatus } })?.nfr_recommendations?.memory,
    records: async () => [...stored.values()],
    workloads: async () => workloads,
    revisionDeployments: async () => revisions,
    limitRanges: async () => limitRanges,
    async writeStatus(record, memory) {
      const { name } = record.metadata;
      writes.push(name);
      // As the API server hands it back: plain JSON, without what is undefined.
      const status = JSON.parse(JSON.stringify({ nfr_recommendations: { memory } }));
      stored.set(name, { ...record, status });
    },
    async emit({ metadata: { name } }, event: RecordEvent) {
      events.push(`${name} ${event.reason}: ${event.message}`);
    },
    work: (usage, now, more = {}) =>
      cycle(
        {
          ...{ cluster, usage, log, rules: RULES },
          gates: { enforcement: true, enabledByDefault: true },
          record: { group: 'oaas.io', kind: 'DeploymentRecord' },
          ...more,
        },
        now,
      ),
  };
  return cluster;
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
