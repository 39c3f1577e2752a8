/**
 * One cycle: what the cluster holds → what Prometheus measured → a look at each container → each record's status.
 * One record's trouble never stops the others.
 */
import type { RecordKind } from '../admit/scope.ts';
import { type Collected, usageKey } from '../collect/usage.ts';
import type { JsonObject } from '../domain/json.ts';
import { type Gates, isEnabled, isEnforced, overrideOf } from '../domain/ladder.ts';
import type { MemoryStatus } from '../domain/record.ts';
import { formatSeconds } from '../domain/time.ts';
import { bytesOf, type Pair } from '../domain/workload.ts';
import { ApiError } from '../kube/api.ts';
import { type Log, reason } from '../log.ts';
import { type Look, lookAtContainer } from '../recommend/container.ts';
import type { Range } from '../recommend/step.ts';
import { eventsOf } from '../record/events.ts';
import { isNews } from '../record/news.ts';
import { findContainer, previousStatus, readDecision } from '../record/read-back.ts';
import type { ContainerFinding, Report } from '../record/report.ts';
import { memoryStatus, newsOf } from '../record/status.ts';
import type { Settings } from '../settings.ts';
import type { Cluster } from './cluster.ts';
import { LeaseLostError } from './guarded.ts';
import type { RulesInForce } from './rules.ts';
import { agree, heardByVpa, oursByRecord, sayToVpa, wantedVpas } from './vpas.ts';
import { byRecord, defaultsOf, type LiveContainer, type OwnedWorkloads, rangeOf, type Workload } from './workloads.ts';

/** What a cycle works with; everything that does I/O is in `cluster` and `usage`. */
export type Parts = {
  cluster: Cluster;
  usage(targets: Workload[], now: number): Promise<Collected>;
  rules: RulesInForce;
  gates: Gates;
  strategy: Settings['strategy'];
  record: RecordKind;
  log: Log;
};

/** What a cycle does, in order; deciding and writing take turns, record by record. */
export const STEPS = ['list', 'collect', 'decide', 'write'] as const;
export type Step = (typeof STEPS)[number];

/** Records that are written at once. */
const AT_ONCE = 8;

/** Counts of one cycle. */
export type CycleReport = {
  records: number;
  workloads: number;
  containers: number;
  recommended: number;
  applied: number;
  written: number;
  failed: number;
  /** records that were changed by somebody else while they were decided about: left for the next cycle */
  conflicts: number;
  /** how long each step took, in seconds */
  steps: Record<Step, number>;
  /** why Prometheus could not be read, if it could not */
  trouble?: string;
};

/**
 * @param now milliseconds since the epoch
 * @throws {ApiError} when the cluster cannot be read at all
 */
export async function cycle(parts: Parts, now: number): Promise<CycleReport> {
  const { cluster, log } = parts;
  const steps = { list: 0, collect: 0, decide: 0, write: 0 };
  const lap = stopwatch();
  const [records, objects, revisions, limitRanges, vpas] = await Promise.all([
    cluster.records(),
    cluster.workloads(),
    cluster.revisionDeployments(),
    cluster.limitRanges(),
    cluster.vpas(),
  ]);
  const ours = oursByRecord(vpas ?? []);
  const owned = byRecord(records, objects, revisions, parts.record);
  const observed = owned.filter(({ tuning }) => isEnabled(tuning, parts.gates)).flatMap(({ workloads }) => workloads);
  const counts: CycleReport = {
    records: owned.length,
    workloads: observed.length,
    containers: 0,
    recommended: 0,
    applied: 0,
    written: 0,
    failed: 0,
    conflicts: 0,
    steps,
  };
  steps.list = lap();

  let usage: Collected = { usage: new Map(), troubles: new Map() };
  try {
    usage = await parts.usage(observed, now);
  } catch (error) {
    counts.trouble = reason(error);
    log.warn({ error: counts.trouble }, 'usage could not be read');
  }
  steps.collect = lap();
  await inLanes(owned, async (entry) => {
    const { namespace, name } = entry.record.metadata;
    const around: Surroundings = {
      ...usage,
      range: rangeOf(limitRanges, namespace),
      defaults: defaultsOf(limitRanges, namespace),
      vpas: vpas && (ours.get(`${namespace}/${name}`) ?? []),
      now,
    };
    ours.delete(`${namespace}/${name}`);
    try {
      await tuneRecord(entry, around, counts, parts);
    } catch (error) {
      if (error instanceof LeaseLostError) throw error;
      const code = error instanceof ApiError ? error.code : undefined;
      // Deleted since it was listed: nobody waits for its status.
      if (code === 404) return;
      if (code === 409) counts.conflicts += 1;
      else counts.failed += 1;
      const level = code === 409 ? 'debug' : 'error';
      log[level]({ namespace, record: name, error: reason(error) }, 'record failed');
    }
  });
  // Their record is gone, and nobody collects the garbage of one that was deleted as an orphan's owner.
  await agree(cluster, [], [...ours.values()].flat()).catch((error) =>
    log.warn({ error: reason(error) }, 'a VerticalPodAutoscaler without a record stays'),
  );
  steps.write = lap() - steps.decide;
  return counts;
}

