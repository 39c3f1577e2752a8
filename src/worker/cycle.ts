/**
 * One cycle: what the cluster holds → what Prometheus measured → a look at each record → which workloads may roll out →
 * each record's status → the requests for rollouts. One record's trouble never stops the others.
 */
import type { RecordKind } from '../admit/scope.ts';
import type { Loads } from '../collect/load.ts';
import type { Collected } from '../collect/usage.ts';
import type { ConcurrencyStatus, KnobHistoryEntry } from '../domain/concurrency.ts';
import { type JsonObject, textAt } from '../domain/json.ts';
import { readBounds } from '../domain/knative-rules.ts';
import { type Gates, isEnabled } from '../domain/ladder.ts';
import type { Change, HistoryEntry, MemoryStatus, Phase } from '../domain/record.ts';
import type { Wait } from '../domain/waits.ts';
import { ApiError } from '../kube/api.ts';
import { type Log, reason } from '../log.ts';
import type { RolloutLimits } from '../recommend/rollouts.ts';
import { readKnativeDefaults } from '../recommend/target.ts';
import { previousConcurrency } from '../record/concurrency-read-back.ts';
import { concurrencyStatus, knobNews } from '../record/concurrency-status.ts';
import { eventsOf, knobEvents, rolloutEvents, troubleEvents } from '../record/events.ts';
import { isNews, isNewsOfKnobs } from '../record/news.ts';
import type { Report } from '../record/report.ts';
import { memoryStatus, newsOf } from '../record/status.ts';
import type { Settings } from '../settings.ts';
import { aroundBy, headroomOf } from './around.ts';
import type { Cluster } from './cluster.ts';
import { errorsOf, type Figures, figuresOf, type RecommendationError } from './figures.ts';
import { LeaseLostError } from './guarded.ts';
import type { Asks, Known } from './known-past.ts';
import { type Looked, lookAtRecord } from './look.ts';
import { isAside, planAll } from './plan.ts';
import { isUnderWay } from './rollouts.ts';
import type { RulesInForce } from './rules.ts';
import { agree, oursByRecord, sayToVpa } from './vpas.ts';
import { byRecord, defaultsOf, type OwnedWorkloads, rangeOf, type Workload } from './workloads.ts';

/** What a cycle works with; everything that does I/O is in `cluster` and `usage`, everything that waits in `storesCatchUp`. */
export type Parts = {
  cluster: Cluster;
  usage(targets: Workload[], now: number): Promise<Collected>;
  /** What is known of the requests of Knative Services; absent where Knative is switched off. */
  load?(targets: Workload[], now: number): Promise<Loads>;
  /** Resolves when the replicas that answer reviews have most likely seen the statuses that were just written. */
  storesCatchUp(): Promise<void>;
  /** What was read of the records' past; reads on beside the cycles. */
  known?: Known;
  rules: RulesInForce;
  limits: RolloutLimits;
  gates: Gates;
  strategy: Settings['strategy'];
  record: RecordKind;
  /** the tuner's own, if it has one */
  ownNamespace: string;
  log: Log;
};

/** What a cycle does, in order. */
export const STEPS = ['list', 'collect', 'decide', 'write'] as const;
export type Step = (typeof STEPS)[number];

/** Records that are written at once. */
const AT_ONCE = 8;

/** Counts of one cycle. */
export type CycleReport = Record<Change, number> & {
  records: number;
  workloads: number;
  containers: number;
  written: number;
  failed: number;
  /** records that were changed by somebody else while they were decided about: left for the next cycle */
  conflicts: number;
  /** records by what their status says, so that a reader knows why the others have no values */
  phases: Partial<Record<Phase, number>>;
  /** how long each step took, in seconds */
  steps: Record<Step, number>;
  rollouts: {
    asked: number;
    failed: number;
    /** workloads that roll out on our request */
    underWay: number;
    /** workloads whose applied values wait, by reason */
    waiting: Partial<Record<Wait, number>>;
  };
  /** of the records that were observed */
  figures: Figures[];
  /** of the containers that have a recommendation and usage */
  errors: RecommendationError[];
  /** why Prometheus could not be read, if it could not */
  trouble?: string;
};

/**
 * @param now milliseconds since the epoch
 * @throws {ApiError} when the cluster cannot be read at all
 * @throws {LeaseLostError} when another replica may work by now
 */
