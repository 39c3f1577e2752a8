/**
 * The memory rules (seed, "Recommendation algorithm"): what was observed of a container → the request and limit that
 * would fit it, with the sentence that lets a person recompute both.
 */
import { formatBytes, Ki, Mi, readable } from '../domain/quantity.ts';
import type { Usage } from '../domain/usage.ts';

/** Every number of the rules; sizes in bytes. */
export type MemoryRules = {
  /** the requirement's rules, or those that did better in replays of real histories (docs/quality.md) */
  memoryRules: 'requirement' | 'adaptive';
  /** request ≥ p95 × this */
  requestP95Factor: number;
  /** request ≥ average × this */
  requestAvgFactor: number;
  requestMin: number;
  requestMax: number;
  /** limit ≥ max × this */
  limitMaxFactor: number;
  /** limit ≥ request × this */
  limitRequestFactor: number;
  limitMin: number;
  limitMax: number;
  /** values are multiples of this */
  roundTo: number;
  /** after an OOM kill at a limit, the observed max counts as at least limit × this … */
  oomFactor: number;
  /** … and at least limit + this */
  oomBytes: number;
};

/** The statistics that the rules work on, in bytes: of both windows the larger. */
export type Observed = { avg: number; p95: number; max: number };

/** Bytes, with the rules that decided, in the order in which they did. */
export type Proposal = {
  request: number;
  limit: number;
  reasons: string[];
  /** made from data that can be doubted, so that it was kept from lowering anything */
  raiseOnly?: true;
};

/**
 * The larger of the two windows, so that a rise is followed at once and a fall only when the long window agrees.
 * Rounded up to whole KiB: what status shows is then exactly what the rules saw, and a reader can recompute.
 *
 * @returns `undefined` when neither window holds a sample
 */
export function observe(usage: Usage): Observed | undefined {
  const windows = [usage.short, usage.long].filter((window) => window !== undefined);
  if (windows.length === 0) return undefined;
  const largest = (of: (window: (typeof windows)[number]) => number) => roundUp(Math.max(...windows.map(of)), Ki);
  return {
    avg: largest((window) => window.avg),
    p95: largest((window) => window.p95),
    max: largest((window) => window.max),
  };
}

/**
 * @param observed bytes
 * @param oomLimit the limit (bytes) at which the container was OOM killed: usage beyond it could not be measured
 */
export function proposeMemory(observed: Observed, rules: MemoryRules, oomLimit?: number): Proposal {
  const reasons: string[] = [];
  const max = maxAfterOom(observed.max, rules, oomLimit);
  if (max > observed.max && oomLimit !== undefined) {
    reasons.push(`max counted as ${readable(max)} after an OOM kill at ${formatBytes(oomLimit)}`);
  }

  const set = rules.memoryRules === 'adaptive' ? adaptive(observed, max, rules) : requirement(observed, max, rules);
  const [requestRule, rawRequest] = largest(set.request);
  const roundedRequest = roundUp(rawRequest, rules.roundTo);
  const request = clamp(roundedRequest, rules.requestMin, rules.requestMax);

  const [maxRule, maxLimit] = set.limit;
  const byMax = maxLimit > scale(request, set.limitPerRequest);
  const roundedLimit = roundUp(Math.max(maxLimit, scale(request, set.limitPerRequest)), rules.roundTo);
  const limit = Math.max(clamp(roundedLimit, rules.limitMin, rules.limitMax), request);

  // The seed shows the limit before rounding as a multiple of the unrounded request: 216Mi, 324Mi. Where the request was
  // clamped only the clamped one explains the limit.
  const shownRequest = request === roundedRequest ? rawRequest : request;
  const shownLimit = byMax ? maxLimit : scale(shownRequest, set.limitPerRequest);
  const limitRule = byMax ? `; limit ${maxRule}: ` : ', ';
  reasons.push(
    `${requestRule}: ${readable(rawRequest)}${limitRule}${readable(shownLimit)}`,
    `rounded to ${formatBytes(roundedRequest)} and ${formatBytes(roundedLimit)}`,
  );
  if (request !== roundedRequest) reasons.push(clampReason('request', roundedRequest, request));
  if (limit !== roundedLimit) reasons.push(clampReason('limit', roundedLimit, limit));
  return { request, limit, reasons };
}

