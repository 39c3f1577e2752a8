/**
 * One look at one Knative Service: load + memory + what runs + what stands + rules + now → what stands from here on, and
 * why. As for a container: observe → propose → doubt, hysteresis, cooldown → step or take back.
 */
import { asItRuns, type Knobs } from '../domain/concurrency.ts';
import type { Change } from '../domain/record.ts';
import { formatSeconds } from '../domain/time.ts';
import {
  doubtLoad,
  type EnoughLooks,
  type Observed,
  observeLoad,
  type Proposal,
  proposeKnobs,
  type ServiceFacts,
  type Wanted,
} from './concurrency.ts';
import { hundredths } from './fit.ts';
import { coolsUntil } from './guards.ts';
import { percent } from './memory.ts';
import { cooldownOf } from './step.ts';
import { type Aftermath, isOnTrial, settle, slowed } from './take-back.ts';

export type ServiceRules = {
  hysteresisRatio: number;
  stepRatio: number;
  cooldownSeconds: number;
  enoughLooks: EnoughLooks;
};

/** Numbers of requests, and when they were decided (milliseconds since the epoch). */
export type DecidedKnobs = Wanted & {
  at: number;
  /** the container whose memory is not raised because of it */
  instead?: string;
};

export type AppliedKnobs = Wanted & {
  at: number;
  /** what ran before; forgotten once the values have lasted a cooldown */
  previous?: Wanted;
  cooldownSeconds?: number;
  takenBack?: true;
};

export type ServiceLook = ServiceFacts & {
  /** why the autoscaler's target is none of ours (another metric, another class, unknown defaults) */
  foreign?: string;
  /** why requests could not be read at all: what was decided stands */
  unread?: string;
  /** why the memory of one of its containers may not fall: then requests may not rise either */
  memoryDoubt?: string;
  /** what a person fixed by an override */
  fixed: Knobs;
  standing?: DecidedKnobs;
  applied?: AppliedKnobs;
  enforced: boolean;
  /** what runs is not what the manifest says */
  ours: boolean;
  /** a container was OOM killed lately, at the limit that runs */
  killed: boolean;
  /** when the memory of one of its containers was decided about last (milliseconds since the epoch) */
  memoryDecidedAt?: number;
  aftermath?: Aftermath;
};

export type ServiceFinding = {
  observed?: Observed;
  recommended?: DecidedKnobs;
  applied?: AppliedKnobs;
  changes: { change: Change; rationale: string }[];
  doubt?: string;
  /** what the rules ask for in this look, whether or not it is new */
  proposal?: Proposal;
  rationale: string;
};

export function lookAtService(look: ServiceLook, rules: ServiceRules, now: number): ServiceFinding {
  const { fixed, enforced, standing, applied, aftermath = {}, unread } = look;
  if (look.foreign !== undefined) return { changes: [], rationale: look.foreign };
  if (unread !== undefined) {
    const decided = { ...(standing && { recommended: standing }), ...(enforced && applied && { applied }) };
    return { ...decided, changes: [], doubt: unread, rationale: `${unread}: what was decided stands` };
  }
  const observed = observeLoad(look.load);
  const finding: ServiceFinding = { changes: [], rationale: '', ...(observed && { observed }) };
  const why = doubtLoad(look.load, rules.enoughLooks) ?? look.memoryDoubt;
  if (why) finding.doubt = why;
  const reasons: string[] = [];
  const proposal = proposeKnobs(look, reasons);
  if (proposal) finding.proposal = proposal;
  if (fixed.target !== undefined) {
    // The bound stays, but a person who wants more than it gets more.
    const bound = fixed.containerConcurrency === undefined ? applied?.containerConcurrency : undefined;
    if (enforced && applied && bound !== undefined && bound >= fixed.target) finding.applied = applied;
    finding.rationale = [...reasons, `an override fixes the target at ${fixed.target}`].join('; ');
    return finding;
  }
  const revision = revise(look, proposal, why, rules, now, reasons);
  if (revision.recommended) finding.recommended = revision.recommended;
  if (revision.isNew) finding.changes.push({ change: 'recommended', rationale: reasons.join('; ') });
  if (why) reasons.push(`${why}: may lower, never raise`);
  if (enforced && applied) {
    const back = takeBack(applied, aftermath, look, rules, now);
    if (back) {
      finding.applied = back.applied;
      finding.changes.push({ change: 'taken-back', rationale: back.reason });
      finding.rationale = [...reasons, back.reason].join('; ');
      return finding;
    }
  }
  if (enforced && (revision.recommended || applied)) {
    const settled = applied && settle(applied, aftermath, rules, now);
    const step =
      revision.recommended &&
      stepKnobs(look, revision.recommended, settled, why !== undefined || look.killed, rules, now);
    const stands = step?.applied ?? settled;
    if (stands) finding.applied = stands;
    if (step?.isNew) finding.changes.push({ change: 'applied', rationale: step.reasons.join('; ') });
    reasons.push(...(step?.reasons ?? []));
  }
  finding.rationale = reasons.join('; ');
  return finding;
}

