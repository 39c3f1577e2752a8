/**
 * Enforcement moves in bounded steps from what runs towards what is recommended (design, "The memory rules"): at most
 * 30 % a step, one step a cooldown, never below what is being used, inside the namespace's LimitRange.
 */
import { readable } from '../domain/quantity.ts';
import { FIELDS, type Field, type Pair } from '../domain/workload.ts';
import { type Applied, coolsUntil, covers, isSame, pair } from './guards.ts';
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
  /** what the manifest says, without anything of ours */
  written: Pair<number>;
  range: Range;
  /** request and limit stay equal */
  guaranteed: boolean;
  /** the data can be doubted: nothing may go down */
  raiseOnly: boolean;
  /** an OOM kill asks for more: the cooldown does not count */
  urgent: boolean;
};

/** The applied values, whether they are new, and what bounded them. */
export type Step = { applied: Applied; isNew: boolean; reasons: string[] };

type Values = { request: number; limit: number };

/**
 * @param current what runs (bytes); a side that nobody set is taken to the target at once
 * @param target the recommendation (bytes)
 * @param standing the applied values so far
 * @param now milliseconds since the epoch
 * @returns `undefined` when nothing is applied yet and what the manifest says is what would be
 */
export function stepMemory(
  current: Pair<number>,
  target: Values,
  standing: Applied | undefined,
  bounds: StepBounds,
  rules: StepRules,
  now: number,
): Step | undefined {
  const reasons: string[] = [];
  const next = fit(boundedStep(current, target, bounds, rules, reasons), bounds, rules, reasons);
  const goal = isSame(next, target) ? 'as recommended' : `towards ${pair(target)}`;
  reasons.unshift(`applied ${pair(next)} ${goal}`);
  if (standing && isSame(standing, next)) return { applied: standing, isNew: false, reasons };
  // Where what runs is ours, from before enforcement was switched off, the next template change must not give it back.
  const ours = FIELDS.some((field) => bounds.written[field] !== undefined && bounds.written[field] !== current[field]);
  if (!standing && isSame(current, next) && !ours) return undefined;
  const until = standing && coolsUntil(standing, { cooldownSeconds: cooldownOf(standing, rules) }, now);
  if (standing && until && !bounds.urgent && covers(standing, bounds.observed)) {
    return { applied: standing, isNew: false, reasons: [`no further step before ${until} (cooldown)`] };
  }
  // A container that was taken back once stays slower: otherwise the same step would be tried, and fail, every cooldown.
  const slower = standing?.cooldownSeconds !== undefined && { cooldownSeconds: standing.cooldownSeconds };
  return { applied: { ...next, at: now, previous: current, ...slower }, isNew: true, reasons };
}

/** The cooldown of one container, or of one Service, in seconds. */
export function cooldownOf(
  { cooldownSeconds }: { at: number; cooldownSeconds?: number },
  rules: { cooldownSeconds: number },
): number {
  return cooldownSeconds ?? rules.cooldownSeconds;
}

/** Each side for itself: at most one step, never down on doubtful data, never below what is used. */
function boundedStep(
  current: Pair<number>,
  target: Values,
  bounds: StepBounds,
  rules: StepRules,
  reasons: string[],
): Values {
  const used = { request: bounds.observed.p95, limit: bounds.observed.max };
  const values = { ...target };
  const stepped: string[] = [];
  for (const field of FIELDS) {
    const from = current[field];
    if (from !== undefined) {
      values[field] = towards(from, target[field], rules);
      if (bounds.raiseOnly && values[field] < from) {
        values[field] = from;
        reasons.push(`${field} not lowered`);
      } else if (values[field] !== target[field]) stepped.push(`${field} from ${readable(from)}`);
    }
    const floor = roundUp(used[field], rules.roundTo);
    if (values[field] < floor) {
      values[field] = floor;
      reasons.push(`${field} not below the ${readable(used[field])} in use`);
    }
  }
  if (stepped.length > 0) reasons.unshift(`at most ${percent(rules.stepRatio)} a step, ${stepped.join(', ')}`);
  values.limit = Math.max(values.limit, values.request);
  if (bounds.guaranteed) values.request = values.limit;
  return values;
}

/**
 * One bounded step, rounded towards where it starts. Where the step is smaller than a rounding unit it still has to
 * arrive: a rise then moves by one unit, a fall by its bound, not rounded.
 */
function towards(from: number, to: number, { stepRatio, roundTo }: StepRules): number {
  const width = Math.round(from * stepRatio);
  if (to < from) {
    const rounded = roundUp(from - width, roundTo);
    return Math.max(to, rounded < from ? rounded : from - width);
  }
  const highest = Math.max(roundDown(from + width, roundTo), roundDown(from, roundTo) + roundTo);
  return Math.min(to, highest);
}

/**
 * What must hold whatever the rules say, because the API server refuses anything else: the side that is ours has to fit
 * the one that a person wrote, and both the LimitRange.
 *
 * A manifest that names one side only is such a person too: while the tuner is away its next apply leaves our other side
 * beside it, and a pair that does not fit would refuse that deploy.
 */
export function fit(
  values: Values,
  { fixed, written, range }: Pick<StepBounds, 'fixed' | 'written' | 'range'>,
  { roundTo }: { roundTo: number },
  reasons: string[],
): Values {
  const fitted = { ...values };
  const set = (field: Field, bytes: number, why: string) => {
    if (fitted[field] === bytes) return;
    fitted[field] = bytes;
    reasons.push(`${field} ${readable(bytes)} for ${why}`);
  };
  const atMost = (field: Field, most: number | undefined, why: string) =>
    set(field, Math.min(fitted[field], most ?? Number.POSITIVE_INFINITY), why);
  const atLeast = (field: Field, least: number | undefined, why: string) =>
    set(field, Math.max(fitted[field], least ?? 0), why);

  for (const field of FIELDS) {
    atLeast(field, range.min, "the LimitRange's minimum");
    atMost(field, range.max, "the LimitRange's maximum");
  }
  atLeast('limit', fixed.request, "the override's request");
  atMost('request', fixed.limit, "the override's limit");
  if (written.limit === undefined) atLeast('limit', written.request, "the manifest's request");
  if (written.request === undefined) atMost('request', written.limit, "the manifest's limit");

  const ratio = range.maxLimitRequestRatio;
  const { request, limit } = { ...fitted, ...fixed };
  if (ratio !== undefined && limit > request * ratio) {
    const why = `the LimitRange's ratio of ${ratio}`;
    if (fixed.request === undefined) set('request', Math.min(roundUp(limit / ratio, roundTo), limit), why);
    else set('limit', Math.max(roundDown(request * ratio, roundTo), request), why);
  }
  return fitted;
}

function roundDown(bytes: number, step: number): number {
  return Math.floor(bytes / step) * step;
}