/** A few at once, in order; the first that throws ends it, and nothing is begun after it. */
async function inLanes<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  let ended = false;
  const lane = async () => {
    for (const item of waiting) {
      if (ended) return;
      await work(item);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    ended = true;
  }
}

/** Each call gives the seconds since the last one. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const before = last;
    last = performance.now();
    return (last - before) / 1000;
  };
}

async function tuneRecord(
  owned: OwnedWorkloads,
  around: Surroundings,
  counts: CycleReport,
  { cluster, rules, gates, strategy, log }: Parts,
): Promise<void> {
  const lap = stopwatch();
  const { record, tuning, workloads } = owned;
  const { troubles, vpas, defaults, now } = around;
  const previous = previousStatus(record.status);
  const { namespace, name } = record.metadata;
  const trouble = counts.trouble ?? workloads.map(({ ref }) => troubles.get(`${namespace}/${ref}`)).find(Boolean);
  const enabled = isEnabled(tuning, gates);
  const byVpa = strategy === 'vpa' && isEnforced(tuning, gates);
  const report: Report = {
    enabled,
    enforced: isEnforced(tuning, gates) && !(byVpa && !vpas),
    ...(byVpa && { vpa: vpas ? 'served' : 'absent' }),
    overridden: tuning.enabled !== false && Object.keys(tuning.overrides).length > 0,
    workloads: workloads.length,
    problems: tuning.problems,
    containers: [],
    window: formatSeconds(rules.longWindowSeconds),
    settings: rules.changed,
    ...(trouble !== undefined && { trouble }),
  };
  if (enabled && trouble === undefined) {
    for (const workload of workloads) {
      for (const container of workload.containers) {
        const override = overrideOf(tuning, workload.name, container.name);
        report.containers.push(lookAt(workload, container, override, report, { ...around, previous, rules }));
      }
    }
  }
  const news = newsOf(report, previous, now);
  const decided = memoryStatus(report, name, previous, news, now);
  counts.steps.decide += lap();
  const refusal = vpas && (await sayToVpa(byVpa ? wantedVpas(owned, decided, defaults, vpas, now) : [], vpas, cluster));
  const status: MemoryStatus = refusal === undefined ? decided : { ...decided, phase: 'Degraded', message: refusal };
  counts.containers += report.containers.length;
  if (!isNews(status, previous)) return;
  await cluster.writeStatus(record, status);
  counts.written += 1;

  for (const entry of news) {
    counts[entry.change] += 1;
    log.info({ namespace, record: name, ...entry }, entry.change);
  }
  for (const event of eventsOf(news)) {
    // The status has it already; a lost Event is no reason to lose the next.
    await cluster
      .emit(record, event)
      .catch((error) => log.warn({ namespace, record: name, error: reason(error) }, 'no Event'));
  }
}

/** What one record is looked at with, beside itself. */
type Surroundings = {
  usage: Collected['usage'];
  troubles: Collected['troubles'];
  range: Range;
  /** what the namespace gives to containers that name no memory, in bytes */
  defaults: Pair<number>;
  /** the record's VerticalPodAutoscalers, if the cluster serves any */
  vpas: JsonObject[] | undefined;
  now: number;
};

type Looking = Surroundings & { previous: MemoryStatus | undefined; rules: RulesInForce };

function lookAt(
  workload: Workload,
  container: LiveContainer,
  override: Pair<string>,
  report: Report,
  { usage, previous, range, defaults, rules, now }: Looking,
): ContainerFinding {
  const { name, current, written } = container;
  const before = findContainer(previous, workload.ref, name);
  const [standing, applied] = [readDecision(before?.recommended), readDecision(before?.applied)];
  const byVpa = report.vpa === 'served';
  const measured = usage.get(usageKey(workload.namespace, workload.ref, name));
  // What the template leaves open the pods may have got from a LimitRange.
  const runs = { ...measured?.running, ...current };
  const look: Look = {
    usage: measured,
    // VPA changes the pods and not their template: what runs is what was applied last.
    current: byVpa && applied ? { request: applied.request, limit: applied.limit } : runs,
    enforced: report.enforced && !(byVpa && container.nativeSidecar),
    fixed: bytesOf(override),
    written,
    range,
    ...(standing && { standing }),
    ...(applied && { applied }),
  };
  const finding = lookAtContainer(look, rules, now);
  const rationale = byVpa
    ? `${finding.rationale}${heardByVpa(container, override, finding, defaults)}`
    : finding.rationale;
  return { workload: workload.ref, name, current: runs, override, look, finding: { ...finding, rationale } };
}
