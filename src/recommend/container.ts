/**
 * One look at one container: usage + what runs + what stands + rules + now → what stands from here on, and why.
 * The rooms in order: observe (memory) → propose (memory) → doubt, hysteresis, cooldown (guards) → step.
 */
import type { Usage } from '../domain/usage.ts';
import type { Pair } from '../domain/workload.ts';
import { type Decided, doubt, type GuardRules, keepGuaranteed, pair, raiseOnly, revise } from './guards.ts';
import { type MemoryRules, type Observed, observe, proposeMemory } from './memory.ts';
import { type Range, type StepRules, stepMemory } from './step.ts';

export type Rules = MemoryRules & GuardRules & StepRules;

/** Everything that a look needs; bytes and milliseconds since the epoch. */
export type Look = {
  usage: Usage | undefined;
  current: Pair<number>;
  standing?: Decided;
  applied?: Decided;
  /** whether applied values count for this container's record */
  enforced: boolean;
  /** what a person fixed by an override */
  fixed: Pair<number>;
  range: Range;
};

export type Finding = {
  observed?: Observed;
  recommended?: Decided;
  applied?: Decided;
  /** which of the two are new decisions */
  changes: ('recommended' | 'applied')[];
  /** why the data could not be trusted to lower anything */
  doubt?: string;
  rationale: string;
};

export function lookAtContainer(look: Look, rules: Rules, now: number): Finding {
  const { usage, current, standing, applied, fixed } = look;
  const observed = usage && observe(usage);
  if (!usage || !observed) return withoutData(look);

  const why = doubt(usage, rules);
  let proposal = keepGuaranteed(proposeMemory(observed, rules, usage.oomLimit), current);
  if (why) proposal = raiseOnly(proposal, standing ?? current, why);
  const urgent = usage.oomLimit !== undefined && usage.oomLimit >= (standing?.limit ?? 0);
  const revision = revise(proposal, observed, current, standing, rules, urgent, now);

  const finding: Finding = { observed, changes: [], rationale: '' };
  const reasons = [...revision.reasons];
  if (why) finding.doubt = why;
  if (revision.recommended) {
    finding.recommended = revision.recommended;
    if (revision.isNew) finding.changes.push('recommended');
    if (look.enforced && !isFixed(fixed)) {
      const bounds = { observed, fixed, range: look.range, raiseOnly: why !== undefined, urgent };
      const step = stepMemory(current, revision.recommended, applied, bounds, rules, now);
      finding.applied = step.applied;
      if (step.isNew) finding.changes.push('applied');
      reasons.push(...step.reasons);
    }
  }
  if (isFixed(fixed)) reasons.push(`an override fixes ${pair(fixed)}`);
  finding.rationale = reasons.join('; ');
  return finding;
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
