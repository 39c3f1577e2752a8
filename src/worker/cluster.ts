/** What a cycle asks of the cluster, and the real one behind it. */
import type { ConcurrencyStatus } from '../domain/concurrency.ts';
import { type JsonObject, textAt } from '../domain/json.ts';
import type { KnativeConfig } from '../domain/knative-rules.ts';
import type { MemoryStatus, RecordResource } from '../domain/record.ts';
import { kindOf, OWNER_LABEL, ROLLOUT_ANNOTATION } from '../domain/workload.ts';
import { type Api, ApiError, NAMESPACES, type ResourceType } from '../kube/api.ts';
import { eventBody } from '../kube/events.ts';
import type { Lists } from '../kube/hold.ts';
import { readKnativeConfig } from '../kube/knative-config.ts';
import { asRecords, RECORD_GROUP, RECORD_VERSION } from '../kube/records.ts';
import type { RecordEvent } from '../record/events.ts';
import { VPA_GROUP, VPA_VERSION } from '../record/vpa.ts';
import type { Around } from './around.ts';

export type Cluster = {
  records(): Promise<RecordResource[]>;
  /** The same record as it stands now. @throws {ApiError} with code 404 when it is gone */
  reread(record: RecordResource): Promise<RecordResource>;
  /** Deployments and Knative Services with the owner label */
  workloads(): Promise<JsonObject[]>;
  /** Deployments that Knative made for the Revisions of its Services */
  revisionDeployments(): Promise<JsonObject[]>;
  limitRanges(): Promise<JsonObject[]>;
  knativeConfig(): Promise<KnativeConfig>;
  /** What else bounds the rollouts of workloads. */
  around(): Promise<Around>;
  /** Makes the VerticalPodAutoscaler so, status included. @throws {ApiError} with code 409 when it names a version that is past */
  writeVpa(vpa: JsonObject): Promise<void>;
  /** Removes it as it was listed. @throws {ApiError} with code 409 when it has changed since */
  removeVpa(vpa: JsonObject): Promise<void>;
  /**
   * Writes our part of the record's status, and nothing else of it.
   *
   * @throws {ApiError} with code 409 when the record is not of the given version any more
   */
  writeStatus(record: RecordResource, memory: MemoryStatus, concurrency?: ConcurrencyStatus): Promise<void>;
  /** Writes the one annotation by which admission knows that the applied values shall come in now. */
  requestRollout(workload: JsonObject, id: string): Promise<void>;
  emit(record: RecordResource, event: RecordEvent): Promise<void>;
};

const DEPLOYMENTS: ResourceType = { group: 'apps', version: 'v1', plural: 'deployments' };
const KNATIVE_SERVICES: ResourceType = { group: 'serving.knative.dev', version: 'v1', plural: 'services' };
const VPAS: ResourceType = { group: VPA_GROUP, version: VPA_VERSION, plural: 'verticalpodautoscalers' };
const LIMIT_RANGES: ResourceType = { group: '', version: 'v1', plural: 'limitranges' };
const QUOTAS: ResourceType = { group: '', version: 'v1', plural: 'resourcequotas' };
const AUTOSCALERS: ResourceType = { group: 'autoscaling', version: 'v2', plural: 'horizontalpodautoscalers' };

/**
 * @param held by which records and their workloads are listed and written: of these there are many, and each changes seldom.
 * What an autoscaler or the pods change all the time is listed.
 */
export function clusterOf(api: Api, records: ResourceType, knative: boolean, held: Lists = api): Cluster {
  const itemsOf = async (type: ResourceType, selector?: string) => (await api.list(type, selector)).items;
  const optional = async (list: Promise<{ items: JsonObject[] }>) => {
    try {
      return (await list).items;
    } catch (error) {
      // A cluster without Knative or VPA is no error.
      if (error instanceof ApiError && error.code === 404) return undefined;
      throw error;
    }
  };
  return {
    async records() {
      return asRecords((await held.list(records)).items);
    },
    async reread({ metadata: { namespace, name } }) {
      return (await api.get(records, namespace, name)) as unknown as RecordResource;
    },
    async workloads() {
      const deployments = (await held.list(DEPLOYMENTS, OWNER_LABEL)).items;
      const services = knative ? await optional(held.list(KNATIVE_SERVICES, OWNER_LABEL)) : [];
      return [...deployments, ...(services ?? [])];
    },
    async revisionDeployments() {
      return knative ? await itemsOf(DEPLOYMENTS, 'serving.knative.dev/service') : [];
    },
    limitRanges: () => itemsOf(LIMIT_RANGES),
    knativeConfig: async () => (knative ? await readKnativeConfig(api) : { defaults: {}, autoscaler: {} }),
    async around() {
      return {
        namespaces: await itemsOf(NAMESPACES),
        autoscalers: await itemsOf(AUTOSCALERS),
        verticalAutoscalers: await optional(api.list(VPAS)),
        quotas: await itemsOf(QUOTAS),
      };
    },
    async writeVpa({ status, ...vpa }) {
      const [namespace, name] = [textAt(vpa, 'metadata', 'namespace'), textAt(vpa, 'metadata', 'name')];
      const { apiVersion, kind } = vpa;
      await api.apply(VPAS, namespace, name, vpa);
      await api.applyStatus(VPAS, namespace, name, { apiVersion, kind, metadata: { namespace, name }, status });
    },
    async removeVpa({ metadata }) {
      const of = (key: string) => textAt(metadata, key);
      await api.remove(VPAS, of('namespace'), of('name'), of('resourceVersion'));
    },
    async writeStatus({ kind, metadata: { namespace, name, resourceVersion } }, memory, concurrency) {
      const ours = { memory, ...(concurrency && { concurrency }) };
      const status = { nfr_recommendations: ours } as unknown as JsonObject;
      const metadata = { namespace, name, ...(resourceVersion !== undefined && { resourceVersion }) };
      const body = { apiVersion: `${RECORD_GROUP}/${RECORD_VERSION}`, kind, metadata, status };
      await held.applyStatus(records, namespace, name, body);
    },
    async requestRollout(workload, id) {
      const { apiVersion, kind } = workload;
      const [namespace, name] = [textAt(workload, 'metadata', 'namespace'), textAt(workload, 'metadata', 'name')];
      const type = kindOf(workload) === 'KnativeService' ? KNATIVE_SERVICES : DEPLOYMENTS;
      const metadata = { namespace, name, annotations: { [ROLLOUT_ANNOTATION]: id } };
      await held.apply(type, namespace, name, { apiVersion, kind, metadata });
    },
    async emit(record, event) {
      await api.createEvent(record.metadata.namespace, eventBody(record, event, new Date()));
    },
  };
}
