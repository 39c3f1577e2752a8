/**
 * One look at one container: usage + what runs + what stands + rules + now → what stands from here on, and why.
 * The rooms in order: observe (memory) → propose (memory) → doubt, hysteresis, cooldown (guards) → step.
 */

import { formatBytes, readable } from '../domain/quantity.ts';
import type { Change } from '../domain/record.ts';
import type { Usage } from '../domain/usage.ts';
import type { Pair } from '../domain/workload.ts';
import {
  type Applied,
  doubt,
  type GuardRules,
  isGuaranteed,
  keepGuaranteed,
  lowerOnly,
  pair,
  raiseOnly,
  revise,
  type Standing,
} from './guards.ts';
import { type MemoryRules, type Observed, observe, type Proposal, proposeMemory } from './memory.ts';
import { type Range, type StepRules, stepMemory } from './step.ts';
import { type Aftermath, settle, takeBack } from './take-back.ts';

export type Rules = MemoryRules & GuardRules & StepRules;

/** Everything that a look needs; bytes and milliseconds since the epoch. */
export type Look = {
  usage: Usage | undefined;
  current: Pair<number>;
  standing?: Standing;
  applied?: Applied;
  /** whether applied values count for this container's record */
  enforced: boolean;
  /** what a person fixed by an override */
  fixed: Pair<number>;
  /** what the manifest says, without anything of ours */
  written: Pair<number>;
  range: Range;
  /** memory may not go this way, because concurrency has changed or is about to (`pairing.ts`) */
  held?: { from: 'rising' | 'falling'; why: string };
  /** what happened since applied values came to run */
  aftermath?: Aftermath;
};

export type Finding = {
  observed?: Observed;
  recommended?: Standing;
  applied?: Applied;
  /** what is new of the two, each with its own reason */
  changes: { change: Change; rationale: string }[];
  /** why the data could not be trusted to lower anything */
  doubt?: string;
  /** what only a person can change */
  trouble?: string;
  rationale: string;
};

export function lookAtContainer(look: Look, rules: Rules, now: number): Finding {
  const { fixed, written, range, applied, aftermath = {} } = look;
  // A limit alone becomes the request, too; values of ours that happen to be equal are no wish of the manifest.
  const manifest = written.limit === undefined ? written : { request: written.limit, ...written };
  const bounds = { fixed, written, range, guaranteed: isGuaranteed(manifest) };
  if (!applied || !look.enforced || isFixed(fixed)) return judge(look, manifest, rules, now);
  const back = takeBack(applied, aftermath, look.usage?.oomLimit, bounds, rules, now);
  if (!back) return judge({ ...look, applied: settle(applied, aftermath, rules, now) }, manifest, rules, now);
  // What should stand is judged as ever; no step is taken in the same breath.
  const finding = judge({ ...look, applied: back.applied }, manifest, rules, now);
  const changes = finding.changes.filter(({ change }) => change !== 'applied');
  return {
    ...finding,
    applied: back.applied,
    changes: [...changes, { change: 'taken-back', rationale: back.reason }],
    rationale: `${finding.rationale}; ${back.reason}`,
  };
}

function judge(look: Look, manifest: Pair<number>, rules: Rules, now: number): Finding {
  const { usage, current, standing, applied, fixed, written } = look;
  const observed = usage && observe(usage);
  if (!usage || !observed) return withoutData(look);

  const why = doubt(usage, rules);
  if (why && !standing && current.limit === undefined) {
    // No limit is the highest limit: anything would lower it.
    return { observed, changes: [], doubt: why, rationale: `${why}: nothing is recommended where no limit is set` };
  }
  const measured = proposeMemory(observed, rules, usage.oomLimit);
  // A kill at the limit that was decided last, or beyond it, is one that the decision did not know of yet.
  const decidedLimit = Math.min(standing?.limit ?? 0, (look.enforced && applied?.limit) || Number.POSITIVE_INFINITY);
  const urgent = usage.oomLimit !== undefined && usage.oomLimit >= decidedLimit;
  const holds = look.held?.from === 'rising' && urgent ? undefined : look.held;
  const reference = standing ?? current;
  const doubted = why ? raiseOnly(measured, reference, why) : measured;
  const proposal = keepGuaranteed(holds ? hold(doubted, holds, observed, reference, rules) : doubted, manifest);
  const revision = revise(proposal, observed, current, standing, rules, urgent, now);

  const finding: Finding = { observed, changes: [], rationale: '' };
  const reasons = [...revision.reasons];
  if (why) finding.doubt = why;
  if (revision.recommended) {
    finding.recommended = revision.recommended;
    if (revision.isNew) finding.changes.push({ change: 'recommended', rationale: revision.reasons.join('; ') });
    if (look.enforced && !isFixed(fixed)) {
      const { range } = look;
      const bounds = {
        observed,
        fixed,
        written,
        range,
        guaranteed: isGuaranteed(manifest),
        raiseOnly: why !== undefined || holds?.from === 'falling',
        urgent,
      };
      const step = stepMemory(current, revision.recommended, applied, bounds, rules, now);
      if (step) finding.applied = step.applied;
      if (step?.isNew) finding.changes.push({ change: 'applied', rationale: step.reasons.join('; ') });
      reasons.push(...(step?.reasons ?? []));
    }
  }
  // Working set counts page cache that the kernel would give back; it decides all the same, because the OOM killer waits for neither.
  if (usage.rss !== undefined && usage.rss < observed.max / 2) {
    reasons.push(`mostly page cache: RSS at most ${readable(usage.rss)} of ${readable(observed.max)}`);
  }
  if (isFixed(fixed)) reasons.push(`an override fixes ${pair(fixed)}`);
  finding.rationale = reasons.join('; ');
  const ceiling = ceilingOf(finding, look, rules);
  if (ceiling !== undefined) finding.trouble = ceiling;
  return finding;
}

function hold(
  proposal: Proposal,
  { from, why }: NonNullable<Look['held']>,
  observed: Observed,
  reference: Pair<number>,
  rules: Rules,
): Proposal {
  return from === 'falling'
    ? raiseOnly(proposal, reference, why)
    : lowerOnly(proposal, observed, reference, why, rules);
}

/** A container that was OOM killed at a limit that we may not raise: a person has to know, once, not at every kill. */
function ceilingOf(
  { recommended, applied }: Finding,
  { usage, fixed, range, enforced }: Look,
  { limitMax }: Rules,
): string | undefined {
  const limit = fixed.limit ?? applied?.limit ?? recommended?.limit;
  if (usage?.oomLimit === undefined || limit === undefined || limit > usage.oomLimit) return undefined;
  const killed = `OOM killed at ${formatBytes(usage.oomLimit)}`;
  if (fixed.limit !== undefined) return `${killed}, the limit that an override fixes`;
  if (enforced && limit === range.max) return `${killed}, and the namespace's LimitRange allows no more`;
  return limit >= limitMax ? `${killed}, and OPRC_CRM_LIMIT_MAX allows no more` : undefined;
}

/** Nothing to go by: what stands keeps standing, nothing is decided. */
function withoutData({ standing, applied, enforced, fixed }: Look): Finding {
  const finding: Finding = {
    changes: [],
    doubt: 'no samples',
    rationale: 'no samples of this container in Prometheus',
  };
  if (standing) finding.recommended = standing;
  if (standing) finding.rationale += '; the last recommendation stands';
  if (applied && enforced && !isFixed(fixed)) finding.applied = applied;
  return finding;
}

function isFixed(fixed: Pair<number>): boolean {
  return fixed.request !== undefined && fixed.limit !== undefined;
}
