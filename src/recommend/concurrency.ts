/**
 * The concurrency rules (design, "The concurrency rules"): where pods come near their memory limit because they take more
 * requests at once than they should, they get fewer; where memory lies idle while requests wait, a few more.
 */
import type { Fit, Knobs } from '../domain/concurrency.ts';
import { readable } from '../domain/quantity.ts';
import type { Load } from '../domain/usage.ts';
import { carries, distrust, hundredths } from './fit.ts';
import { percent } from './memory.ts';
import type { Resolved } from './target.ts';

/** Of the limit: from here on a pod is near it … */
export const NEAR = 0.9;
/** … and up to here far from it. */
export const FAR = 0.6;
/** The target is lowered by a tenth to a quarter: as far as requests in flight are over what is aimed at. */
const LEAST_CUT = 0.1;
const MOST_CUT = 0.25;
/** The target is raised by a fifth. */
const RAISE = 0.2;
/** So many requests wait for a pod, at the 95th percentile, before the queue counts as deep. */
const DEEP = 1;
/** A target below one request would leave pods idle. */
const LEAST_TARGET = 1;

/** The memory of one container, as the rules see it in the same look. Bytes. */
export type MemoryNow = {
  container: string;
  /** what runs */
  limit: number;
  /** what the manifest says, without anything of ours */
  written?: number;
  /** the largest working set in each window */
  short?: number;
  long?: number;
  /** the limit that the memory rules ask for by the long window alone: what lasts */
  wanted: number;
  /** the largest limit that may be set */
  ceiling: number;
  /** it was OOM killed lately, at the limit that runs */
  killed?: true;
  /** what the memory rules have newly decided in this look */
  moves?: 'up' | 'down';
  fit?: Fit;
};

export type Observed = { concurrency: number; queue?: number; rate?: number };

/** What the autoscaler shall aim at, and the hard limit where it changes, too. */
export type Wanted = { target: number; containerConcurrency?: number };

export type Proposal = {
  wanted: Wanted;
  direction: 'lower' | 'raise';
  /** the container whose memory would have to be raised otherwise, which would cost more */
  instead?: string;
  /** it costs no pods, so that it may go along with memory that rises */
  along?: true;
};

/** The facts of one look at one Service. */
export type ServiceFacts = {
  load: Omit<Load, 'points'> | undefined;
  current: Resolved;
  /** what the manifest says, without anything of ours */
  written: Knobs;
  memory: readonly MemoryNow[];
  /** the largest hard limit that the cluster allows */
  most: number;
  /** it runs as many pods as it may */
  atMaxScale: boolean;
};

/** Of both windows the larger; `undefined` when neither holds anything. */
export function observeLoad(load: ServiceFacts['load']): Observed | undefined {
  const windows = [load?.short, load?.long].filter((window) => window !== undefined);
  if (windows.length === 0) return undefined;
  const largest = (of: 'queue' | 'rate') => {
    const values = windows.map((window) => window[of]).filter((value) => value !== undefined);
    return values.length > 0 ? { [of]: Math.max(...values) } : {};
  };
  const concurrency = Math.max(...windows.map((window) => window.concurrency));
  return { concurrency, ...largest('queue'), ...largest('rate') };
}

/** How often requests have to have been looked at, by window, before anything is raised. */
export type EnoughLooks = { short: number; long: number };

/** @returns why nothing may be raised, or `undefined` when it may */
export function doubtLoad(load: ServiceFacts['load'], enough: EnoughLooks): string | undefined {
  if (!load?.short && !load?.long) return 'no requests were recorded';
  if (load.partial) return 'Prometheus answered only in part';
  if (!load.short) return 'no requests were recorded in the short window';
  if (!load.long) return 'no requests were recorded in the long window yet';
  const few = (['short', 'long'] as const).find((window) => (load[window]?.samples ?? 0) < enough[window]);
  return few && `only ${load[few]?.samples} of the ${enough[few]} looks at requests that the ${few} window needs`;
}

/**
 * @param reasons gets what decided, or why nothing did, in the order in which it was asked
 * @returns `undefined` when what runs fits
 */
export function proposeKnobs(facts: ServiceFacts, reasons: string[]): Proposal | undefined {
  const { current, memory } = facts;
  const observed = observeLoad(facts.load);
  if (!observed) return undefined;
  if (memory.length === 0) {
    reasons.push('no container has a memory limit: requests in flight are left alone');
    return undefined;
  }
  const { concurrency } = observed;
  const aims = `${concurrency} in flight (p95) where ${current.aim} are aimed at`;
  const tightest = memory.filter(isNear).sort((a, b) => fullness(b) - fullness(a))[0];
  if (tightest && concurrency > current.aim) {
    reasons.push(`memory of ${tightest.container} near its limit in both windows, ${aims}`);
    return lower(facts, tightest, concurrency, reasons);
  }
  const killed = memory.find((one) => one.killed && carriedBy(one) !== undefined);
  if (killed) {
    reasons.push(
      `${killed.container} was OOM killed at the limit that runs, and its memory follows requests in flight`,
    );
    return boundAlone(facts, reasons);
  }
  if (tightest) {
    reasons.push(`memory of ${tightest.container} near its limit, but only ${aims}: memory decides`);
    return undefined;
  }
  if (memory.every(isFar) && isDeep(facts.load) && concurrency < current.aim) {
    reasons.push(`memory far from every limit, ${observed.queue} requests wait (p95), ${aims}`);
    return raise(facts, reasons);
  }
  reasons.push(`${aims}: nothing to change`);
  return undefined;
}

