/**
 * Workloads as they arrive: a Deployment or a Knative Service, as plain JSON that may lack anything. Nothing here
 * throws; what is missing is reported as missing.
 */
import { asObject, type Json, type JsonObject } from './json.ts';
import { readBytes, sameQuantity } from './quantity.ts';

/** The label that hands a workload to a record; its value is the record's name or that name's DNS-1035 form. */
export const OWNER_LABEL = 'oaas.io/owner';
/** The workload's metadata annotation that keeps what was injected and what the manifest had said before. */
export const APPLIED_ANNOTATION = 'tuning.oaas.io/applied';
/** The workload's metadata annotation by which the worker asks for a rollout. */
export const ROLLOUT_ANNOTATION = 'tuning.oaas.io/rollout';

/** The container that Knative puts into each pod, and its variable for how many requests it lets in at once (0: any number). */
export const QUEUE_PROXY = 'queue-proxy';
export const HARD_LIMIT = 'CONTAINER_CONCURRENCY';

/** On a workload, a record or a namespace: `"true"` takes applied values out of force, and nothing is asked for. */
export const PAUSED_ANNOTATION = 'tuning.oaas.io/paused';

/** `KnativeService` is a `serving.knative.dev` Service: the word keeps it apart from the core Service. */
export type WorkloadKind = 'Deployment' | 'KnativeService';

/** Memory request and limit of one container; a side that nobody set is absent. */
export type Pair<T> = { request?: T; limit?: T };
export type Field = keyof Pair<unknown>;
export const FIELDS: readonly Field[] = ['request', 'limit'];

/** A container of the pod template that oaas-tuner may tune. */
export type Container = {
  name: string;
  /** JSON pointer of the container in the workload, e.g. `/spec/template/spec/containers/0` */
  pointer: string;
  json: JsonObject;
};

/** @returns the kind, or `undefined` for what is neither a Deployment nor a Knative Service */
export function kindOf(object: unknown): WorkloadKind | undefined {
  const { apiVersion, kind } = asObject(object) ?? {};
  if (typeof apiVersion !== 'string') return undefined;
  if (kind === 'Deployment' && isOf('apps', apiVersion)) return 'Deployment';
  if (kind === 'Service' && isOf('serving.knative.dev', apiVersion)) return 'KnativeService';
  return undefined;
}

function isOf(group: string, apiVersion: string): boolean {
  return apiVersion === group || apiVersion.startsWith(`${group}/`);
}

/** How status and logs name a workload inside its namespace, e.g. `Deployment/orders`. */
export function workloadRef(kind: WorkloadKind, name: string): string {
  return `${kind}/${name}`;
}

function metadataOf(object: unknown): JsonObject | undefined {
  return asObject(asObject(object)?.metadata);
}

/** `spec.template.spec` */
export function podSpecOf(workload: unknown): JsonObject | undefined {
  const template = asObject(asObject(asObject(workload)?.spec)?.template);
  return asObject(template?.spec);
}

/** The owner label's value; empty counts as absent. */
export function ownerOf(object: unknown): string | undefined {
  const owner = asObject(metadataOf(object)?.labels)?.[OWNER_LABEL];
  return typeof owner === 'string' && owner !== '' ? owner : undefined;
}

/** A metadata annotation's text. */
export function annotation(object: unknown, key: string): string | undefined {
  const value = asObject(metadataOf(object)?.annotations)?.[key];
  return typeof value === 'string' ? value : undefined;
}

/** Whether the object itself, of whatever kind, says that enforcement is paused. */
export function isPaused(object: unknown): boolean {
  return annotation(object, PAUSED_ANNOTATION) === 'true';
}

/**
 * The containers that are tuned: the regular ones and native sidecars (init containers that restart always, KEP-753).
 * Other init containers are not: their usage is over before it can be measured.
 *
 * A Knative Service reaches us before Knative has named its container, so a lone container without a name carries the
 * name that Knative will give it (`container-name-template`, knative/serving `pkg/apis/config/defaults.go`).
 */
export function tunedContainers(workload: unknown): Container[] {
  const regular = containersAt(workload, 'containers');
  const lone = regular.length === 1 && kindOf(workload) === 'KnativeService' ? regular[0] : undefined;
  if (lone?.name === '') lone.name = 'user-container';
  const sidecars = containersAt(workload, 'initContainers').filter(({ json }) => json.restartPolicy === 'Always');
  return [...regular, ...sidecars].filter(({ name }) => name !== '');
}

function containersAt(workload: unknown, list: 'containers' | 'initContainers'): Container[] {
  const entries = podSpecOf(workload)?.[list];
  const containers: Container[] = [];
  for (const [index, entry] of Array.isArray(entries) ? entries.entries() : []) {
    const json = asObject(entry);
    if (!json) continue;
    const name = typeof json.name === 'string' ? json.name : '';
    containers.push({ name, pointer: `/spec/template/spec/${list}/${index}`, json });
  }
  return containers;
}

/** Where each field lives inside a container's `resources`. */
export const RESOURCE_LIST: Record<Field, 'requests' | 'limits'> = { request: 'requests', limit: 'limits' };
export const RESOURCE_LISTS = Object.values(RESOURCE_LIST);

/** The container's memory request and limit as the object spells them. */
export function memoryOf(container: JsonObject): Pair<Json> {
  const resources = asObject(container.resources);
  const request = asObject(resources?.requests)?.memory ?? undefined;
  const limit = asObject(resources?.limits)?.memory ?? undefined;
  const pair: Pair<Json> = {};
  if (request !== undefined) pair.request = request;
  if (limit !== undefined) pair.limit = limit;
  return pair;
}

/** Whether both sides mean the same amounts, however they are spelled. */
export function sameMemory(a: Pair<unknown>, b: Pair<unknown>): boolean {
  return sameQuantity(a.request, b.request) && sameQuantity(a.limit, b.limit);
}

/** Both sides in bytes; a side that is missing or no quantity is left out. */
export function bytesOf(values: Pair<Json>): Pair<number> {
  const bytes: Pair<number> = {};
  for (const field of FIELDS) {
    const amount = readBytes(values[field]);
    if (amount !== undefined) bytes[field] = amount;
  }
  return bytes;
}

/**
 * The form in which OaaS writes a record's name into the label of a Knative Service: lower case, anything else than
 * letters and digits a dash, a letter first, at most 63 characters (oaas-rs, `oprc-crm` templates).
 */
export function dns1035(name: string): string {
  const dashed = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const lettered = /^[a-z]/.test(dashed) ? dashed : `a${dashed}`;
  return lettered.slice(0, 63).replace(/-+$/, '');
}
