/** The cluster of the demo: objects read from YAML files, and the watch that keeps the webhook's store equal to them. */
import type { JsonObject } from '../../src/domain/json.ts';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import { previousStatus } from '../../src/record/read-back.ts';
import type { RecordStore } from '../../src/store/records.ts';
import type { Cluster } from '../../src/worker/cluster.ts';
import { NotAsTold } from './expect.ts';
import { nameOf } from './manifest.ts';

export type PlayedCluster = Cluster & {
  record(name: string): RecordResource;
  /** What the worker has written into a record. */
  status(name: string): MemoryStatus;
  workload(name: string): JsonObject;
  /** Stores a workload as it came out of admission. */
  put(workload: JsonObject): void;
};

export function playCluster(records: RecordResource[], workloads: JsonObject[], store: RecordStore): PlayedCluster {
  const stored = new Map(records.map((record) => [record.metadata.name, record]));
  const live = new Map(workloads.map((workload) => [nameOf(workload), workload]));
  store.replace(records);
  store.confirm(Date.now());

  const record = (name: string) => found(stored.get(name), `record ${name}`);
  return {
    record,
    status: (name) => found(previousStatus(record(name).status), `status of the record ${name}`),
    workload: (name) => found(live.get(name), `workload ${name}`),
    put: (workload) => live.set(nameOf(workload), workload),
    records: async () => [...stored.values()],
    reread: async ({ metadata: { name } }) => record(name),
    workloads: async () => [...live.values()],
    revisionDeployments: async () => [],
    limitRanges: async () => [],
    knativeConfig: async () => ({ defaults: {}, autoscaler: {} }),
    around: async () => ({ namespaces: [], autoscalers: [], verticalAutoscalers: undefined, quotas: [] }),
    // With the demo's strategy nothing is asked for.
    async requestRollout() {},
    async writeVpa() {},
    async removeVpa() {},
    async writeStatus({ metadata: { name } }, memory) {
      const status = { nfr_recommendations: { memory } } as unknown as JsonObject;
      const written = { ...record(name), status };
      stored.set(name, written);
      store.set(written);
    },
    // The same news is in status.history, where the acts read it.
    async emit() {},
  };
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new NotAsTold(`there is no ${what}`);
  return value;
}
