/**
 * Applied values that made it worse are taken back (issue "Enforcement", safeguards): within the cooldown after they came
 * to run the container was OOM killed at them, or its workload stopped being available.
 */
import { formatBytes } from '../domain/quantity.ts';
import { formatSeconds } from '../domain/time.ts';
import { type Applied, pair } from './guards.ts';
import { beyondKill, type MemoryRules, roundUp } from './memory.ts';
import { cooldownOf, fit, type StepBounds, type StepRules } from './step.ts';

/** What happened to the workload since its applied values came to run. */
export type Aftermath = {
  /** when they did (milliseconds since the epoch); absent when they do not run */
  since?: number;
  /** why the workload is not available any more, if so */
  unavailable?: string;
};

export type TakeBack = { applied: Applied; reason: string };

type Rules = Pick<MemoryRules, 'oomFactor' | 'oomBytes' | 'limitMax'> & StepRules;

const LONGEST_COOLDOWN_SECONDS = 86_400;

/**
 * The previous values, at once, but never below what killed: usage beyond the limit could not be measured. The
 * container's cooldown doubles, up to a day.
 *
 * @param oomLimit the largest limit (bytes) at which the container was OOM killed lately
 * @returns `undefined` when there is nothing to take back
 */
export function takeBack(
  applied: Applied,
  aftermath: Aftermath,
  oomLimit: number | undefined,
  bounds: Pick<StepBounds, 'fixed' | 'written' | 'range' | 'guaranteed'>,
  rules: Rules,
  now: number,
): TakeBack | undefined {
  const { previous } = applied;
  if (!previous || !isOnTrial(applied, aftermath, rules, now)) return undefined;
  const lowered = previous.limit === undefined || previous.limit > applied.limit;
  const killed = lowered && oomLimit !== undefined && oomLimit >= applied.limit;
  if (!killed && aftermath.unavailable === undefined) return undefined;

  const beyond = roundUp(beyondKill(killed ? oomLimit : applied.limit, rules), rules.roundTo);
  const most = Math.max(rules.limitMax, previous.limit ?? 0, applied.limit);
  const limit = Math.max(previous.limit ?? 0, killed || previous.limit === undefined ? Math.min(beyond, most) : 0);
  const request = bounds.guaranteed ? limit : Math.min(previous.request ?? applied.request, limit);
  const cooldownSeconds = slowed(applied, rules);
  const why = killed ? `OOM killed at ${formatBytes(oomLimit)}` : aftermath.unavailable;
  const reasons: string[] = [];
  const values = fit({ request, limit }, bounds, rules, reasons);
  const reason = [
    `taken back from ${pair(applied)} to ${pair(values)}: ${why} within the cooldown after the change`,
    ...reasons,
    `cooldown now ${formatSeconds(cooldownSeconds)}`,
  ].join('; ');
  return { applied: { ...values, at: now, cooldownSeconds, takenBack: true }, reason };
}

/** Values of any kind that stand, and when they were decided (milliseconds since the epoch). */
type Standing = { at: number; cooldownSeconds?: number; previous?: unknown; takenBack?: true };

/** Standing values without what is only needed as long as they may be taken back, or until they run. */
export function settle<T extends Standing>(
  applied: T,
  aftermath: Aftermath,
  rules: { cooldownSeconds: number },
  now: number,
): T {
  const settled = { ...applied };
  if (runs(applied, aftermath)) {
    delete settled.takenBack;
    if (outlasted(applied, aftermath, rules, now)) delete settled.previous;
  }
  return settled;
}

/** Whether such values may be taken back: they run, and have not lasted a cooldown yet. */
export function isOnTrial(
  applied: Standing,
  aftermath: Aftermath,
  rules: { cooldownSeconds: number },
  now: number,
): boolean {
  return runs(applied, aftermath) && !outlasted(applied, aftermath, rules, now);
}

/** The cooldown of values that were taken back: twice as long, up to a day. */
export function slowed(applied: Standing, rules: { cooldownSeconds: number }): number {
  return Math.min(cooldownOf(applied, rules) * 2, LONGEST_COOLDOWN_SECONDS);
}

/** Values that were decided after the last rollout do not run yet. */
function runs({ at }: Standing, { since }: Aftermath): boolean {
  return since !== undefined && since >= at;
}

function outlasted(
  applied: Standing,
  { since = 0 }: Aftermath,
  rules: { cooldownSeconds: number },
  now: number,
): boolean {
  return now >= since + cooldownOf(applied, rules) * 1000;
}
