/** What a rollout of a workload would change, by admission's own word, and what the plan has to know of it. */
import { brings } from '../admit/concurrency.ts';
import { type Decision, decide } from '../admit/decide.ts';
import type { RecordKind } from '../admit/scope.ts';
import { asItRuns } from '../domain/concurrency.ts';
import { asObject, at, type JsonObject } from '../domain/json.ts';
import type { KnativeBounds } from '../domain/knative-rules.ts';
import type { Gates } from '../domain/ladder.ts';
import { OUTCOMES } from '../domain/reasons.ts';
import type { RolloutStatus, Tuning } from '../domain/record.ts';
import type { Wait } from '../domain/waits.ts';
import { FIELDS, type Pair, ROLLOUT_ANNOTATION, sameMemory } from '../domain/workload.ts';
import { isSame } from '../recommend/guards.ts';
import type { Pending } from '../recommend/rollouts.ts';
import { cooldownOf } from '../recommend/step.ts';
import { moment } from '../record/read-back.ts';
import type { ContainerFinding, ServiceFound } from '../record/report.ts';
import { isRolloutPaused } from './progress.ts';
import { currentMemory, type Workload } from './workloads.ts';

/** A container whose memory a rollout would change; bytes. */
export type Change = { name: string; from: Pair<number>; to: Pair<number> };

/** What a rollout would change, and why it would not change what was applied. */
export type Outcome = {
  changes: Change[];
  /** it would bring applied concurrency */
  scales?: true;
  refused?: string;
};

/** What a review is judged by, as far as the worker knows it. */
export type Judge = { gates: Gates; record: RecordKind; knative: KnativeBounds };

/**
 * The answer that admission would give to a rollout request: the same function, on the object as it was listed. So an
 * override, a side that does not fit or a named revision count here exactly as they will there.
 *
 * @param tuning the record, with the applied values that are about to be written
 */
export function outcomeOf(
  workload: Workload,
  tuning: Tuning,
  found: readonly ContainerFinding[],
  service: ServiceFound | undefined,
  judge: Judge,
): Outcome {
  const decision = askAdmission(workload, tuning, judge);
  const changes = decision.containers
    .filter(({ before, after }) => !sameMemory(before, after))
    .map(({ container, before, after }) => ({
      name: container.name,
      from: currentMemory(before),
      to: currentMemory(after),
    }));
  const { concurrency } = decision;
  const speaks = decision.containers.some(({ rungs }) => rungs.includes('applied'));
  const scales = concurrency !== undefined && brings(concurrency);
  if ((changes.length > 0 && speaks) || scales) return { changes, ...(scales && { scales }) };
  const missing =
    found.some(({ finding: { applied }, current }) => applied && !isSame(applied, current)) ||
    (service?.finding.applied && !asItRuns(service.finding.applied, service.look.current));
  const parts = [...decision.containers, ...(concurrency ? [concurrency] : [])];
  const reasons = [decision.reason, ...parts.map(({ reason }) => reason)];
  const refusal = reasons.find((reason) => OUTCOMES[reason].result === 'skipped');
  return { changes: [], ...(missing && refusal && { refused: `${refusal}, ${OUTCOMES[refusal].means}` }) };
}

function askAdmission({ namespace, object: oldObject }: Workload, tuning: Tuning, judge: Judge): Decision {
  const account = 'the worker';
  const annotations = { ...asObject(at(oldObject, 'metadata', 'annotations')), [ROLLOUT_ANNOTATION]: account };
  const object = { ...oldObject, metadata: { ...asObject(oldObject.metadata), annotations } };
  const request = { uid: '', operation: 'UPDATE', subResource: '', username: account, namespace, object, oldObject };
  return decide(request, { ...judge, tuning, storeReady: true, namespacePaused: false, ownAccount: account });
}

