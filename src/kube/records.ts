/** Where the records live, and the watches that keep the stores equal to the cluster. */
import type { KubeConfig } from '#kubernetes';
import { type JsonObject, textAt } from '../domain/json.ts';
import type { RecordResource } from '../domain/record.ts';
import type { Log } from '../log.ts';
import type { PausedNamespaces } from '../store/paused-namespaces.ts';
import type { RecordStore } from '../store/records.ts';
import { type Api, NAMESPACES, type ResourceType } from './api.ts';
import { follow } from './follow.ts';
import { slimForAdmission } from './slim.ts';

export const RECORD_GROUP = 'oaas.io';
export const RECORD_VERSION = 'v1alpha1';

/** @param plural a setting: newer OaaS serves the same records as `classruntimes` */
export function recordType(plural: string): ResourceType {
  return { group: RECORD_GROUP, version: RECORD_VERSION, plural };
}

/** Keeps the store equal to the cluster's records until the signal aborts. */
export function followRecords(
  config: KubeConfig,
  api: Api,
  plural: string,
  store: RecordStore,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  const sink = {
    replace: (items: JsonObject[]) => store.replace(asRecords(items)),
    set: (item: JsonObject) => asRecords([item]).forEach(store.set),
    delete: (item: JsonObject) => asRecords([item]).forEach(store.delete),
    confirm: (now: number) => store.confirm(now),
    keep: slimForAdmission,
  };
  return follow(config, api, recordType(plural), sink, options);
}

/** Keeps the names of the paused namespaces equal to the cluster's until the signal aborts. */
export function followNamespaces(
  config: KubeConfig,
  api: Api,
  namespaces: PausedNamespaces,
  options: { log: Log; signal: AbortSignal },
): Promise<void> {
  return follow(config, api, NAMESPACES, namespaces, options);
}

/** Without what has no name or namespace: one such item must not cost all the others. */
export function asRecords(items: JsonObject[]): RecordResource[] {
  const named = items.filter((item) => textAt(item, 'metadata', 'name') && textAt(item, 'metadata', 'namespace'));
  return named as unknown as RecordResource[];
}
