/**
 * Enforcement moves in bounded steps from what runs towards what is recommended (design, "The memory rules"): at most
 * 30 % a step, one step a cooldown, never below what is being used, inside the namespace's LimitRange.
 */
import { formatBytes } from '../domain/quantity.ts';
import { FIELDS, type Field, type Pair } from '../domain/workload.ts';
import { covers, type Decided, isSame, pair, readable } from './guards.ts';
import { type Observed, percent, roundUp } from './memory.ts';

export type StepRules = {
  /** the largest change of one step, as a fraction of the current value */
  stepRatio: number;
  roundTo: number;
  cooldownSeconds: number;
};

/** The memory part of a namespace's LimitRanges for containers, in bytes; the tightest of each. */
export type Range = { min?: number; max?: number; maxLimitRequestRatio?: number };

/** What bounds a step, beside the rules. Bytes. */
export type StepBounds = {
  observed: Observed;
  /** values that a person fixed by an override; the other side has to fit them */
  fixed: Pair<number>;
  range: Range;
  /** the data can be doubted: nothing may go down */
  raiseOnly: boolean;
  /** an OOM kill asks for more: the cooldown does not count */
  urgent: boolean;
};

/** The applied values, whether they are new, and what bounded them. */
export type Step = { applied: Decided; isNew: boolean; reasons: string[] };

/**
 * @param current what runs (bytes); a side that nobody set is taken to the target at once
 * @param target the recommendation (bytes)
 * @param standing the applied values so far
 * @param now milliseconds since the epoch
 */
export function stepMemory(
  current: Pair<number>,
  target: { request: number; limit: number },
  standing: Decided | undefined,
  bounds: StepBounds,
  rules: StepRules,
  now: number,
): Step {
  const next = boundedStep(current, target, bounds, rules);
  if (standing && isSame(standing, next)) return { applied: standing, isNew: false, reasons: next.reasons };
  const cooling = standing !== undefined && now - standing.at < rules.cooldownSeconds * 1000;
  if (standing && cooling && !bounds.urgent && covers(standing, bounds.observed)) {
    const until = new Date(standing.at + rules.cooldownSeconds * 1000).toISOString();
    return { applied: standing, isNew: false, reasons: [`no further step before ${until} (cooldown)`] };
  }
  return { applied: { request: next.request, limit: next.limit, at: now }, isNew: true, reasons: next.reasons };
}

function boundedStep(
  current: Pair<number>,
  target: { request: number; limit: number },
  bounds: StepBounds,
  rules: StepRules,
): { request: number; limit: number; reasons: string[] } {
  const used = { request: bounds.observed.p95, limit: bounds.observed.max };
  const values = { ...target };
  const bounded: string[] = [];

  for (const field of FIELDS) {
    const from = current[field];
    if (from !== undefined) {
      values[field] = towards(from, target[field], rules);
      if (values[field] !== target[field])
        bounded.push(`${field} at most ${percent(rules.stepRatio)} from ${readable(from)}`);
      if (bounds.raiseOnly && values[field] < from) {
        values[field] = from;
        bounded.push(`${field} not lowered`);
      }
    }
    const floor = roundUp(used[field], rules.roundTo);
    if (values[field] < floor) {
      values[field] = floor;
      bounded.push(`${field} not below the ${readable(used[field])} in use`);
    }
  }
  values.limit = Math.max(values.limit, values.request);
  if (target.request === target.limit) values.request = values.limit;
  const reasons = [`applied ${pair(values)} towards ${pair(target)}`, ...bounded];
  for (const [note, field, value] of constraints(values, bounds)) {
    values[field] = value;
    reasons.push(`${field} ${formatBytes(value)} for ${note}`);
  }
  return { ...values, reasons };
}

/** One bounded step, rounded towards where it starts; a rise moves by at least one rounding unit, so that it arrives. */
function towards(from: number, to: number, { stepRatio, roundTo }: StepRules): number {
  const width = Math.round(from * stepRatio);
  if (to < from) return Math.min(from, Math.max(to, roundUp(from - width, roundTo)));
  const highest = Math.max(roundDown(from + width, roundTo), roundDown(from, roundTo) + roundTo);
  return Math.min(to, highest);
}

/** What must hold whatever the rules say, because the API server refuses anything else. In the order of application. */
function* constraints(
  values: { request: number; limit: number },
  { fixed, range }: StepBounds,
): Generator<[string, Field, number]> {
  const { min = 0, max = Number.POSITIVE_INFINITY, maxLimitRequestRatio: ratio } = range;
  for (const field of FIELDS) {
    if (values[field] < min) yield ["the LimitRange's minimum", field, min];
    if (values[field] > max) yield ["the LimitRange's maximum", field, max];
  }
  if (ratio !== undefined && values.limit > values.request * ratio) {
    yield [`the LimitRange's ratio of ${ratio}`, 'request', Math.ceil(values.limit / ratio)];
  }
  if (fixed.limit !== undefined && values.request > fixed.limit) yield ["the override's limit", 'request', fixed.limit];
  if (fixed.request !== undefined && values.limit < fixed.request)
    yield ["the override's request", 'limit', fixed.request];
}

function roundDown(bytes: number, step: number): number {
  return Math.floor(bytes / step) * step;
}
