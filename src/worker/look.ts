/** One look at one record: what its containers use and should have, and how far its workloads' rollouts are. */
import type { Loads } from '../collect/load.ts';
import { type Collected, usageKey } from '../collect/usage.ts';
import type { JsonObject } from '../domain/json.ts';
import { isEnabled, isEnforced, overrideOf } from '../domain/ladder.ts';
import type { MemoryStatus, RecordResource, RolloutStatus, Tuning } from '../domain/record.ts';
import { formatSeconds } from '../domain/time.ts';
import { bytesOf, type Pair } from '../domain/workload.ts';
import { type Finding, type Look, lookAtContainer } from '../recommend/container.ts';
import { fitMemory } from '../recommend/fit.ts';
import { isSame } from '../recommend/guards.ts';
import { lookAtPair } from '../recommend/pairing.ts';
import type { Pending } from '../recommend/rollouts.ts';
import type { Range } from '../recommend/step.ts';
import type { Aftermath } from '../recommend/take-back.ts';
import type { KnativeDefaults } from '../recommend/target.ts';
import { previousConcurrency } from '../record/concurrency-read-back.ts';
import { findContainer, findRollout, moment, previousStatus, readApplied, readStanding } from '../record/read-back.ts';
import type { ContainerFinding, Report, ServiceFound } from '../record/report.ts';
import { followRollout, waits } from '../record/rollouts.ts';
import { appliedOf } from '../record/status.ts';
import type { Settings } from '../settings.ts';
import { type Around, holdOf } from './around.ts';
import { type Asks, type Known, pastOf } from './known-past.ts';
import { progressOf } from './progress.ts';
import { type Judge, outcomeOf, pendingOf } from './rollouts.ts';
import type { RulesInForce } from './rules.ts';
import { readService } from './services.ts';
import { heardByVpa, wantedVpas } from './vpas.ts';
import { inPod, type LiveContainer, type OwnedWorkloads, type Workload } from './workloads.ts';

/** What is looked at, beside the record itself. */
export type Surroundings = Judge & {
  usage: Collected['usage'];
  /** why usage could not be read: that of one workload, by `namespace/ref`, or any */
  troubles: Collected['troubles'];
  trouble: string | undefined;
  range: Range;
  /** what is known of requests; absent where Knative is switched off, or nothing is known of them */
  load: Loads | undefined;
  /** why requests could not be read */
  loadTrouble: string | undefined;
  knativeDefaults: KnativeDefaults;
  /** what the namespace gives to containers that name no memory, in bytes */
  defaults: Pair<number>;
  around: Around;
  rules: RulesInForce;
  strategy: Settings['strategy'];
  /** the record's VerticalPodAutoscalers, if the cluster serves any */
  vpas: JsonObject[] | undefined;
  known: Known;
  now: number;
};

