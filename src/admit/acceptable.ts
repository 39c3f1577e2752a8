/**
 * Would the API server accept this? `failurePolicy: Ignore` covers a call that fails, not an answer that is wrong: a
 * request above the limit would refuse the person's deploy. Judged on the pair as it results, because an override may
 * set only one side (kubernetes `pkg/apis/core/validation`, ValidateResourceRequirements).
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { parseQuantity } from '../domain/quantity.ts';
import type { Reason } from '../domain/reasons.ts';
import { FIELDS, type Pair, podSpecOf, RESOURCE_LISTS } from '../domain/workload.ts';

/** @returns why the API server would refuse a container with these memory values; `undefined` when it would not */
export function refusedBecause(
  values: Pair<Json>,
): Extract<Reason, 'request-above-limit' | 'unreadable-value'> | undefined {
  const nanos: Pair<bigint> = {};
  for (const field of FIELDS) {
    if (values[field] === undefined) continue;
    const amount = parseQuantity(values[field]);
    if (amount === undefined || amount < 0n) return 'unreadable-value';
    nanos[field] = amount;
  }
  const { request, limit } = nanos;
  return request !== undefined && limit !== undefined && request > limit ? 'request-above-limit' : undefined;
}

/** All annotations of an object together (kubernetes `TotalAnnotationSizeLimitB`), bytes of keys and values. */
const ANNOTATIONS_LIMIT = 256 * 1024;

/** Whether an annotation can be set without making the object's annotations too large for the API server. */
export function hasRoomFor(object: unknown, key: string, text: string): boolean {
  const others = asObject(at(object, 'metadata', 'annotations')) ?? {};
  let size = Buffer.byteLength(key) + Buffer.byteLength(text);
  for (const name of Object.keys(others)) {
    if (name !== key) size += Buffer.byteLength(name) + Buffer.byteLength(String(others[name]));
  }
  return size <= ANNOTATIONS_LIMIT;
}

/** Pod-level memory (KEP-2837) bounds all containers together; per-container values could push the pod over it. */
export function hasPodLevelMemory(workload: unknown): boolean {
  const resources = asObject(podSpecOf(workload)?.resources);
  return RESOURCE_LISTS.some((list) => asObject(resources?.[list])?.memory !== undefined);
}

/** A `resources` that is neither absent nor an object: the API server refuses it, and a patch would only hide that. */
export function hasStrangeResources(container: JsonObject): boolean {
  const resources = container.resources ?? undefined;
  if (resources === undefined) return false;
  const object = asObject(resources);
  return !object || RESOURCE_LISTS.some((list) => (object[list] ?? undefined) !== undefined && !asObject(object[list]));
}
