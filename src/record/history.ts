/** What came of each change in the audit trail. */
import type { HistoryEntry, RolloutStatus } from '../domain/record.ts';
import { moment } from './read-back.ts';

/** A change of one container, or of one Knative Service. */
type Entry = Pick<HistoryEntry, 'at' | 'workload' | 'change' | 'outcome'> & { container?: string };

/**
 * @param history newest first, as it was
 * @param news what this cycle adds to it
 * @param rollouts how far each workload is now
 * @param now milliseconds since the epoch
 */
export function withOutcomes<T extends Entry>(
  history: readonly T[],
  news: readonly T[],
  rollouts: readonly RolloutStatus[],
  now: number,
): T[] {
  const at = new Date(now).toISOString();
  const followed = new Set<string>();
  return history.map((entry) => {
    if (entry.change === 'recommended') return entry;
    const key = `${entry.workload}/${entry.container}`;
    const newest = !followed.has(key);
    followed.add(key);
    if (!newest) return entry;
    const next = news.find((one) => one.change !== 'recommended' && `${one.workload}/${one.container}` === key);
    const rollout = rollouts.find(({ workload }) => workload === entry.workload);
    const outcome = outcomeOf(entry, next, rollout, at);
    return outcome === undefined ? entry : { ...entry, outcome };
  });
}

function outcomeOf(
  { at: decided, outcome }: Entry,
  next: Entry | undefined,
  rollout: RolloutStatus | undefined,
  at: string,
): string | undefined {
  if (next?.change === 'taken-back') return [outcome, `taken back at ${at}`].filter(Boolean).join(', ');
  const failed = outcome?.startsWith('failed');
  if (outcome !== undefined && !failed) return undefined;
  if (next) return failed ? undefined : `replaced at ${at}`;
  if (rollout?.state === 'Failed') return failed ? undefined : `failed at ${at}`;
  const runs = rollout?.state === 'Done' && moment(rollout.at) >= moment(decided);
  return runs ? [outcome, `rolled out by ${at}`].filter(Boolean).join(', ') : undefined;
}