type Revision = { recommended?: DecidedKnobs; isNew: boolean };

function revise(
  look: ServiceLook,
  proposal: Proposal | undefined,
  doubt: string | undefined,
  rules: ServiceRules,
  now: number,
  reasons: string[],
): Revision {
  const { standing, current, fixed } = look;
  const stands: Revision = { isNew: false, ...(standing && { recommended: standing }) };
  const reached = standing && isReached(standing, look);
  if (!proposal) {
    if (!standing || reached || doubt) return stands;
    if (cools(look, rules, now, reasons)) return stands;
    reasons.push(`the current target of ${current.target} fits`);
    const hard = standing.containerConcurrency !== undefined && { containerConcurrency: current.containerConcurrency };
    return { recommended: { target: current.target, ...hard, at: now }, isNew: true };
  }
  if (fixed.containerConcurrency !== undefined) delete proposal.wanted.containerConcurrency;
  if (isReached(proposal.wanted, look)) return stands;
  if (proposal.direction === 'raise') {
    if (doubt) return stands;
    if (look.killed) {
      reasons.push('a container was OOM killed at the limit that runs: no more requests');
      return stands;
    }
    const rises = look.memory.find(({ moves }) => moves === 'up');
    if (rises) {
      reasons.push(`memory of ${rises.container} rises: one direction at a time`);
      return stands;
    }
  }
  if (standing && isKept(proposal.wanted, standing, look, rules)) {
    reasons.push(`within ${percent(rules.hysteresisRatio)} of the standing ${shownKnobs(standing)}: kept`);
    return stands;
  }
  if (cools(look, rules, now, reasons, proposal.direction)) return stands;
  const { wanted, instead } = proposal;
  return { recommended: { ...wanted, at: now, ...(instead !== undefined && { instead }) }, isNew: true };
}

/**
 * More requests wait for memory's cooldown, too; fewer do not, because they help where more memory has not helped enough. In
 * either case a workload rolls out once in its cooldown, with whatever is decided by then.
 */
function cools(
  { standing, memory, memoryDecidedAt }: ServiceLook,
  rules: ServiceRules,
  now: number,
  reasons: string[],
  direction?: Proposal['direction'],
): boolean {
  const until = standing && coolsUntil(standing, rules, now);
  if (until) {
    reasons.push(`not revised before ${until} (cooldown)`);
    return true;
  }
  if (direction === 'lower' || memoryDecidedAt === undefined) return false;
  if (memory.some(({ moves }) => moves !== undefined)) return false;
  const busy = coolsUntil({ at: memoryDecidedAt }, rules, now);
  if (busy) reasons.push(`not before ${busy}: memory was decided about lately`);
  return busy !== undefined;
}

/** Whether that is what runs; a bound that a person fixes is none of ours. */
function isReached(wanted: Wanted, { current, fixed }: ServiceLook): boolean {
  return asItRuns(fixed.containerConcurrency === undefined ? wanted : { target: wanted.target }, current);
}

/** Whether what stands is close enough: a target on the same side of what runs, or the same target and a bound. */
function isKept(wanted: Wanted, standing: Wanted, look: ServiceLook, { hysteresisRatio }: ServiceRules): boolean {
  const isNear = (to: number, from: number) => Math.abs(to - from) <= from * hysteresisRatio;
  const { target: runs } = look.current;
  if (wanted.target === runs) {
    const [to = 0, from = 0] = [wanted.containerConcurrency, standing.containerConcurrency];
    return standing.target === runs && isNear(to, from);
  }
  const sameSide = Math.sign(standing.target - runs) === Math.sign(wanted.target - runs);
  return sameSide && isNear(wanted.target, standing.target);
}

