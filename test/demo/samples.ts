/**
 * Six hours of memory as Prometheus would have scraped it, generated: a day's hump, a garbage collector's saw teeth,
 * bursts that die away, noise. The same seed gives the same samples on every machine.
 */
import type { Series } from '../../src/collect/recorded.ts';
import { Mi } from '../../src/domain/quantity.ts';

/** How one container uses memory. Sizes in MiB. */
export type Shape = {
  pods: number;
  /** what it holds when nothing happens */
  idle: number;
  /** what the day's traffic adds at its peak */
  day: number;
  /** height of the collector's saw teeth */
  teeth: number;
  /** how much a burst adds at most */
  burst: number;
};

export const SCRAPE_SECONDS = 30;

/** The day's traffic peaks here, in seconds since midnight UTC, and has faded two hours later. */
const PEAK_SECONDS = 12 * 3600;
const PEAK_WIDTH_SECONDS = 3600;
const TOOTH_SECONDS = 900;
const BURST_CHANCE = 0.008;
/** What is left of a burst at the next scrape. */
const BURST_DECAY = 0.93;

/**
 * @param key seeds the generator, e.g. `Deployment/orders/function`
 * @param from first second, and `to` the last one, of samples that are {@link SCRAPE_SECONDS} apart (Unix time)
 */
export function recordSamples(key: string, shape: Shape, from: number, to: number): Series[] {
  return Array.from({ length: shape.pods }, (_, pod) => recordPod(random(`${key}/${pod}`), shape, from, to));
}

function recordPod(next: () => number, shape: Shape, from: number, to: number): Series {
  const series: Series = [];
  const share = 0.85 + 0.3 * next();
  const phase = TOOTH_SECONDS * next();
  let burst = 0;
  for (let seconds = from; seconds <= to; seconds += SCRAPE_SECONDS) {
    const fromPeak = ((seconds % 86_400) - PEAK_SECONDS) / PEAK_WIDTH_SECONDS;
    const traffic = Math.exp(-(fromPeak ** 2) / 2);
    if (next() < BURST_CHANCE) burst = Math.max(burst, shape.burst * (0.4 + 0.6 * next()));
    burst *= BURST_DECAY;
    const tooth = (((seconds + phase) % TOOTH_SECONDS) / TOOTH_SECONDS) * shape.teeth * (0.4 + 0.6 * traffic);
    const noise = (next() - 0.5) * shape.teeth * 0.3;
    const mebibytes = shape.idle + share * shape.day * traffic + tooth + burst + noise;
    series.push({ seconds, bytes: Math.round(mebibytes * Mi) });
  }
  return series;
}

/** mulberry32, seeded with the text's FNV-1a hash: numbers in [0, 1), the same ones for the same text. */
export function random(seed: string): () => number {
  let state = 0x811c9dc5;
  for (const character of seed) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
