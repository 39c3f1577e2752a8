/** Which of all the workloads are asked to roll out now; each one's entry says so, or why it waits. */
import { annotation, type Pair, ROLLOUT_ANNOTATION } from '../domain/workload.ts';
import { pair } from '../recommend/guards.ts';
import { planRollouts, type RolloutLimits } from '../recommend/rollouts.ts';
import { asks, gaveUp, waits } from '../record/rollouts.ts';
import { type Looked, type LookedRollout, worthTelling } from './look.ts';
import { isUnderWay } from './rollouts.ts';

/**
 * Writes each workload's state into the report of its record.
 *
 * @param headroom what ResourceQuotas have left, by namespace
 * @param now milliseconds since the epoch
 */
export function planAll(
  looked: Looked[],
  headroom: Map<string, Pair<number>>,
  limits: RolloutLimits,
  now: number,
): void {
  const rollouts = looked.flatMap((one) => one.rollouts);
  // Where nothing could be looked at, what was under way still is.
  const unseen = looked.flatMap(({ entry, previous, report }) =>
    report.trouble === undefined ? [] : (previous?.rollouts ?? []).filter(isUnderWay).map(() => entry.tuning.namespace),
  );
  const underWay = rollouts.filter(({ entry }) => isUnderWay(entry)).map(({ workload }) => workload.namespace);
  const candidates = rollouts.flatMap(({ pending, entry, decidedAt }) =>
    pending && !gaveUp(entry, decidedAt) ? [pending] : [],
  );
  const plan = planRollouts(candidates, [...underWay, ...unseen], headroom, limits, now);
  for (const { report, rollouts } of looked) {
    if (rollouts.length > 0) report.rollouts = worthTelling(rollouts.map((one) => entryOf(one, plan, now)));
  }
}

/** Whether the plan has nothing to decide about the record, nor to count. */
export function isAside({ report, rollouts }: Looked): boolean {
  return report.trouble === undefined && rollouts.every(({ pending, entry }) => !pending && !isUnderWay(entry));
}

function entryOf(
  { workload, entry, pending, decidedAt, refused }: LookedRollout,
  plan: ReturnType<typeof planRollouts>,
  now: number,
) {
  const planned = pending && plan.get(pending.key);
  if (!planned) return entry;
  const needs = planned === 'quota' ? `it needs ${pair(pending.needs)} beside what is used` : refused;
  if (planned !== 'ask') return waits(entry, planned, needs);
  const arrived = annotation(workload.object, ROLLOUT_ANNOTATION) === entry.id;
  return asks(entry, decidedAt, arrived, now);
}
