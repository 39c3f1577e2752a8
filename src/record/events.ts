/** What `kubectl describe` shows as Events of a record: one for each change, and for each rollout that failed. */
import type { KnobHistoryEntry } from '../domain/concurrency.ts';
import type { Change, ContainerStatus, HistoryEntry, RolloutStatus } from '../domain/record.ts';
import { shownKnobs } from '../recommend/service.ts';

export type RecordEvent = {
  type: 'Normal' | 'Warning';
  reason: 'Recommended' | 'Applied' | 'TakenBack' | 'RolloutFailed' | 'AtCeiling';
  message: string;
};

const EVENTS: Record<Change, Pick<RecordEvent, 'type' | 'reason'>> = {
  recommended: { type: 'Normal', reason: 'Recommended' },
  applied: { type: 'Normal', reason: 'Applied' },
  'taken-back': { type: 'Warning', reason: 'TakenBack' },
};

/** The API server refuses longer notes (`events.k8s.io` validation: 1 kB). */
const LONGEST_NOTE = 1000;

/** @param news history entries that this cycle added */
export function eventsOf(news: readonly HistoryEntry[]): RecordEvent[] {
  return news.map(({ workload, container, change, from, to, rationale }) => {
    const values = (pair: typeof from) => `${pair?.request ?? '-'}/${pair?.limit ?? '-'}`;
    const message = `${workload} container ${container}: ${values(from)} -> ${values(to)} (${rationale})`;
    return { ...EVENTS[change], message: message.slice(0, LONGEST_NOTE) };
  });
}

/** The same of Knative Services. */
export function knobEvents(news: readonly KnobHistoryEntry[]): RecordEvent[] {
  return news.map(({ workload, change, from = {}, to, rationale }) => {
    const message = `${workload}: ${shownKnobs(from)} -> ${shownKnobs(to)} (${rationale})`;
    return { ...EVENTS[change], message: message.slice(0, LONGEST_NOTE) };
  });
}

/** What only a person can change. @param before the containers of the last status: it is said once, not at every kill */
export function troubleEvents(
  containers: readonly ContainerStatus[],
  before: readonly ContainerStatus[] = [],
): RecordEvent[] {
  const known = ({ workload, name }: ContainerStatus) =>
    before.find((one) => one.workload === workload && one.name === name)?.trouble !== undefined;
  return containers
    .filter((container) => container.trouble !== undefined && !known(container))
    .map(({ workload, name, trouble }) => ({
      type: 'Warning',
      reason: 'AtCeiling',
      message: `${workload} container ${name}: ${trouble}`.slice(0, LONGEST_NOTE),
    }));
}

/** @param before the entries of the last status: a failure is said once */
export function rolloutEvents(
  rollouts: readonly RolloutStatus[],
  before: readonly RolloutStatus[] = [],
): RecordEvent[] {
  return rollouts
    .filter(({ workload, state }) => {
      return state === 'Failed' && before.find((one) => one.workload === workload)?.state !== 'Failed';
    })
    .map(({ workload, message }) => ({
      type: 'Warning',
      reason: 'RolloutFailed',
      message: `${workload}: ${message}`.slice(0, LONGEST_NOTE),
    }));
}
