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
  const [short, long] = [shortSeconds, longSeconds].map((length) =>
    windowOf(pods.map((series) => within(series, now - length, now))),
  );
  if (short) usage.short = short;
  if (long) usage.long = long;
  return usage;
}

/** A range selector is open at its start and closed at its end (Prometheus 3). */
function within(series: Series, start: number, end: number): Float64Array {
  const inside = series.filter(({ seconds }) => seconds > start && seconds <= end);
  return Float64Array.from(inside, ({ bytes }) => bytes);
}

/**
 * One window's statistics.
 *
 * @param pods the samples (bytes) of each pod within the window, in any order; sorted afterwards
 * @returns `undefined` when there are none
 */
export function windowOf(pods: Float64Array[]): WindowUsage | undefined {
  const usage: WindowUsage = { avg: 0, p95: 0, max: 0, samples: 0 };
  let [sum, count] = [0, 0];
  for (const samples of pods) {
    if (samples.length === 0) continue;
    // A Float64Array sorts by value, and fast: the replay of a long history does little else.
    samples.sort();
    for (const bytes of samples) sum += bytes;
    count += samples.length;
    usage.p95 = Math.max(usage.p95, quantile(0.95, samples));
    usage.max = Math.max(usage.max, samples.at(-1) ?? 0);
    usage.samples = Math.max(usage.samples, samples.length);
  }
  return count === 0 ? undefined : { ...usage, avg: sum / count };
}

/** As `quantile_over_time`: linear between the two nearest ranks. */
function quantile(q: number, sorted: Float64Array): number {
  const rank = q * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(rank)] ?? 0, sorted[Math.ceil(rank)] ?? 0];
  return low + (high - low) * (rank - Math.floor(rank));
}
