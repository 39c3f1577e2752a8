/** One look at one record: what its containers use and should have, and how far its workloads' rollouts are. */
import { type UsageMap, usageKey } from '../collect/usage.ts';
import { isEnabled, isEnforced, overrideOf } from '../domain/ladder.ts';
import type { MemoryStatus, RolloutStatus, Tuning } from '../domain/record.ts';
import { formatSeconds } from '../domain/time.ts';
import type { Wait } from '../domain/waits.ts';
import { bytesOf } from '../domain/workload.ts';
import { lookAtContainer, type Rules } from '../recommend/container.ts';
import type { Pending } from '../recommend/rollouts.ts';
import type { Range } from '../recommend/step.ts';
import type { Aftermath } from '../recommend/take-back.ts';
import { findContainer, findRollout, moment, previousStatus, readApplied, readDecision } from '../record/read-back.ts';
import type { ContainerFinding, Report } from '../record/report.ts';
import { followRollout, waits } from '../record/rollouts.ts';
import { appliedOf } from '../record/status.ts';
import { type Around, holdOf } from './around.ts';
import { progressOf } from './progress.ts';
import { type Judge, outcomeOf, pendingOf } from './rollouts.ts';
import type { LiveContainer, OwnedWorkloads, Workload } from './workloads.ts';

/** What is looked at, beside the record itself. */
export type Surroundings = Judge & {
  usage: UsageMap;
  /** why usage could not be read */
  trouble: string | undefined;
  range: Range;
  around: Around;
  rules: Rules;
  /** why the strategy asks for nothing, if so */
  strategy: Wait | undefined;
  now: number;
};

/** What was found; which rollouts are asked for is decided over all records. */
export type Looked = {
  entry: OwnedWorkloads;
  previous: MemoryStatus | undefined;
  report: Report;
  rollouts: LookedRollout[];
};

/** How far one workload is. */
export type LookedRollout = {
  workload: Workload;
  entry: RolloutStatus;
  /** what the plan has to know, where applied values are not what runs */
  pending?: Pending;
  /** when the youngest of those was decided (milliseconds since the epoch) */
  decidedAt: number;
  /** why admission would not inject them */
  refused?: string;
};

/** Decides nothing beyond the record: a pure function of what was read. */
export function lookAtRecord(entry: OwnedWorkloads, around: Surroundings): Looked {
  const { record, tuning, workloads } = entry;
  const { gates, rules, trouble } = around;
  const previous = previousStatus(record.status);
  const enabled = isEnabled(tuning, gates);
  const wished = isEnforced({ ...tuning, paused: false }, gates);
  const holds = new Map(
    workloads.map((workload) => [workload, wished ? holdOf(workload, record, around.around) : undefined]),
  );
  const report: Report = {
    enabled,
    enforced: wished && (workloads.length === 0 || workloads.some((workload) => !holds.get(workload))),
    overridden: tuning.enabled !== false && Object.keys(tuning.overrides).length > 0,
    workloads: workloads.length,
    problems: tuning.problems,
    containers: [],
    window: formatSeconds(rules.longWindowSeconds),
    ...(trouble !== undefined && { trouble }),
  };
  const looked: Looked = { entry, previous, report, rollouts: [] };
  // Nothing is known of usage: what was decided stands, and nothing new is asked for.
  if (trouble !== undefined && enabled) return looked;
  for (const workload of enabled ? workloads : []) {
    const hold = holds.get(workload);
    const enforced = wished && !hold;
    const last: RolloutStatus = findRollout(previous, workload.ref) ?? { workload: workload.ref, state: 'Done' };
    const since = last.state === 'Requested' ? moment(last.id) : moment(last.at);
    const progress = progressOf(workload.object, Number.isNaN(since) ? undefined : since);
    const aftermath: Aftermath = { ...progress, ...(!Number.isNaN(since) && { since }) };
    const found = workload.containers.map((container) =>
      lookAt(workload, container, { enforced, aftermath, previous, tuning, ...around }),
    );
    report.containers.push(...found);
    if (hold) looked.rollouts.push({ workload, entry: waits(last, hold.reason, hold.detail), decidedAt: 0 });
    else if (enforced) looked.rollouts.push(lookAtRollout(workload, found, last, progress, tuning, around));
    // Kept for the day on which enforcement is switched on again: its cooldown still counts.
    else if (last.at !== undefined) {
      looked.rollouts.push({ workload, entry: { workload: workload.ref, state: 'Done', at: last.at }, decidedAt: 0 });
    }
  }
  return looked;
}

function lookAtRollout(
  workload: Workload,
  found: ContainerFinding[],
  last: RolloutStatus,
  progress: ReturnType<typeof progressOf>,
  tuning: Tuning,
  { usage, rules, strategy, now, ...judge }: Surroundings,
): LookedRollout {
  const applied = found.flatMap(({ name, finding }) =>
    finding.applied ? [[`${workload.ref}/${name}`, appliedOf(finding.applied)] as const] : [],
  );
  const outcome = outcomeOf(workload, { ...tuning, applied: Object.fromEntries(applied) }, found, judge);
  const isPending = outcome.changes.length > 0 || outcome.refused !== undefined;
  // A container that was decided about since the request is none of what was asked for.
  const asked = last.state === 'Requested' ? moment(last.id) : Number.POSITIVE_INFINITY;
  const decidedAt = (name: string) => found.find((one) => one.name === name)?.finding.applied?.at ?? 0;
  const isMissing =
    isPending && (outcome.changes.length === 0 || outcome.changes.some(({ name }) => decidedAt(name) <= asked));
  const entry = followRollout(last, isMissing, progress, now);
  if (!isPending) return { workload, entry, decidedAt: 0 };
  const killedAt = (name: string) => usage.get(usageKey(workload.namespace, workload.ref, name))?.oomLimit;
  const { cooldownSeconds } = rules;
  const facts = { rolling: progress.rolling, strategy, cooldownSeconds, killedAt, now };
  return {
    workload,
    entry,
    pending: pendingOf(workload, outcome, found, entry, facts),
    decidedAt: Math.max(0, ...found.map(({ name }) => decidedAt(name))),
    ...(outcome.refused !== undefined && { refused: outcome.refused }),
  };
}

type OfContainer = Surroundings & {
  enforced: boolean;
  aftermath: Aftermath;
  previous: MemoryStatus | undefined;
  tuning: Tuning;
};

function lookAt(
  workload: Workload,
  { name, current, written }: LiveContainer,
  { usage, previous, range, rules, now, tuning, enforced, aftermath }: OfContainer,
): ContainerFinding {
  const before = findContainer(previous, workload.ref, name);
  const override = overrideOf(tuning, workload.name, name);
  const [standing, applied] = [readDecision(before?.recommended), readApplied(before?.applied)];
  const look = {
    usage: usage.get(usageKey(workload.namespace, workload.ref, name)),
    fixed: bytesOf(override),
    ...{ current, enforced, written, range, aftermath },
    ...(standing && { standing }),
    ...(applied && { applied }),
  };
  return { workload: workload.ref, name, current, override, finding: lookAtContainer(look, rules, now) };
}
