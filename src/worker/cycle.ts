/**
 * One cycle: what the cluster holds → what Prometheus measured → a look at each record → which workloads may roll out →
 * each record's status → the requests for rollouts. One record's trouble never stops the others.
 */
import type { RecordKind } from '../admit/scope.ts';
import type { UsageMap } from '../collect/usage.ts';
import { type Gates, isEnabled } from '../domain/ladder.ts';
import type { Change } from '../domain/record.ts';
import type { Wait } from '../domain/waits.ts';
import { ApiError } from '../kube/api.ts';
import { type Log, reason } from '../log.ts';
import type { Rules } from '../recommend/container.ts';
import type { RolloutLimits } from '../recommend/rollouts.ts';
import { eventsOf, rolloutEvents } from '../record/events.ts';
import { isNews } from '../record/news.ts';
import { memoryStatus, newsOf } from '../record/status.ts';
import { headroomOf } from './around.ts';
import type { Cluster } from './cluster.ts';
import { type Looked, lookAtRecord } from './look.ts';
import { planAll } from './plan.ts';
import { isUnderWay } from './rollouts.ts';
import { byRecord, type OwnedWorkloads, rangeOf, type Workload } from './workloads.ts';

/** What a cycle works with; everything that does I/O is in `cluster` and `usage`, everything that waits in `storesCatchUp`. */
export type Parts = {
  cluster: Cluster;
  usage(targets: Workload[], now: number): Promise<UsageMap>;
  /** Resolves when the replicas that answer reviews have most likely seen the statuses that were just written. */
  storesCatchUp(): Promise<void>;
  rules: Rules;
  limits: RolloutLimits;
  strategy: 'rollout' | 'admission' | 'vpa';
  gates: Gates;
  record: RecordKind;
  log: Log;
};

/** Counts of one cycle. */
export type CycleReport = Record<Change, number> & {
  records: number;
  workloads: number;
  containers: number;
  written: number;
  failed: number;
  rollouts: {
    asked: number;
    failed: number;
    /** workloads that roll out on our request */
    underWay: number;
    /** workloads whose applied values wait, by reason */
    waiting: Partial<Record<Wait, number>>;
  };
  /** why Prometheus could not be read, if it could not */
  trouble?: string;
};

/**
 * @param now milliseconds since the epoch
 * @throws {ApiError} when the cluster cannot be read at all
 */
export async function cycle(parts: Parts, now: number): Promise<CycleReport> {
  const { cluster, log, gates, rules, record, limits } = parts;
  const [records, objects, revisions, limitRanges, around] = await Promise.all([
    cluster.records(),
    cluster.workloads(),
    cluster.revisionDeployments(),
    cluster.limitRanges(),
    cluster.around(),
  ]);
  const owned = byRecord(records, objects, revisions, record);
  const observed = owned.filter(({ tuning }) => isEnabled(tuning, gates)).flatMap(({ workloads }) => workloads);
  const counts: CycleReport = {
    records: owned.length,
    workloads: observed.length,
    containers: 0,
    ...{ recommended: 0, applied: 0, 'taken-back': 0 },
    written: 0,
    failed: 0,
    rollouts: { asked: 0, failed: 0, underWay: 0, waiting: {} },
  };

  let usage: UsageMap = new Map();
  try {
    usage = await parts.usage(observed, now);
  } catch (error) {
    counts.trouble = reason(error);
    log.warn({ error: counts.trouble }, 'usage could not be read');
  }
  const { trouble } = counts;
  const strategy = parts.strategy === 'rollout' ? undefined : 'next-template-change';
  const looked: Looked[] = [];
  for (const entry of owned) {
    const range = rangeOf(limitRanges, entry.record.metadata.namespace);
    const surroundings = { usage, trouble, range, around, gates, record, rules, strategy, now } as const;
    await onItsOwn(entry, counts, log, () => looked.push(lookAtRecord(entry, surroundings)));
  }
  planAll(looked, headroomOf(around.quotas), limits, now);
  const requests: Request[] = [];
  for (const one of looked) {
    await onItsOwn(one.entry, counts, log, async () => {
      await write(one, counts, parts, now);
      // Only what stands in a status may be asked for: whoever comes after a crash finishes it.
      requests.push(...requestsOf(one));
    });
  }
  await askForRollouts(requests, counts, parts);
  return counts;
}

/** The trouble of one record is logged and counted. */
async function onItsOwn({ record }: OwnedWorkloads, counts: CycleReport, log: Log, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Deleted since it was listed: nobody waits for its status.
    if (error instanceof ApiError && error.code === 404) return;
    counts.failed += 1;
    const { namespace, name } = record.metadata;
    log.error({ namespace, record: name, error: reason(error) }, 'record failed');
  }
}

async function write(
  { entry: { record }, previous, report }: Looked,
  counts: CycleReport,
  { cluster, log }: Parts,
  now: number,
): Promise<void> {
  const { namespace, name } = record.metadata;
  const status = memoryStatus(report, name, previous, now);
  counts.containers += report.containers.length;
  for (const rollout of status.rollouts ?? []) {
    if (isUnderWay(rollout)) counts.rollouts.underWay += 1;
    const { waiting } = counts.rollouts;
    if (rollout.reason && rollout.state === 'Waiting') waiting[rollout.reason] = (waiting[rollout.reason] ?? 0) + 1;
  }
  if (!isNews(status, previous)) return;
  await cluster.writeStatus(record, status);
  counts.written += 1;

  const news = newsOf(report, previous, now);
  for (const entry of news) {
    counts[entry.change] += 1;
    log.info({ namespace, record: name, ...entry }, entry.change);
  }
  const failures = rolloutEvents(status.rollouts ?? [], previous?.rollouts);
  counts.rollouts.failed += failures.length;
  for (const event of [...eventsOf(news), ...failures]) {
    // The status has it already; a lost Event is no reason to lose the next.
    await cluster
      .emit(record, event)
      .catch((error) => log.warn({ namespace, record: name, error: reason(error) }, 'no Event'));
  }
}

type Request = { workload: Workload; id: string };

/** What the status that was just written has promised. */
function requestsOf({ report, rollouts }: Looked): Request[] {
  return rollouts.flatMap(({ workload, pending }) => {
    const entry = report.rollouts?.find((one) => one.workload === workload.ref);
    return pending && entry?.state === 'Requested' && entry.id !== undefined ? [{ workload, id: entry.id }] : [];
  });
}

/** What came of it shows the next cycle's list: whether the workload carries the request, and the values. */
async function askForRollouts(requests: Request[], counts: CycleReport, { cluster, log, ...parts }: Parts) {
  if (requests.length === 0) return;
  await parts.storesCatchUp();
  for (const { workload, id } of requests) {
    const { namespace, ref } = workload;
    try {
      await cluster.requestRollout(workload.object, id);
      counts.rollouts.asked += 1;
      log.info({ namespace, workload: ref, id }, 'asked for a rollout');
    } catch (error) {
      log.warn({ namespace, workload: ref, id, error: reason(error) }, 'a rollout could not be asked for');
    }
  }
}
