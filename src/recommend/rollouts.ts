/**
 * Which workloads are asked to roll out now, and for each other one why it waits (issue "Enforcement"). Plain facts in,
 * one word per workload out: it knows no Kubernetes objects.
 */
import type { Wait } from '../domain/waits.ts';
import { FIELDS, type Pair } from '../domain/workload.ts';

/** A workload whose applied values are not what runs. */
export type Pending = {
  /** unique in the cluster */
  key: string;
  namespace: string;
  /** by how much its requests would change, all pods together (bytes) */
  gain: number;
  /** an OOM kill asks for it, or values that made it worse are taken back: goes first, and waits for no cooldown */
  urgent: boolean;
  /** nothing is asked for with the strategy, or admission would not inject */
  never?: Wait;
  /** its own rollouts are paused (`spec.paused`) */
  paused: boolean;
  /** a rollout of it, by whomever, is going on */
  rolling: boolean;
  /** its rollout on our request is still going on: it has its place already */
  underWay: boolean;
  /** until when its last rollout is too recent (milliseconds since the epoch) */
  coolsUntil: number;
  /** its values would go down on data that can be doubted */
  doubtful: boolean;
  /** the memory that the rollout needs beside what is used now (bytes) */
  needs: Pair<number>;
};

export type RolloutLimits = { perNamespace: number; perCluster: number };

/**
 * Urgent ones first, then the largest gain; by name where that is equal, so that two looks agree.
 *
 * @param underWay the namespace of each workload that rolls out on our request
 * @param headroom what the ResourceQuotas of a namespace have left (bytes); absent where nothing bounds it
 * @param now milliseconds since the epoch
 */
export function planRollouts(
  pending: readonly Pending[],
  underWay: readonly string[],
  headroom: ReadonlyMap<string, Pair<number>>,
  limits: RolloutLimits,
  now: number,
): Map<string, 'ask' | Wait> {
  const plan = new Map<string, 'ask' | Wait>();
  const left = new Map([...headroom].map(([namespace, room]) => [namespace, { ...room }]));
  const taken = new Map<string, number>();
  for (const namespace of underWay) taken.set(namespace, (taken.get(namespace) ?? 0) + 1);
  let all = underWay.length;

  for (const one of pending.toSorted(byUrgency)) {
    const { key, namespace, needs } = one;
    const room = left.get(namespace) ?? {};
    const ofNamespace = taken.get(namespace) ?? 0;
    const wait =
      obstacle(one, now) ??
      (fits(needs, room) ? undefined : 'quota') ??
      (one.underWay || ofNamespace < limits.perNamespace ? undefined : 'namespace-limit') ??
      (one.underWay || all < limits.perCluster ? undefined : 'cluster-limit');
    plan.set(key, wait ?? 'ask');
    if (wait) continue;
    for (const field of FIELDS) {
      const [has, need = 0] = [room[field], needs[field]];
      if (has !== undefined) room[field] = has - need;
    }
    if (one.underWay) continue;
    taken.set(namespace, ofNamespace + 1);
    all += 1;
  }
  return plan;
}

/** What is in the way of this workload, whatever the others do. */
function obstacle({ never, paused, urgent, rolling, doubtful, coolsUntil }: Pending, now: number): Wait | undefined {
  if (never) return never;
  if (paused) return 'rollout-paused';
  if (urgent) return undefined;
  if (rolling) return 'rollout-under-way';
  if (doubtful) return 'doubtful-data';
  return now < coolsUntil ? 'cooldown' : undefined;
}

/** Who needs nothing more fits also into a quota that is overdrawn. */
function fits(needs: Pair<number>, room: Pair<number>): boolean {
  return FIELDS.every((field) => {
    const need = needs[field] ?? 0;
    return need <= 0 || need <= (room[field] ?? Number.POSITIVE_INFINITY);
  });
}

function byUrgency(a: Pending, b: Pending): number {
  return Number(b.urgent) - Number(a.urgent) || b.gain - a.gain || (a.key < b.key ? -1 : 1);
}
