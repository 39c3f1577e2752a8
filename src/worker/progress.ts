/** How far a workload's rollout has come, as its controller says (the rules of `kubectl rollout status`). */
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { kindOf } from '../domain/workload.ts';
import { moment } from '../record/read-back.ts';
import type { Progress } from '../record/rollouts.ts';

/** @param since when values of ours came to run (milliseconds): what was broken before is not their doing */
export function progressOf(object: JsonObject, since: number | undefined): Progress {
  const broke = kindOf(object) === 'KnativeService' ? serviceBroke(object) : deploymentBroke(object);
  const ours = broke && since !== undefined && broke.at >= Math.floor(since / 1000) * 1000;
  return {
    rolling: kindOf(object) === 'KnativeService' ? serviceRolls(object) : deploymentRolls(object),
    ...(ours && { unavailable: broke.says }),
  };
}

/** Whether the Deployment asks its controller to leave its template alone for now. */
export function isRolloutPaused(object: JsonObject): boolean {
  return kindOf(object) === 'Deployment' && at(object, 'spec', 'paused') === true;
}

function deploymentRolls(object: JsonObject): boolean {
  const count = (key: string) => Number(at(object, 'status', key) ?? 0);
  const wanted = Number(at(object, 'spec', 'replicas') ?? 1);
  return (
    !isObserved(object) ||
    count('updatedReplicas') < wanted ||
    count('replicas') > count('updatedReplicas') ||
    count('availableReplicas') < count('updatedReplicas')
  );
}

/**
 * `Available` is False with fewer pods than the strategy promises to keep: Recreate promises none while it rolls, so only
 * the deadline tells there.
 */
function deploymentBroke(object: JsonObject): Broke | undefined {
  if (!isObserved(object)) return undefined;
  const deadline = conditionOf(object, 'Progressing');
  if (deadline?.status === 'False') return broke(deadline);
  const recreates = at(object, 'spec', 'strategy', 'type') === 'Recreate';
  const available = conditionOf(object, 'Available');
  return available?.status === 'False' && !(recreates && deploymentRolls(object)) ? broke(available) : undefined;
}

function serviceRolls(object: JsonObject): boolean {
  const revision = (which: string) => textAt(object, 'status', `latest${which}RevisionName`);
  return !isObserved(object) || revision('Created') !== revision('Ready');
}

function serviceBroke(object: JsonObject): Broke | undefined {
  if (!isObserved(object)) return undefined;
  const configurations = conditionOf(object, 'ConfigurationsReady');
  return configurations?.status === 'False' ? broke(configurations) : undefined;
}

type Condition = { status: string; reason: string; message: string; at: number };
type Broke = { says: string; at: number };

function isObserved(object: JsonObject): boolean {
  return Number(at(object, 'status', 'observedGeneration') ?? 0) >= Number(at(object, 'metadata', 'generation') ?? 0);
}

function conditionOf(object: JsonObject, type: string): Condition | undefined {
  const conditions = at(object, 'status', 'conditions');
  const found = (Array.isArray(conditions) ? conditions : []).find((one) => asObject(one)?.type === type);
  if (!found) return undefined;
  const changed = moment(at(found, 'lastTransitionTime'));
  const [status, reason, message] = [textAt(found, 'status'), textAt(found, 'reason'), textAt(found, 'message')];
  return { status, reason, message, at: changed };
}

function broke({ reason, message, at }: Condition): Broke {
  return { says: `not available (${reason}: ${message})`, at };
}