/** @param workload what it is of; its progress is that of the look */
export function pendingOf(
  workload: Workload,
  { changes, scales, refused }: Outcome,
  found: readonly ContainerFinding[],
  service: ServiceFound | undefined,
  entry: RolloutStatus,
  {
    rolling,
    strategy,
    cooldownSeconds,
    killedAt,
    now,
  }: {
    rolling: boolean;
    /** why the strategy asks for nothing */
    strategy: Wait | undefined;
    cooldownSeconds: number;
    /** the limit (bytes) at which a container was OOM killed lately */
    killedAt(container: string): number | undefined;
    now: number;
  },
): Pending {
  const findings = new Map(found.map(({ name, finding }) => [name, finding]));
  const killed = ({ name, from, to }: Change) =>
    from.limit !== undefined &&
    (killedAt(name) ?? 0) >= from.limit &&
    (to.limit ?? Number.POSITIVE_INFINITY) > from.limit;
  const lowers = ({ from, to }: Change) => FIELDS.some((field) => (to[field] ?? 0) < (from[field] ?? 0));
  const scaled = scales ? service : undefined;
  const decisions = [...changes.map(({ name }) => findings.get(name)?.applied), scaled?.finding.applied];
  const cooldowns = decisions.map((applied) => cooldownOf(applied ?? NOT_APPLIED, { cooldownSeconds }));
  const [from, to] = [scaled?.look.current.target ?? 0, scaled?.finding.applied?.target ?? 0];
  const last = entry.at === undefined ? Number.NEGATIVE_INFINITY : Math.min(moment(entry.at), now);
  const takenBack = decisions.some((applied) => applied?.takenBack);
  return {
    key: keyOf(workload),
    namespace: workload.namespace,
    gain: Math.abs(sum(changes, 'request')) * workload.replicas,
    urgent: takenBack || changes.some(killed) || (to < from && scaled?.look.killed === true),
    ...(strategy ? { never: strategy } : refused !== undefined && { never: 'not-injectable' as const }),
    paused: isRolloutPaused(workload.object),
    rolling,
    underWay: isUnderWay(entry),
    coolsUntil: last + Math.max(0, ...cooldowns) * 1000,
    doubtful:
      changes.some((change) => findings.get(change.name)?.doubt !== undefined && lowers(change)) ||
      (to > from && scaled?.finding.doubt !== undefined),
    // Pods of the values of before are what the quota has room for.
    needs: takenBack ? {} : needsOf(workload, changes, to > 0 ? Math.max(1, from / to) : 1),
  };
}

const NOT_APPLIED = { request: 0, limit: 0, at: 0 };

/** Unique in the cluster. */
export function keyOf({ namespace, ref }: { namespace: string; ref: string }): string {
  return `${namespace}/${ref}`;
}

/** Whether the workload rolls out on our request, or is about to. */
export function isUnderWay({ state }: RolloutStatus): boolean {
  return state === 'Requested' || state === 'Rolling';
}

/**
 * The memory that a rollout needs beside what is used: what all pods grow by, and the pods that run beside the old ones.
 * One suffices a Deployment, and none where the strategy lets a pod go first; a Knative Service runs both Revisions.
 *
 * @param pods what its pods become, as a multiple of what they are: with a lower target they are more
 */
function needsOf({ object, replicas, containers, ref }: Workload, changes: Change[], pods: number): Pair<number> {
  const knative = ref.startsWith('KnativeService/');
  const extra = knative ? Math.ceil(replicas * pods) : Math.min(replicas, surges(object, replicas) ? 1 : 0);
  const needs: Pair<number> = {};
  for (const field of FIELDS) {
    const pod = containers.reduce((total, { current }) => total + (current[field] ?? 0), 0) + sum(changes, field);
    needs[field] = (knative ? 0 : Math.max(0, sum(changes, field) * replicas)) + pod * extra;
  }
  return needs;
}

/** Whether a new pod has to run before an old one may go (`maxUnavailable`: 25 %, rounded down). */
function surges(object: JsonObject, replicas: number): boolean {
  if (at(object, 'spec', 'strategy', 'type') === 'Recreate') return false;
  const most = at(object, 'spec', 'strategy', 'rollingUpdate', 'maxUnavailable') ?? '25%';
  const pods = typeof most === 'string' ? Math.floor((Number.parseInt(most, 10) / 100) * replicas) : Number(most);
  return !(pods >= 1);
}

function sum(changes: Change[], field: 'request' | 'limit'): number {
  return changes.reduce((total, { from, to }) => total + (to[field] ?? 0) - (from[field] ?? 0), 0);
}
