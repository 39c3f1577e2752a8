/**
 * When a proposal becomes a recommendation: data that can be doubted only raises (design, "The memory rules"),
 * hysteresis keeps small differences away, and a cooldown keeps a container from being revised again and again.
 */
import { formatBytes, readable } from '../domain/quantity.ts';
import { formatSeconds } from '../domain/time.ts';
import type { Usage } from '../domain/usage.ts';
import { FIELDS, type Field, type Pair } from '../domain/workload.ts';
import { type Observed, type Proposal, percent, roundUp } from './memory.ts';

export type GuardRules = {
  /** a change must exceed this fraction of the reference … */
  hysteresisRatio: number;
  /** … or this many bytes, for request or limit */
  hysteresisBytes: number;
  cooldownSeconds: number;
  shortWindowSeconds: number;
  longWindowSeconds: number;
  /** so much of the past has to be known before anything is lowered … */
  enoughSeconds: number;
  /** … which is so many samples; fewer in the long window is too little data */
  minSamples: number;
};

/** Bytes, and when they were decided (milliseconds since the epoch). */
export type Decided = { request: number; limit: number; at: number };

/** The recommendation that stands. */
export type Standing = Decided & {
  /** since when less would do (milliseconds since the epoch); absent while all of it is needed */
  unneededSince?: number;
};

/** Applied values, with what is needed to take them back. */
export type Applied = Decided & {
  /** what ran before (bytes); forgotten once the values have lasted a cooldown */
  previous?: Pair<number>;
  /** this container's own cooldown, once it was taken back */
  cooldownSeconds?: number;
  /** the values came back because others made it worse, and do not run yet */
  takenBack?: true;
};

type Values = { request: number; limit: number };

/** What stands after this look at the container, why, and whether it is new. */
export type Revision = { recommended?: Standing; isNew: boolean; reasons: string[] };

/** @returns why the data must not lower anything, or `undefined` when it may */
export function doubt(usage: Usage, rules: GuardRules): string | undefined {
  if (usage.partial) return 'Prometheus answered only in part';
  if (!usage.short) return `no samples in the last ${formatSeconds(rules.shortWindowSeconds)}`;
  // A fall needs the long window's agreement.
  if (!usage.long) return `no samples of the last ${formatSeconds(rules.longWindowSeconds)} yet`;
  // The long window may have been read when the container was younger.
  const samples = Math.max(usage.short.samples, usage.long.samples);
  if (samples < rules.minSamples) {
    return `only ${samples} of the ${rules.minSamples} samples that ${formatSeconds(rules.enoughSeconds)} hold`;
  }
  return undefined;
}

/** Doubtful data may raise, never lower: each side stays at least what stands, or else what runs. */
export function raiseOnly(proposal: Proposal, reference: Pair<number>, why: string): Proposal {
  const request = Math.max(proposal.request, reference.request ?? 0);
  const limit = Math.max(proposal.limit, reference.limit ?? 0, request);
  const held = request > proposal.request || limit > proposal.limit;
  const note = `${why}: may raise, never lower`;
  return {
    request,
    limit,
    reasons: [...proposal.reasons, held ? `${note}; kept at ${pair({ request, limit })}` : note],
    raiseOnly: true,
  };
}

/** The opposite: each side at most what stands, or else what runs; never below what is used. */
export function lowerOnly(
  proposal: Proposal,
  observed: Observed,
  reference: Pair<number>,
  why: string,
  { roundTo }: { roundTo: number },
): Proposal {
  const least = { request: roundUp(observed.p95, roundTo), limit: roundUp(observed.max, roundTo) };
  const most = (field: Field) => Math.min(proposal[field], Math.max(reference[field] ?? proposal[field], least[field]));
  const limit = most('limit');
  const request = Math.min(most('request'), limit);
  if (request === proposal.request && limit === proposal.limit) return proposal;
  return { request, limit, reasons: [...proposal.reasons, `${why}; kept at ${pair({ request, limit })}`] };
}

/**
 * A container whose manifest sets request = limit keeps them equal, at the limit's value, so that a Guaranteed pod stays one
 * (the quality of service decides who is evicted first).
 */
export function keepGuaranteed(proposal: Proposal, manifest: Pair<number>): Proposal {
  if (!isGuaranteed(manifest) || proposal.request === proposal.limit) return proposal;
  return {
    ...proposal,
    request: proposal.limit,
    reasons: [...proposal.reasons, 'request kept equal to the limit, as in the manifest'],
  };
}

/** Whether request and limit are set and equal. */
export function isGuaranteed({ request, limit }: Pair<number>): boolean {
  return limit !== undefined && request === limit;
}

