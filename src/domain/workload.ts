/**
 * Workloads as they arrive: a Deployment or a Knative Service, as plain JSON that may lack anything. Nothing here
 * throws; what is missing is reported as missing.
 */
import { asObject, at, type Json, type JsonObject } from './json.ts';
import { readBytes, sameQuantity } from './quantity.ts';

/** The label that hands a workload to a record; its value is the record's name or that name's DNS-1035 form. */
export const OWNER_LABEL = 'oaas.io/owner';
/** The workload's metadata annotation that keeps what was injected and what the manifest had said before. */
export const APPLIED_ANNOTATION = 'tuning.oaas.io/applied';
/** The workload's metadata annotation by which the worker asks for a rollout. */
export const ROLLOUT_ANNOTATION = 'tuning.oaas.io/rollout';

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
  const [version, kind] = [at(object, 'apiVersion'), at(object, 'kind')];
  const group = typeof version === 'string' ? version.split('/')[0] : undefined;
  if (group === 'apps' && kind === 'Deployment') return 'Deployment';
  if (group === 'serving.knative.dev' && kind === 'Service') return 'KnativeService';
  return undefined;
}

/** How status and logs name a workload inside its namespace, e.g. `Deployment/orders`. */
export function workloadRef(kind: WorkloadKind, name: string): string {
  return `${kind}/${name}`;
}

/** The owner label's value; empty counts as absent. */
export function ownerOf(object: unknown): string | undefined {
  const owner = at(object, 'metadata', 'labels', OWNER_LABEL);
  return typeof owner === 'string' && owner !== '' ? owner : undefined;
}

/** A metadata annotation's text. */
export function annotation(object: unknown, key: string): string | undefined {
  const value = at(object, 'metadata', 'annotations', key);
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
  const containers = at(workload, 'spec', 'template', 'spec', list);
  if (!Array.isArray(containers)) return [];
  return containers.flatMap((entry, index) => {
    const json = asObject(entry);
    if (!json) return [];
    const name = typeof json.name === 'string' ? json.name : '';
    return [{ name, pointer: `/spec/template/spec/${list}/${index}`, json }];
  });
}

/** Where each field lives inside a container's `resources`. */
export const RESOURCE_LIST: Record<Field, 'requests' | 'limits'> = { request: 'requests', limit: 'limits' };
export const RESOURCE_LISTS = Object.values(RESOURCE_LIST);

/** The container's memory request and limit as the object spells them. */
export function memoryOf(container: JsonObject): Pair<Json> {
  const pair: Pair<Json> = {};
  for (const field of FIELDS) {
    const value = at(container, 'resources', RESOURCE_LIST[field], 'memory');
    if (value !== undefined && value !== null) pair[field] = value;
  }
  return pair;
}

/** Whether both sides mean the same amounts, however they are spelled. */
export function sameMemory(a: Pair<unknown>, b: Pair<unknown>): boolean {
  return FIELDS.every((field) => sameQuantity(a[field], b[field]));
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
