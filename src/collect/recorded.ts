/** Recorded samples → usage: the same statistics as Prometheus computes, for the demo and for judging rules offline. */
import type { Usage, WindowUsage } from '../domain/usage.ts';

/** One pod's samples of the working set, oldest first. */
export type Series = { seconds: number; bytes: number }[];

/**
 * @param pods the container's samples in each pod of the workload
 * @param now end of both windows, in the samples' own seconds
 */
export function usageOfSamples(pods: Series[], now: number, shortSeconds: number, longSeconds: number): Usage {
  const usage: Usage = { partial: false };
  const [short, long] = [shortSeconds, longSeconds].map((length) => windowOf(pods, now - length, now));
  if (short) usage.short = short;
  if (long) usage.long = long;
  return usage;
}

/** A range selector is open at its start and closed at its end (Prometheus 3). */
function windowOf(pods: Series[], start: number, end: number): WindowUsage | undefined {
  const within = pods.map((series) =>
    series.filter(({ seconds }) => seconds > start && seconds <= end).map(({ bytes }) => bytes),
  );
  const live = within.filter((samples) => samples.length > 0);
  if (live.length === 0) return undefined;
  const all = live.flat();
  return {
    avg: all.reduce((sum, bytes) => sum + bytes, 0) / all.length,
    p95: Math.max(...live.map((samples) => quantile(0.95, samples))),
    max: all.reduce((most, bytes) => Math.max(most, bytes)),
    samples: Math.max(...live.map((samples) => samples.length)),
  };
}

/** As `quantile_over_time`: linear between the two nearest ranks. */
function quantile(q: number, samples: number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(rank)] ?? 0, sorted[Math.ceil(rank)] ?? 0];
  return low + (high - low) * (rank - Math.floor(rank));
}
