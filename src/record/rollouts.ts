/**
 * A workload's entry in the record's `rollouts`, from one look at the cluster to the next. The entry is written before
 * anything is asked for, so that whoever comes after a crash finds what was meant and finishes it.
 */
import type { RolloutStatus } from '../domain/record.ts';
import { isHold, WAITS, type Wait } from '../domain/waits.ts';
import { moment } from './read-back.ts';

/** The same values are asked for so often; then it stops, and says so. */
export const MOST_TRIES = 3;

/** How the workload is, beside what is asked of it. */
export type Progress = {
  /** a rollout is going on: not every pod is of the newest template and available */
  rolling: boolean;
  /** a rollout that its controller has given up on, or pods that stopped being available, in the controller's words */
  unavailable?: string;
};

/**
 * What became of the last request, before anything new is decided.
 *
 * @param pending whether values that it was about do not run
 * @param now milliseconds since the epoch
 */
export function followRollout(
  { workload, state, id, at, tries, ...rest }: RolloutStatus,
  pending: boolean,
  { rolling, unavailable }: Progress,
  now: number,
): RolloutStatus {
  const kept = { workload, ...(id !== undefined && { id }), ...(at !== undefined && { at }) };
  if (pending) return { ...kept, state, ...rest, ...(tries !== undefined && { tries }) };
  const waited = state === 'Waiting' && !isHold(rest.reason);
  const came = state === 'Requested' || waited || (state === 'Failed' && tries !== undefined);
  // Values that came without a request of ours came with somebody's change of the template.
  const since = came ? (state === 'Requested' && id !== undefined ? id : new Date(now).toISOString()) : at;
  const next = { ...kept, ...(since !== undefined && { at: since }) };
  if (unavailable !== undefined && state !== 'Done') return { ...next, state: 'Failed', message: unavailable };
  return { ...next, state: rolling && state !== 'Done' ? 'Rolling' : 'Done' };
}

/** The workload waits, for this reason. @param detail what a person should know beside it */
export function waits(entry: RolloutStatus, reason: Wait, detail = ''): RolloutStatus {
  const { message: _, ...kept } = entry;
  return { ...kept, state: 'Waiting', reason, message: `${WAITS[reason]}${detail && `: ${detail}`}` };
}

/**
 * The workload is asked for a rollout, unless that has been in vain too often.
 *
 * @param decidedAt when the youngest of the values was decided (milliseconds since the epoch): a new decision starts anew
 * @param arrived whether the workload carries the last request
 * @param now milliseconds since the epoch; its text is what the workload's annotation will say
 */
export function asks(entry: RolloutStatus, decidedAt: number, arrived: boolean, now: number): RolloutStatus {
  const { workload, id, at } = entry;
  const tries = id !== undefined && moment(id) >= decidedAt ? (entry.tries ?? 0) : 0;
  const kept = { workload, ...(at !== undefined && { at }) };
  if (id !== undefined && tries >= MOST_TRIES) {
    return { ...kept, state: 'Failed', id, tries, message: inVain(workload, arrived) };
  }
  return { ...kept, state: 'Requested', id: new Date(now).toISOString(), tries: tries + 1 };
}

/** Whether these values have been asked for in vain. */
export function gaveUp({ state, id, tries = 0 }: RolloutStatus, decidedAt: number): boolean {
  return state === 'Failed' && tries >= MOST_TRIES && moment(id) >= decidedAt;
}

function inVain(workload: string, arrived: boolean): string {
  const check = arrived
    ? 'its memory did not change: check that the API server calls the webhook (Service, endpoints, certificate, caBundle, ' +
      'selectors; with failurePolicy Ignore a call that fails is only counted, in apiserver_admission_webhook_fail_open_count)'
    : "the request did not reach it: check the tuner's log, and that its role may patch the workload";
  return `${workload} was asked ${MOST_TRIES} times to roll out, and ${check}; then restart its rollout once, or wait for the next decision.`;
}