export async function cycle(parts: Parts, now: number): Promise<CycleReport> {
  const { cluster, log } = parts;
  const counts: CycleReport = {
    ...{ records: 0, workloads: 0, containers: 0, written: 0, failed: 0, conflicts: 0 },
    ...{ recommended: 0, applied: 0, 'taken-back': 0 },
    phases: {},
    steps: { list: 0, collect: 0, decide: 0, write: 0 },
    rollouts: { asked: 0, failed: 0, underWay: 0, waiting: {} },
    ...{ figures: [], errors: [] },
  };
  const lap = stopwatch();
  const { looked, strays } = await look(parts, counts, lap, now);

  const requests: Request[] = [];
  await inLanes(looked, (one) =>
    onItsOwn(one.entry, counts, log, async () => {
      await write(one, counts, parts, now);
      // Only what stands in a status may be asked for: whoever comes after a crash finishes it.
      requests.push(...requestsOf(one));
    }),
  );
  await askForRollouts(requests, counts, parts);
  // Their record is gone, and nobody collects the garbage of one that was deleted as an orphan's owner.
  await agree(cluster, [], strays).catch((error) =>
    log.warn({ error: reason(error) }, 'a VerticalPodAutoscaler without a record stays'),
  );
  counts.steps.write = lap();
  return counts;
}

/**
 * Everything before the first write. A function of its own, so that what was measured is let go when it is decided about:
 * in a large cluster that is most of what a cycle holds, and the writes take the longest.
 *
 * @returns `strays`: our VerticalPodAutoscalers whose record is gone
 */
async function look(
  parts: Parts,
  counts: CycleReport,
  lap: () => number,
  now: number,
): Promise<{ looked: Looked[]; strays: JsonObject[] }> {
  const { cluster, log, gates, rules, record, strategy, limits, known = {} } = parts;
  const { steps } = counts;
  // One after the other: nobody waits for them, and whoever waits for an admission needs the other core.
  const records = await cluster.records();
  const objects = await cluster.workloads();
  const revisions = await cluster.revisionDeployments();
  const limitRanges = await cluster.limitRanges();
  const around = await cluster.around();
  const config = await cluster.knativeConfig().catch(ifForbidden);
  const owned = byRecord(records, objects, revisions, record);
  const observed = owned.filter(({ tuning }) => isEnabled(tuning, gates)).flatMap(({ workloads }) => workloads);
  counts.records = owned.length;
  counts.workloads = observed.length;
  steps.list = lap();

  // Memory goes on alone where Knative's configuration may not be read.
  const forbidden = config instanceof ApiError ? reason(config) : undefined;
  const knativeConfig = config instanceof ApiError ? { defaults: {}, autoscaler: {} } : config;
  const measured = await collect(parts, observed, counts, forbidden, now);
  steps.collect = lap();

  const aroundOf = aroundBy(around, parts.ownNamespace);
  const knative = readBounds(knativeConfig);
  const knativeDefaults = readKnativeDefaults(knativeConfig);
  const ranges = Map.groupBy(limitRanges, (one) => textAt(one, 'metadata', 'namespace'));
  const rangesOf = (namespace: string) => ranges.get(namespace) ?? [];
  const vpas = oursByRecord(around.verticalAutoscalers ?? []);
  const looked: Looked[] = [];
  const asked: Asks[] = [];
  for (const entry of owned) {
    const { namespace, name } = entry.record.metadata;
    const surroundings = {
      ...{ ...measured, trouble: counts.trouble, gates, record, knative, rules, strategy, known, now },
      knativeDefaults,
      around: aroundOf(namespace),
      range: rangeOf(rangesOf(namespace), namespace),
      defaults: defaultsOf(rangesOf(namespace), namespace),
      vpas: around.verticalAutoscalers && (vpas.get(`${namespace}/${name}`) ?? []),
    };
    vpas.delete(`${namespace}/${name}`);
    await onItsOwn(entry, counts, log, () => {
      const one = lookAtRecord(entry, surroundings);
      if (one.report.containers.length > 0) counts.figures.push(figuresOf(one));
      counts.errors.push(...errorsOf(one));
      asked.push(one.asks);
      // Of most records nothing is new: to hold all reports until the last would be most of what a cycle holds.
      const decided = isAside(one) && !one.vpas && decide(one, now);
      if (decided && !isToWrite(decided)) count(one.report, decided.status, counts);
      else looked.push(one);
    });
  }
  known.kills?.begin(new Map(asked.flatMap(({ kills }) => (kills ? [kills] : []))), now);
  known.trials?.begin(new Map(asked.flatMap(({ trial }) => (trial ? [trial] : []))), now);
  planAll(looked, headroomOf(around.quotas), limits, now);
  steps.decide = lap();
  return { looked, strays: [...vpas.values()].flat() };
}

type Measured = Collected & { load: Loads | undefined; loadTrouble: string | undefined };

