/**
 * Would the API server accept this? `failurePolicy: Ignore` covers a call that fails, not an answer that is wrong: a
 * request above the limit would refuse the person's deploy. Judged on the pair as it results, because an override may
 * set only one side (kubernetes `pkg/apis/core/validation`, ValidateResourceRequirements).
 */
import { asObject, at, type Json } from '../domain/json.ts';
import { parseQuantity } from '../domain/quantity.ts';
import type { Reason } from '../domain/reasons.ts';
import { FIELDS, type Pair, RESOURCE_LISTS } from '../domain/workload.ts';

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
  const annotations = { ...asObject(at(object, 'metadata', 'annotations')), [key]: text };
  const sizes = Object.entries(annotations).map(([name, value]) => Buffer.byteLength(name + value));
  return sizes.reduce((sum, size) => sum + size, 0) <= ANNOTATIONS_LIMIT;
}

/** Pod-level memory (KEP-2837) bounds all containers together; per-container values could push the pod over it. */
export function hasPodLevelMemory(workload: unknown): boolean {
  const resources = at(workload, 'spec', 'template', 'spec', 'resources');
  return RESOURCE_LISTS.some((list) => at(resources, list, 'memory') !== undefined);
}

/** A `resources` that is neither absent nor an object: the API server refuses it, and a patch would only hide that. */
export function hasStrangeResources(container: Json): boolean {
  const resources = at(container, 'resources') ?? undefined;
  if (resources === undefined) return false;
  const object = asObject(resources);
  return !object || RESOURCE_LISTS.some((list) => (object[list] ?? undefined) !== undefined && !asObject(object[list]));
}