type Step = { applied: AppliedKnobs; isNew: boolean; reasons: string[] };

/** One bounded step of the target; a hard limit comes at once, and then moves by steps, too. */
function stepKnobs(
  { current, fixed, ours }: ServiceLook,
  recommended: Wanted,
  standing: AppliedKnobs | undefined,
  lowerOnly: boolean,
  rules: ServiceRules,
  now: number,
): Step | undefined {
  const target = hundredths(towards(current.target, recommended.target, lowerOnly, rules));
  const hard = recommended.containerConcurrency ?? standing?.containerConcurrency;
  const next: Wanted = { target };
  if (hard !== undefined && fixed.containerConcurrency === undefined) {
    const from = current.containerConcurrency;
    // Whole requests, and never fewer than the target.
    const stepped = from === 0 || hard === 0 ? hard : Math.round(towards(from, hard, lowerOnly, rules));
    next.containerConcurrency = stepped === 0 ? 0 : Math.max(stepped, Math.ceil(target));
  }
  const goal = sameWanted(next, recommended) ? 'as recommended' : `towards ${recommended.target}`;
  const reasons = [`applied ${shownKnobs(next)} ${goal}`];
  if (standing && sameWanted(standing, next)) return { applied: standing, isNew: false, reasons };
  // Where what runs is ours, from before enforcement was switched off, the next template change must not give it back.
  if (!standing && asItRuns(next, current) && !ours) return undefined;
  const until = standing && coolsUntil(standing, { cooldownSeconds: cooldownOf(standing, rules) }, now);
  if (until) {
    return { applied: standing, isNew: false, reasons: [`no further step before ${until} (cooldown)`] };
  }
  const slower = standing?.cooldownSeconds !== undefined && { cooldownSeconds: standing.cooldownSeconds };
  const previous = { target: current.target, containerConcurrency: current.containerConcurrency };
  return { applied: { ...next, at: now, previous, ...slower }, isNew: true, reasons };
}

function towards(from: number, to: number, lowerOnly: boolean, { stepRatio }: ServiceRules): number {
  const bounded = Math.min(Math.max(to, from * (1 - stepRatio)), from * (1 + stepRatio));
  return lowerOnly ? Math.min(bounded, from) : bounded;
}

/**
 * Values that made it worse are taken back, as with memory: a raise after which a container was OOM killed, or any after
 * which the Service stopped being available. The cooldown doubles, up to a day.
 */
function takeBack(
  applied: AppliedKnobs,
  aftermath: Aftermath,
  { killed }: ServiceLook,
  rules: ServiceRules,
  now: number,
): { applied: AppliedKnobs; reason: string } | undefined {
  const { previous } = applied;
  if (!previous || !isOnTrial(applied, aftermath, rules, now)) return undefined;
  const raised = applied.target > previous.target;
  const why = raised && killed ? 'a container was OOM killed' : aftermath.unavailable;
  if (why === undefined) return undefined;
  const cooldownSeconds = slowed(applied, rules);
  const { target, containerConcurrency = 0 } = previous;
  const values: Wanted = { target, ...(applied.containerConcurrency !== undefined && { containerConcurrency }) };
  const reason = [
    `taken back from ${shownKnobs(applied)} to ${shownKnobs(values)}: ${why} within the cooldown after the change`,
    `cooldown now ${formatSeconds(cooldownSeconds)}`,
  ].join('; ');
  return { applied: { ...values, at: now, cooldownSeconds, takenBack: true }, reason };
}

function sameWanted(a: Wanted, b: Wanted): boolean {
  return a.target === b.target && a.containerConcurrency === b.containerConcurrency;
}

/** `target 80, containerConcurrency 100`. */
export function shownKnobs(knobs: Knobs): string {
  const { target, containerConcurrency: hard } = knobs;
  return [`target ${target ?? '-'}`, ...(hard === undefined ? [] : [`containerConcurrency ${hard}`])].join(', ');
}
