/**
 * What a VerticalPodAutoscaler can say of a decided pair. It sets a pod's request and scales the limit along, in the
 * proportion that the pod's own template has (VPA `pkg/utils/vpa/limit_and_request_scaling.go`): of request and limit it
 * takes one number.
 */
import { Mi } from '../domain/quantity.ts';
import type { Pair } from '../domain/workload.ts';
import { pair } from './guards.ts';
import { roundUp } from './memory.ts';

/** The request that VPA is told, the limit that follows from it (bytes), and how. */
export type Said = { request: number; limit?: number; reason: string };

/**
 * The smallest request with which neither side of the decided pair is undercut, in whole MiB: a limit that VPA would
 * make smaller than was decided could be smaller than what is used.
 *
 * @param decided bytes
 * @param templates what pods may be made from next: the template as it is, and as it would be without anything of ours
 */
export function sayThroughVpa(decided: { request: number; limit: number }, templates: Pair<number>[]): Said {
  const needed = templates.map(({ request, limit }) =>
    limit === undefined ? decided.request : scale(decided.limit, request ?? limit, limit, 'up'),
  );
  const request = roundUp(Math.max(decided.request, ...needed), Mi);
  const template = templates[0] ?? {};
  if (template.limit === undefined) {
    return { request, reason: `through VPA ${pair({ request })}: it sets no limit where the template has none` };
  }
  const limit = scale(request, template.limit, template.request ?? template.limit, 'down');
  const proportion = `in the template's proportion ${pair({ request: template.limit, ...template })}`;
  return { request, limit, reason: `through VPA ${pair({ request, limit })}, ${proportion}` };
}

/** amount × to / from without losing a byte: the product of two sizes does not fit a double. */
function scale(amount: number, to: number, from: number, rounding: 'up' | 'down'): number {
  if (from === 0) return amount;
  const product = BigInt(amount) * BigInt(to);
  return Number((product + (rounding === 'up' ? BigInt(from) - 1n : 0n)) / BigInt(from));
}
