/**
 * How a container's memory follows the requests in flight: memory = base + slope × requests, after Theil and Sen: the
 * median of the slopes between points that are far enough apart to show one, so that many of them may be wrong (a
 * restart, a cache that fills) without bending the line.
 */
import type { Fit } from '../domain/concurrency.ts';
import type { Point } from '../domain/usage.ts';

/** Fewer points than this say nothing … */
const FEWEST = 12;
/** … and more say no more, while the slopes between them grow with their square. */
const MOST = 100;
/** The requests have to differ by so much, in the middle four fifths of the points, and by so much of their largest. */
const LEAST_SPREAD = 1;
const LEAST_SPREAD_RATIO = 0.25;
/** A line that explains less than this is none. */
const LEAST_QUALITY = 0.5;

/** @returns the line, as good or bad as it is; `undefined` when there are too few points for one */
export function fitMemory(history: readonly Point[]): Fit | undefined {
  if (history.length < FEWEST) return undefined;
  const points = thinned(history);
  const sorted = Float64Array.from(points, ({ requests }) => requests).sort();
  const tenth = Math.floor(points.length / 10);
  const apart = ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / 4;
  // Plain loops over plain numbers: there is a slope for each pair, of each container, in each look.
  const slopes = new Float64Array((points.length * (points.length - 1)) / 2);
  let found = 0;
  for (const [i, a] of points.entries()) {
    for (let j = i + 1; j < points.length; j += 1) {
      const b = points[j] as Point;
      const between = b.requests - a.requests;
      if (Math.abs(between) < apart || between === 0) continue;
      slopes[found] = (b.bytes - a.bytes) / between;
      found += 1;
    }
  }
  if (found === 0) return undefined;
  const slope = median(slopes.subarray(0, found));
  const base = median(Float64Array.from(points, ({ requests, bytes }) => bytes - slope * requests));
  const middle = median(Float64Array.from(points, ({ bytes }) => bytes));
  const differs = total(points.map(({ bytes }) => Math.abs(bytes - middle)));
  const left = total(points.map(({ requests, bytes }) => Math.abs(bytes - base - slope * requests)));
  return {
    base: Math.round(base),
    slope: Math.round(slope),
    quality: differs === 0 ? 0 : hundredths(Math.max(0, 1 - left / differs)),
    samples: points.length,
    from: hundredths(sorted[tenth] ?? 0),
    to: hundredths(sorted[points.length - 1 - tenth] ?? 0),
  };
}

/** @returns why the line decides nothing, or `undefined` when it may */
export function distrust(fit: Fit | undefined): string | undefined {
  if (!fit) return 'too few moments with both memory and requests';
  const spread = fit.to - fit.from;
  if (spread < Math.max(LEAST_SPREAD, fit.to * LEAST_SPREAD_RATIO)) {
    return `requests in flight differ too little (${fit.from} to ${fit.to})`;
  }
  if (fit.slope <= 0) return 'memory does not grow with requests';
  if (fit.quality < LEAST_QUALITY) return `requests explain only ${Math.round(fit.quality * 100)}% of the differences`;
  return undefined;
}

/** How many requests in flight fit into so many bytes; less than 0 where not even the base does. */
export function carries({ base, slope }: Fit, bytes: number): number {
  return (bytes - base) / slope;
}

/** As many as are worth it, over the whole history. */
function thinned(points: readonly Point[]): readonly Point[] {
  const taken = (count: number) => Math.floor((count * MOST) / points.length);
  return points.length <= MOST ? points : points.filter((_, index) => taken(index + 1) > taken(index));
}

/** Sorts them. */
function median(values: Float64Array): number {
  const sorted = values.sort();
  const half = Math.floor(sorted.length / 2);
  const high = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? high : ((sorted[half - 1] ?? 0) + high) / 2;
}

export function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

function total(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
