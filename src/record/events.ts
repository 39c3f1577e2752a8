/** What `kubectl describe` shows as Events of a record: one for each new recommendation and each applied change. */
import type { HistoryEntry } from '../domain/record.ts';

export type RecordEvent = { type: 'Normal'; reason: 'Recommended' | 'Applied'; message: string };

/** The API server refuses longer notes (`events.k8s.io` validation: 1 kB). */
const LONGEST_NOTE = 1000;

/** @param news history entries that this cycle added */
export function eventsOf(news: readonly HistoryEntry[]): RecordEvent[] {
  return news.map(({ workload, container, change, from, to, rationale }) => {
    const values = (pair: typeof from) => `${pair?.request ?? '-'}/${pair?.limit ?? '-'}`;
    const message = `${workload} container ${container}: ${values(from)} -> ${values(to)} (${rationale})`;
    return {
      type: 'Normal',
      reason: change === 'applied' ? 'Applied' : 'Recommended',
      message: message.slice(0, LONGEST_NOTE),
    };
  });
}