/** What Prometheus says; why it says nothing is in the counts, and for requests alone in `loadTrouble`. */
async function collect(
  parts: Parts,
  observed: Workload[],
  counts: CycleReport,
  forbidden: string | undefined,
  now: number,
): Promise<Measured> {
  const { log } = parts;
  const measured: Measured = { usage: new Map(), troubles: new Map(), load: undefined, loadTrouble: forbidden };
  try {
    Object.assign(measured, await parts.usage(observed, now));
    const { troubles } = measured;
    // One cause has mostly one line, however many it concerns; where it concerns all, nothing was read.
    for (const [error, concerned] of Map.groupBy(troubles.values(), (cause) => cause)) {
      log.warn({ error, workloads: concerned.length }, 'usage could not be read');
      if (troubles.size === observed.length) counts.trouble = error;
    }
  } catch (error) {
    counts.trouble = reason(error);
    log.warn({ error: counts.trouble }, 'usage could not be read');
  }
  try {
    if ((counts.trouble ?? forbidden) === undefined) measured.load = await parts.load?.(observed, now);
  } catch (error) {
    measured.loadTrouble = reason(error);
    log.warn({ error: measured.loadTrouble }, 'requests could not be read');
  }
  return measured;
}

/** A role from before concurrency was tuned is no reason to tune nothing. @throws {ApiError} for anything else */
function ifForbidden(error: unknown): ApiError {
  if (error instanceof ApiError && error.code === 403) return error;
  throw error;
}

/**
 * A few at once, in order; the first that throws ends it, and nothing is begun after it.
 *
 * @param items is emptied on the way, so that what is done can be let go
 */
async function inLanes<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  items.reverse();
  const lane = async () => {
    for (let item = items.pop(); item !== undefined; item = items.pop()) await work(item);
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    items.length = 0;
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

/** The trouble of one record is logged and counted; a lost lease is no trouble of one record. */
async function onItsOwn({ record }: OwnedWorkloads, counts: CycleReport, log: Log, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof LeaseLostError) throw error;
    const code = error instanceof ApiError ? error.code : undefined;
    // Deleted since it was listed: nobody waits for its status.
    if (code === 404) return;
    if (code === 409) counts.conflicts += 1;
    else counts.failed += 1;
    const { namespace, name } = record.metadata;
    log[code === 409 ? 'debug' : 'error']({ namespace, record: name, error: reason(error) }, 'record failed');
  }
}

type Decided = {
  status: MemoryStatus;
  concurrency: ConcurrencyStatus | undefined;
  news: HistoryEntry[];
  knobs: KnobHistoryEntry[];
  previous: MemoryStatus | undefined;
  before: ConcurrencyStatus | undefined;
};

/** What the record's status shall be. */
function decide({ entry: { record }, previous, report }: Looked, now: number): Decided {
  const news = newsOf(report, previous, now);
  const status = memoryStatus(report, record.metadata.name, previous, news, now);
  const before = previousConcurrency(record.status);
  const knobs = knobNews(report, before, now);
  const concurrency = concurrencyStatus(report, before, knobs, status.rollouts ?? [], now);
  return { status, concurrency, news, knobs, previous, before };
}

function isToWrite({ status, concurrency, previous, before }: Decided): boolean {
  return isNews(status, previous) || isNewsOfKnobs(concurrency, before);
}

function count({ containers }: Report, { phase, rollouts = [] }: MemoryStatus, counts: CycleReport): void {
  counts.phases[phase] = (counts.phases[phase] ?? 0) + 1;
  counts.containers += containers.length;
  for (const rollout of rollouts) {
    if (isUnderWay(rollout)) counts.rollouts.underWay += 1;
    const { waiting } = counts.rollouts;
    if (rollout.reason && rollout.state === 'Waiting') waiting[rollout.reason] = (waiting[rollout.reason] ?? 0) + 1;
  }
}

async function write(looked: Looked, counts: CycleReport, { cluster, log }: Parts, now: number): Promise<void> {
  const { report, vpas } = looked;
  const { record } = looked.entry;
  const { namespace, name } = record.metadata;
  const decided = decide(looked, now);
  const { concurrency, news, knobs, previous } = decided;
  const refusal = vpas && (await sayToVpa(vpas.wanted(decided.status), vpas.standing, cluster));
  if (refusal !== undefined) decided.status = { ...decided.status, phase: 'Degraded', message: refusal };
  const { status } = decided;
  count(report, status, counts);
  if (!isToWrite(decided)) return;
  await cluster.writeStatus(record, status, concurrency);
  counts.written += 1;

  for (const entry of [...news, ...knobs]) {
    counts[entry.change] += 1;
    log.info({ namespace, record: name, ...entry }, entry.change);
  }
  const failures = rolloutEvents(status.rollouts ?? [], previous?.rollouts);
  counts.rollouts.failed += failures.length;
  const troubles = troubleEvents(status.containers, previous?.containers);
  for (const event of [...eventsOf(news), ...knobEvents(knobs), ...failures, ...troubles]) {
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
