/** Whether a new status is worth a write: etcd, every watcher and a person's patience pay for each one. */
import { type ConcurrencyStatus, readKnobs } from '../domain/concurrency.ts';
import { at } from '../domain/json.ts';
import { readBytes } from '../domain/quantity.ts';
import type { MemoryStatus } from '../domain/record.ts';
import { findService } from './concurrency-read-back.ts';
import { findContainer, moment } from './read-back.ts';

/** A value moving by less than this between two looks is no news to a reader. */
const NEWS_RATIO = 0.1;

/** Status is refreshed at least this often, so that a reader can see that the worker lives. */
const REFRESH_MS = 3_600_000;

/** Whether a person who reads the record would learn something from the new status. */
export function isNews(next: MemoryStatus, previous: MemoryStatus | undefined): boolean {
  if (!previous) return true;
  const age = moment(next.observed_at) - moment(previous.observed_at);
  if (Number.isNaN(age) || Math.abs(age) >= REFRESH_MS) return true;
  return JSON.stringify(headline(next)) !== JSON.stringify(headline(previous)) || observedMoved(next, previous);
}

/** The same of its concurrency. */
export function isNewsOfKnobs(next: ConcurrencyStatus | undefined, previous: ConcurrencyStatus | undefined): boolean {
  if (!next || !previous) return next !== previous;
  return JSON.stringify(knobHeadline(next)) !== JSON.stringify(knobHeadline(previous)) || loadMoved(next, previous);
}

function knobHeadline({ phase, message, target, services, history }: ConcurrencyStatus) {
  const decided = services.map(
    ({ workload, source, current, override, recommended, applied, observed, doubt, fit }) => [
      [workload, source, observed !== undefined, doubt !== undefined, fit !== undefined],
      [current, override, recommended, applied].map((knobs) => knobs && [readKnobs(knobs), at(knobs, 'at')]),
    ],
  );
  return [phase, message, target, decided, history.map(({ outcome }) => outcome)];
}

function loadMoved(next: ConcurrencyStatus, previous: ConcurrencyStatus): boolean {
  return next.services.some(({ workload, observed }) => {
    const [to, from] = [observed, findService(previous, workload)?.observed].map((one) => one?.concurrency_p95);
    return to !== undefined && from !== undefined && Math.abs(to - from) > Math.max(from * NEWS_RATIO, 1);
  });
}

function headline({
  phase,
  message,
  workloads,
  request,
  limit,
  containers,
  rollouts = [],
  outcome,
  backtest,
}: MemoryStatus) {
  const { since, before, after } = outcome ?? {};
  // What drifts with usage and time is refreshed with the rest.
  const changed = [before, after].map((side) => [side?.request, side?.limit, side?.kills]);
  const decided = containers.map(
    ({ workload, name, current, manifest, override, recommended, applied, source, observed, doubt, trouble }) => [
      [workload, name, source, observed !== undefined, doubt !== undefined, trouble],
      [current, manifest, override, recommended, applied].map(
        (values) => values && [values.request, values.limit, at(values, 'at'), at(values, 'unneeded_since')],
      ),
    ],
  );
  const asked = rollouts.map(({ workload, state, reason, message, id, at }) => [
    workload,
    state,
    reason,
    message,
    id,
    at,
  ]);
  return [phase, message, workloads, request, limit, decided, asked, since, changed, backtest?.at];
}

function observedMoved(next: MemoryStatus, previous: MemoryStatus): boolean {
  return next.containers.some(({ workload, name, observed }) => {
    const before = findContainer(previous, workload, name)?.observed;
    return (['ws_avg', 'ws_p95', 'ws_max'] as const).some((key) => {
      const [to, from] = [readBytes(observed?.[key]), readBytes(before?.[key])];
      return to !== undefined && from !== undefined && Math.abs(to - from) > from * NEWS_RATIO;
    });
  });
}