/**
 * Decides whether the proposal replaces what stands.
 *
 * A standing recommendation stays while the proposal is within the hysteresis of it and it covers what is observed. It is
 * lowered only when less would have done for a whole long window: a load that comes back within it, such as a job each
 * hour, would else be followed up and down for ever. When usage has moved back to what runs, the values that run become the
 * recommendation, so that nothing steps towards a number that no longer fits.
 *
 * @param urgent an OOM kill asks for more than what stands: the cooldown does not count
 * @param now milliseconds since the epoch
 */
export function revise(
  proposal: Proposal,
  observed: Observed,
  current: Pair<number>,
  standing: Standing | undefined,
  rules: GuardRules,
  urgent: boolean,
  now: number,
): Revision {
  const { reasons } = proposal;
  const closeTo = (reference: Pair<number>, values: Values = proposal) =>
    isSame(values, reference) ||
    (!differs(values, reference, rules) && covers(reference, observed) && keepsEquality(values, reference));
  const within = `within ${percent(rules.hysteresisRatio)} and ${formatBytes(rules.hysteresisBytes)} of`;
  const decide = (values: Values, why: string[] = [], unneeded = {}): Revision => {
    const { request, limit } = values;
    return { recommended: { request, limit, at: now, ...unneeded }, isNew: true, reasons: [...reasons, ...why] };
  };

  if (!standing) {
    if (isSame(proposal, current)) return { isNew: false, reasons: [...reasons, 'as it is now'] };
    if (closeTo(current)) {
      return { isNew: false, reasons: [...reasons, `${within} the current ${pair(current)}: nothing to change`] };
    }
    return decide(proposal);
  }
  const { unneededSince, ...needed } = standing;
  const stay = (recommended: Standing, why: string[]): Revision => {
    return { recommended, isNew: false, reasons: [...reasons, ...why] };
  };
  if (closeTo(standing)) {
    const kept = isSame(proposal, standing) ? [] : [`${within} the standing ${pair(standing)}: kept`];
    // Data that can be doubted does not tell that it is needed.
    return stay(proposal.raiseOnly ? standing : needed, kept);
  }
  const since = Math.min(unneededSince ?? now, now);
  const lowers = FIELDS.some((field) => proposal[field] < standing[field]);
  const unneeded = lowers ? { unneededSince: since } : {};
  const rises = proposal.request > standing.request || proposal.limit > standing.limit;
  const until = coolsUntil(standing, rules, now);
  if (until && !(urgent && rises)) {
    return stay({ ...needed, ...unneeded }, [`not revised before ${until} (cooldown): ${pair(standing)} stands`]);
  }
  if (closeTo(current) && current.request !== undefined && current.limit !== undefined) {
    const running = { request: current.request, limit: current.limit };
    return decide(running, [`${within} the current ${pair(current)}: the current values fit`]);
  }
  const agreed = since + rules.longWindowSeconds * 1000;
  if (!lowers) return decide(proposal);
  if (now >= agreed) return decide(proposal, [`less would have done since ${new Date(since).toISOString()}`]);
  const held = {
    request: Math.max(proposal.request, standing.request),
    limit: Math.max(proposal.limit, standing.limit),
  };
  const why = [`nothing is lowered before ${new Date(agreed).toISOString()}: ${pair(held)}`];
  return closeTo(standing, held) ? stay({ ...needed, ...unneeded }, why) : decide(held, why, unneeded);
}

/** Until when a decision cools down (RFC 3339), if it still does. One from the future (a clock, a hand) counts as of now. */
export function coolsUntil(
  { at }: { at: number },
  { cooldownSeconds }: { cooldownSeconds: number },
  now: number,
): string | undefined {
  const until = Math.min(at, now) + cooldownSeconds * 1000;
  return now < until ? new Date(until).toISOString() : undefined;
}

/** An unequal pair does not stand in for an equal one, which keeps a Guaranteed pod what it is. */
function keepsEquality(proposal: Values, reference: Pair<number>): boolean {
  return proposal.request !== proposal.limit || reference.request === reference.limit;
}

/** Whether both sides are equal. */
export function isSame(a: Pair<number>, b: Pair<number>): boolean {
  return a.request === b.request && a.limit === b.limit;
}

/** Whether request or limit is further from the reference than the hysteresis; a reference that nobody set is far away. */
export function differs(proposal: Pair<number>, reference: Pair<number>, rules: GuardRules): boolean {
  return FIELDS.some((field) => {
    const [to, from] = [proposal[field], reference[field]];
    if (to === undefined || from === undefined) return to !== from;
    const delta = Math.abs(to - from);
    return delta > rules.hysteresisBytes || delta > from * rules.hysteresisRatio;
  });
}

/** Whether the values are at least what is being used. */
export function covers(values: Pair<number>, observed: Observed): boolean {
  return (values.request ?? 0) >= observed.p95 && (values.limit ?? 0) >= observed.max;
}

/** `224Mi/336Mi`; a dash where a side is not set. */
export function pair(values: Pair<number>): string {
  return FIELDS.map((field) => (values[field] === undefined ? '-' : readable(values[field]))).join('/');
}
