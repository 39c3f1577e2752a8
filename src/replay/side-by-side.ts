/** Every container of a history under every policy, at the same samples: as they come, in whatever order of containers. */
import type { Pair } from '../domain/workload.ts';
import { createReplay, type Policy, type Replay, type Sample, type Step, type Tally } from './replay.ts';

/** A sample with whose it is. */
export type Row = Sample & {
  container: string;
  /** what the container starts with (bytes), where the history tells; only its first row is asked */
  manifest?: Pair<number>;
};

/** One container: the span of its samples (milliseconds since the epoch), and a tally per policy, in their order. */
export type Result = { from: number; to: number; manifest: Pair<number>; tallies: Tally[] };

export type SideBySide = {
  take(row: Row): void;
  /** by container */
  results(): Map<string, Result>;
  counts: { samples: number; containers: number /** rows that were not newer than the one before */; late: number };
};

/**
 * @param start what a container starts with where its history does not tell
 * @param told hears of each step of each policy; for drawings
 */
export function sideBySide(
  policies: Policy[],
  start: Pair<number>,
  told?: (container: string, policy: number, step: Step) => void,
): SideBySide {
  type Entry = { from: number; to: number; manifest: Pair<number>; replays: Replay[] };
  const entries = new Map<string, Entry>();
  const counts = { samples: 0, containers: 0, late: 0 };
  return {
    counts,
    take(row) {
      let entry = entries.get(row.container);
      if (!entry) {
        const manifest = row.manifest ?? start;
        const replays = policies.map((policy) => createReplay(policy, manifest));
        entry = { from: row.at, to: Number.NEGATIVE_INFINITY, manifest, replays };
        entries.set(row.container, entry);
        counts.containers += 1;
      }
      if (row.at <= entry.to) {
        counts.late += 1;
        return;
      }
      entry.to = row.at;
      counts.samples += 1;
      for (let policy = 0; policy < entry.replays.length; policy += 1) {
        const step = entry.replays[policy]?.step(row);
        if (step) told?.(row.container, policy, step);
      }
    },
    results: () =>
      new Map(
        [...entries].map(([container, { replays, ...entry }]) => [
          container,
          { ...entry, tallies: replays.map(({ tally }) => tally) },
        ]),
      ),
  };
}