/** What was found; its report says how far the rollouts are, and which are asked for is decided over all records. */
export type Looked = {
  entry: OwnedWorkloads;
  previous: MemoryStatus | undefined;
  report: Report;
  rollouts: LookedRollout[];
  /** what should be read of its past */
  asks: Asks;
  /** where the cluster serves them: the record's VerticalPodAutoscalers, and what they shall be by a status */
  vpas?: { standing: JsonObject[]; wanted(status: MemoryStatus): JsonObject[] };
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
  const { gates, rules, troubles, strategy, vpas } = around;
  const previous = previousStatus(record.status);
  const { namespace } = record.metadata;
  const trouble = around.trouble ?? workloads.map(({ ref }) => troubles.get(`${namespace}/${ref}`)).find(Boolean);
  const enabled = isEnabled(tuning, gates);
  const wished = isEnforced({ ...tuning, paused: false }, gates);
  const past = pastOf(entry, previous, wished, around);
  const held = (workload: Workload) =>
    holdOf(workload, record, around.around) ??
    (past.unproven !== undefined && { reason: 'backtest' as const, detail: past.unproven });
  const holds = new Map(workloads.map((workload) => [workload, (wished && held(workload)) || undefined]));
  const byVpa = strategy === 'vpa' && wished;
  const possible = wished && !(byVpa && !vpas);
  const free = workloads.filter((workload) => !holds.get(workload));
  const report: Report = {
    enabled,
    enforced: possible && (workloads.length === 0 || free.length > 0),
    ...(byVpa && { vpa: vpas ? 'served' : 'absent' }),
    overridden: tuning.enabled !== false && Object.keys(tuning.overrides).length > 0,
    workloads: workloads.length,
    problems: tuning.problems,
    containers: [],
    window: formatSeconds(rules.longWindowSeconds),
    settings: rules.changed,
    ...past.told,
    ...(trouble !== undefined && { trouble }),
  };
  const { load, loadTrouble } = around;
  if ((load || (loadTrouble ?? trouble) !== undefined) && workloads.some(({ revisions }) => revisions)) {
    const told = loadTrouble ?? workloads.map(({ ref }) => load?.troubles.get(`${namespace}/${ref}`)).find(Boolean);
    report.services = [];
    if (told !== undefined) report.loadTrouble = told;
    if (load?.absent) report.noKnativeMetrics = true;
  }
  const looked: Looked = { entry, previous, report, rollouts: [], asks: past.asks };
  if (vpas) {
    const wanted = (status: MemoryStatus) =>
      byVpa ? wantedVpas({ ...entry, workloads: free }, status, around.defaults, vpas, around.now) : [];
    looked.vpas = { standing: vpas, wanted };
  }
  // Nothing is known of usage: what was decided stands, and nothing new is asked for.
  if (trouble !== undefined && enabled) return looked;
  for (const workload of enabled ? workloads : []) {
    const hold = holds.get(workload);
    const enforced = possible && !hold;
    const last: RolloutStatus = findRollout(previous, workload.ref) ?? { workload: workload.ref, state: 'Done' };
    const since = last.state === 'Requested' ? moment(last.id) : moment(last.at);
    const progress = progressOf(workload.object, Number.isNaN(since) ? undefined : since);
    const aftermath: Aftermath = { ...progress, ...(!Number.isNaN(since) && { since }) };
    const context = { ...around, enforced, byVpa, aftermath, previous, tuning };
    const looks = workload.containers.map((container) => lookOf(workload, container, context));
    const pair = lookAtConcurrency(workload, looks, record, context);
    const found = looks.map((look, index) => findingOf(workload, look, pair?.containers[index], context));
    report.containers.push(...found);
    const service = pair && { workload: workload.ref, ...pair.service };
    if (service && load) report.services?.push(service);
    if (hold) looked.rollouts.push({ workload, entry: waits(last, hold.reason, hold.detail), decidedAt: 0 });
    else if (enforced && !byVpa) {
      looked.rollouts.push(lookAtRollout(workload, found, service, last, progress, tuning, around));
    }
    // Kept for the day on which enforcement is switched on again: its cooldown still counts.
    else if (last.at !== undefined) {
      looked.rollouts.push({ workload, entry: { workload: workload.ref, state: 'Done', at: last.at }, decidedAt: 0 });
    }
  }
  report.rollouts = worthTelling(looked.rollouts.map(({ entry }) => entry));
  return looked;
}

/** A rollout that never was says nothing. */
export function worthTelling(rollouts: RolloutStatus[]): RolloutStatus[] {
  return rollouts.filter(({ state, at }) => state !== 'Done' || at !== undefined);
}

function lookAtRollout(
  workload: Workload,
  found: ContainerFinding[],
  service: ServiceFound | undefined,
  last: RolloutStatus,
  progress: ReturnType<typeof progressOf>,
  tuning: Tuning,
  { usage, rules, strategy, now, ...judge }: Surroundings,
): LookedRollout {
  const outcome = outcomeOf(workload, decidedBy(tuning, found, service), found, service, judge);
  const isPending = outcome.changes.length > 0 || outcome.scales === true || outcome.refused !== undefined;
  // What was decided about since the request is none of what was asked for.
  const asked = last.state === 'Requested' ? moment(last.id) : Number.POSITIVE_INFINITY;
  const decidedAt = (name: string) => found.find((one) => one.name === name)?.finding.applied?.at ?? 0;
  const scaledAt = service?.finding.applied?.at ?? 0;
  const pending = [...outcome.changes.map(({ name }) => decidedAt(name)), ...(outcome.scales ? [scaledAt] : [])];
  const isMissing = isPending && (pending.length === 0 || pending.some((at) => at <= asked));
  const entry = followRollout(last, isMissing, progress, now);
  if (!isPending) return { workload, entry, decidedAt: 0 };
  const killedAt = (name: string) => usage.get(usageKey(workload.namespace, workload.ref, name))?.oomLimit;
  const { cooldownSeconds } = rules;
  const waits = strategy === 'rollout' ? undefined : ('next-template-change' as const);
  const facts = { rolling: progress.rolling, strategy: waits, cooldownSeconds, killedAt, now };
  return {
    workload,
    entry,
    pending: pendingOf(workload, outcome, found, service, entry, facts),
    decidedAt: Math.max(scaledAt, ...found.map(({ name }) => decidedAt(name))),
    ...(outcome.refused !== undefined && { refused: outcome.refused }),
  };
}

