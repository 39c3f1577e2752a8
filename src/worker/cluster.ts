/** What a cycle asks of the cluster, and the real one behind it. */
import type { JsonObject } from '../domain/json.ts';
import type { MemoryStatus, RecordResource } from '../domain/record.ts';
import { OWNER_LABEL } from '../domain/workload.ts';
import { type Api, ApiError, type ResourceType } from '../kube/api.ts';
import { eventBody } from '../kube/events.ts';
import { asRecords, RECORD_GROUP, RECORD_VERSION } from '../kube/records.ts';
import type { RecordEvent } from '../record/events.ts';

export type Cluster = {
  records(): Promise<RecordResource[]>;
  /** The same record as it stands now. @throws {ApiError} with code 404 when it is gone */
  reread(record: RecordResource): Promise<RecordResource>;
  /** Deployments and Knative Services with the owner label */
  workloads(): Promise<JsonObject[]>;
  /** Deployments that Knative made for the Revisions of its Services */
  revisionDeployments(): Promise<JsonObject[]>;
  limitRanges(): Promise<JsonObject[]>;
  /**
   * Writes our part of the record's status, and nothing else of it.
   *
   * @throws {ApiError} with code 409 when the record is not of the given version any more
   */
  writeStatus(record: RecordResource, memory: MemoryStatus): Promise<void>;
  emit(record: RecordResource, event: RecordEvent): Promise<void>;
};

const DEPLOYMENTS: ResourceType = { group: 'apps', version: 'v1', plural: 'deployments' };
const KNATIVE_SERVICES: ResourceType = { group: 'serving.knative.dev', version: 'v1', plural: 'services' };

export function clusterOf(api: Api, records: ResourceType, knative: boolean): Cluster {
  const listOptional = async (type: ResourceType, selector: string) => {
    try {
      return (await api.list(type, selector)).items;
    } catch (error) {
      // A cluster without Knative is no error.
      if (error instanceof ApiError && error.code === 404) return [];
      throw error;
    }
  };
  return {
    async records() {
      return asRecords((await api.list(records)).items);
    },
    async reread({ metadata: { namespace, name } }) {
      return (await api.get(records, namespace, name)) as unknown as RecordResource;
    },
    async workloads() {
      const [deployments, services] = await Promise.all([
        api.list(DEPLOYMENTS, OWNER_LABEL),
        knative ? listOptional(KNATIVE_SERVICES, OWNER_LABEL) : [],
      ]);
      return [...deployments.items, ...services];
    },
    async revisionDeployments() {
      return knative ? (await api.list(DEPLOYMENTS, 'serving.knative.dev/service')).items : [];
    },
    limitRanges: () => api.listLimitRanges(),
    async writeStatus({ kind, metadata: { namespace, name, resourceVersion } }, memory) {
      const status = { nfr_recommendations: { memory } } as unknown as JsonObject;
      const metadata = { namespace, name, ...(resourceVersion !== undefined && { resourceVersion }) };
      const body = { apiVersion: `${RECORD_GROUP}/${RECORD_VERSION}`, kind, metadata, status };
      await api.applyStatus(records, namespace, name, body);
    },
    async emit(record, event) {
      await api.createEvent(record.metadata.namespace, eventBody(record, event, new Date()));
    },
  };
}