function lower(facts: ServiceFacts, tight: MemoryNow, concurrency: number, reasons: string[]): Proposal | undefined {
  const { current, atMaxScale } = facts;
  if (current.target <= LEAST_TARGET) {
    reasons.push(`the target is ${current.target} already: memory decides`);
    return undefined;
  }
  if (atMaxScale) {
    reasons.push('it runs at max-scale, so that a lower target brings no more pods: memory decides');
    return undefined;
  }
  const carried = carriedBy(tight);
  const cut = Math.min(Math.max(concurrency / current.aim - 1, LEAST_CUT), MOST_CUT);
  const target = hundredths(Math.max(current.target * (1 - cut), LEAST_TARGET));
  if (!isWorthIt(facts, tight, carried, current.target / target, reasons)) {
    return boundAlone(facts, reasons);
  }
  reasons.push(`target lowered by ${percent(1 - target / current.target)} from ${current.target} to ${target}`);
  const wanted = { target, ...bound(facts, target, carried, reasons) };
  return { wanted, direction: 'lower', ...(carried !== undefined && { instead: tight.container }) };
}

/** Memory alone would be behind every burst that is larger than the last: a bound costs no pods. */
function boundAlone(facts: ServiceFacts, reasons: string[]): Proposal | undefined {
  const { target } = facts.current;
  const hard = bound(facts, target, undefined, reasons);
  return hard.containerConcurrency === undefined
    ? undefined
    : { wanted: { target, ...hard }, direction: 'lower', along: true };
}

/**
 * A hard limit where the manifest sets none: the target that stood so far, or fewer where memory is known to carry fewer;
 * what comes beyond waits for the next pod. Never fewer than the target, and none that the cluster would refuse.
 */
function bound(
  { current, written, most }: ServiceFacts,
  target: number,
  carried: number | undefined,
  reasons: string[],
): Pick<Wanted, 'containerConcurrency'> {
  const ours = (written.containerConcurrency ?? 0) === 0;
  const least = Math.ceil(target);
  if (!ours || least > most) return {};
  const wanted = Math.min(Math.max(Math.floor(Math.min(carried ?? current.target, current.target)), least), most);
  if (current.containerConcurrency > 0 && wanted >= current.containerConcurrency) return {};
  reasons.push(`containerConcurrency ${wanted}, because ${current.containerConcurrency || 'nothing'} bounds a pod now`);
  return { containerConcurrency: wanted };
}

function raise({ current, written, most }: ServiceFacts, reasons: string[]): Proposal | undefined {
  // How many requests a function can take at once its author knows; the memory that they need we know.
  const manifest = written.containerConcurrency || Number.POSITIVE_INFINITY;
  const cluster = current.containerConcurrency > 0 ? most : Number.POSITIVE_INFINITY;
  const hard = Math.min(manifest, cluster);
  const allowed = Math.min(hundredths(current.target * (1 + RAISE)), hard);
  if (allowed <= current.target) {
    reasons.push(`containerConcurrency ${hard} of the ${hard === manifest ? 'manifest' : 'cluster'} allows no more`);
    return undefined;
  }
  reasons.push(`target raised by ${percent(allowed / current.target - 1)} from ${current.target} to ${allowed}`);
  const tooSmall = current.containerConcurrency > 0 && current.containerConcurrency < allowed;
  const wanted = { target: allowed, ...(tooSmall && { containerConcurrency: Math.ceil(allowed) }) };
  return { wanted, direction: 'raise' };
}

/**
 * Whether fewer requests cost less than more memory: the share by which pods would become more against the share by which
 * each would become larger. Where no line is to be trusted the plain rule stands: fewer requests; unless it was us who
 * made the limit so tight, which is undone first, or the two would chase each other down.
 *
 * @param pods what the pods become, as a multiple of what they are
 */
function isWorthIt(
  { memory: all }: ServiceFacts,
  tight: MemoryNow,
  carried: number | undefined,
  pods: number,
  reasons: string[],
): boolean {
  if (tight.limit >= tight.ceiling) {
    reasons.push(`${readable(tight.limit)} is the largest limit that may be set`);
    return true;
  }
  if (carried === undefined) {
    reasons.push(`plain rules (${distrust(tight.fit)})`);
    const rises = all.find(({ moves }) => moves === 'up');
    if (rises) {
      reasons.push(`memory of ${rises.container} rises in this look: one of both at a time`);
      return false;
    }
    if (tight.written === undefined || tight.limit >= tight.written) return true;
    reasons.push(`its limit was lowered from ${readable(tight.written)}: memory comes back first`);
    return false;
  }
  const memory = Math.max(1, tight.wanted / tight.limit);
  const costs = `memory × ${memory.toFixed(2)} against pods × ${pods.toFixed(2)}`;
  reasons.push(
    memory < pods
      ? `more memory costs less (${costs}): memory decides`
      : `fewer requests cost less than more memory (${costs})`,
  );
  return memory >= pods;
}

/** How many requests in flight the limit that runs carries without coming near it; `undefined` where the line is none. */
export function carriedBy({ fit, limit }: MemoryNow): number | undefined {
  return fit && !distrust(fit) ? hundredths(carries(fit, limit * NEAR)) : undefined;
}

function isNear({ limit, short = 0, long = 0 }: MemoryNow): boolean {
  return Math.min(short, long) >= limit * NEAR;
}

/** Both windows have to say so: nothing measured is not the same as nothing used. */
function isFar({ limit, short = limit, long = limit }: MemoryNow): boolean {
  return Math.max(short, long) <= limit * FAR;
}

function isDeep(load: ServiceFacts['load']): boolean {
  return Math.min(load?.short?.queue ?? 0, load?.long?.queue ?? 0) >= DEEP;
}

function fullness({ limit, short = 0, long = 0 }: MemoryNow): number {
  return Math.max(short, long) / limit;
}