/** How a rationale names a rule, and the bytes that it asks for. */
type Rule = [string, number];

/** The largest of `request`, and of `limit` and the request times `limitPerRequest`. */
type RuleSet = (
  observed: Observed,
  max: number,
  rules: MemoryRules,
) => { request: Rule[]; limit: Rule; limitPerRequest: number };

const requirement: RuleSet = ({ p95, avg }, max, rules) => ({
  request: [
    [`p95-based with ${percent(rules.requestP95Factor - 1)} headroom`, scale(p95, rules.requestP95Factor)],
    [`average-based with ${percent(rules.requestAvgFactor - 1)} headroom`, scale(avg, rules.requestAvgFactor)],
    [`the minimum request`, rules.requestMin],
  ],
  limit: [`max-based with ${percent(rules.limitMaxFactor - 1)} headroom`, scale(max, rules.limitMaxFactor)],
  limitPerRequest: rules.limitRequestFactor,
});

const ADAPTIVE = { requestP95Factor: 1.05, limitMaxFactor: 1.5, limitBytes: 512 * Mi };

/**
 * A request costs what it reserves, a limit costs only when it is reached. So the request stays close to what is used,
 * and the limit far from it: what kills is no slow growth but a sudden rise, and its size does not depend on how much
 * is used otherwise.
 */
const adaptive: RuleSet = ({ p95 }, max, rules) => {
  const { requestP95Factor, limitMaxFactor, limitBytes } = ADAPTIVE;
  const byFactor: Rule = [`max-based with ${percent(limitMaxFactor - 1)} headroom`, scale(max, limitMaxFactor)];
  const byBytes: Rule = [`max-based with ${formatBytes(limitBytes)} headroom`, max + limitBytes];
  return {
    request: [
      [`p95-based with ${percent(requestP95Factor - 1)} headroom`, scale(p95, requestP95Factor)],
      [`the minimum request`, rules.requestMin],
    ],
    limit: largest([byFactor, byBytes]),
    limitPerRequest: 1,
  };
};

/** What the container would have reached without the kill, as VPA estimates it (`--oom-bump-up-ratio`, `-min-bump-up-bytes`). */
function maxAfterOom(max: number, rules: MemoryRules, oomLimit?: number): number {
  return oomLimit === undefined ? max : Math.max(max, beyondKill(oomLimit, rules));
}

/** At least this much would have been used at the limit (bytes) that killed. */
export function beyondKill(limit: number, rules: Pick<MemoryRules, 'oomFactor' | 'oomBytes'>): number {
  return Math.max(scale(limit, rules.oomFactor), limit + rules.oomBytes);
}

/** Whole bytes: 1.2 is not exact in binary, and a stray fraction of a byte must not cost a whole rounding step. */
function scale(bytes: number, factor: number): number {
  return Math.round(bytes * factor);
}

/** @returns the smallest multiple of `step` that is not below `bytes` */
export function roundUp(bytes: number, step: number): number {
  return Math.ceil(bytes / step) * step;
}

function clamp(bytes: number, min: number, max: number): number {
  return Math.min(Math.max(bytes, min), max);
}

/** The first of the largest: rules are listed in the order in which they are named when they tie. */
function largest(rules: Rule[]): Rule {
  return rules.reduce((best, rule) => (rule[1] > best[1] ? rule : best));
}

function clampReason(field: string, from: number, to: number): string {
  const verb = to < from ? 'capped at' : 'raised to the minimum';
  return `${field} ${verb} ${formatBytes(to)}`;
}

/** `0.2` is `20%`; rounded, because neither 1.2 - 1 nor 7 / 100 * 100 is what a person wrote. */
export function percent(ratio: number): string {
  return `${Math.round(ratio * 1000) / 10}%`;
}