/** The record as it will be once this look is written. Where nothing was found out about concurrency, that stands. */
function decidedBy(tuning: Tuning, found: ContainerFinding[], service: ServiceFound | undefined): Tuning {
  const applied = Object.fromEntries(
    found.flatMap(({ workload, name, finding }) =>
      finding.applied ? [[`${workload}/${name}`, appliedOf(finding.applied)] as const] : [],
    ),
  );
  if (!service) return { ...tuning, applied };
  const knobs = service.finding.applied;
  const scaled = { ...tuning.concurrency, applied: knobs ? { [service.workload]: knobs } : {} };
  return { ...tuning, applied, concurrency: scaled };
}

type OfContainer = Surroundings & {
  enforced: boolean;
  byVpa: boolean;
  aftermath: Aftermath;
  previous: MemoryStatus | undefined;
  tuning: Tuning;
};

/** A container before it is looked at. */
type Before = { container: LiveContainer; current: Pair<number>; override: Pair<string>; look: Look };

function lookOf(
  workload: Workload,
  container: LiveContainer,
  { usage, previous, range, tuning, enforced, byVpa, aftermath }: OfContainer,
): Before {
  const { name, written } = container;
  const before = findContainer(previous, workload.ref, name);
  const override = overrideOf(tuning, workload.name, name);
  const [standing, applied] = [readStanding(before?.recommended), readApplied(before?.applied)];
  const measured = usage.get(usageKey(workload.namespace, workload.ref, name));
  // What the template leaves open the pods may have got from a LimitRange.
  const current = { ...measured?.running, ...container.current };
  const throughVpa = byVpa && enforced;
  const look: Look = {
    usage: measured,
    // VPA changes the pods and not their template: what runs is what was applied last.
    current: throughVpa && applied ? { request: applied.request, limit: applied.limit } : current,
    enforced: enforced && !(throughVpa && container.nativeSidecar),
    fixed: bytesOf(override),
    ...{ written, range, aftermath },
    ...(standing && { standing }),
    ...(applied && { applied }),
  };
  return { container, current, override, look };
}

/** Memory and concurrency of a Knative Service together; `undefined` for anything else. */
function lookAtConcurrency(
  workload: Workload,
  looks: Before[],
  record: RecordResource,
  { load, loadTrouble, knative, knativeDefaults, tuning, enforced, byVpa, aftermath, rules, now }: OfContainer,
): ReturnType<typeof lookAtPair> | undefined {
  if (!workload.revisions) return undefined;
  const found = load?.loads.get(`${workload.namespace}/${workload.ref}`);
  const alone = readService(workload, {
    ...{ load: found, tuning, bounds: knative, defaults: knativeDefaults, aftermath },
    previous: previousConcurrency(record.status),
    // VPA knows no requests.
    enforced: enforced && !byVpa,
  });
  // What was decided binds memory, and its own rollout, also while nothing is known of requests.
  if (!load) alone.unread = loadTrouble ?? 'requests are not read';
  const containers = looks.map(({ container: { name }, look }) => {
    const fit = fitMemory(found?.points[name] ?? []);
    return { name, look, ...(fit && { fit }) };
  });
  return lookAtPair(alone, containers, rules, now);
}

function findingOf(
  { ref }: Workload,
  { container, current, override, look: alone }: Before,
  paired: { look: Look; finding: Finding } | undefined,
  { rules, now, byVpa, enforced, defaults }: OfContainer,
): ContainerFinding {
  const { look, finding } = paired ?? { look: alone, finding: lookAtContainer(alone, rules, now) };
  if (byVpa && enforced) finding.rationale += heardByVpa(container, override, finding, defaults);
  const asWritten = isSame(container.current, inPod(look.written, {}));
  const manifest = asWritten ? current : inPod(look.written, defaults);
  return { workload: ref, name: container.name, current, manifest, override, look, finding };
}
