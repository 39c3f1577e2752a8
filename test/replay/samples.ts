/** Samples as a person tells them: values in Mi, one a minute. */

import { Mi } from '../../src/domain/quantity.ts';
import type { Pair } from '../../src/domain/workload.ts';
import type { Life, Sample } from '../../src/replay/replay.ts';

export const START = Date.parse('2026-01-31T10:00:00Z');
export const MINUTE = 60_000;

/** @param values in Mi */
export function minutely(values: number[], start = START): Sample[] {
  return values.map((value, minute) => ({ at: start + minute * MINUTE, bytes: value * Mi }));
}

/** The value that many minutes long. */
export const steadyFor = (minutes: number, value: number): number[] => Array.from({ length: minutes }, () => value);

export const mi = (request: number, limit: number): { request: number; limit: number } => ({
  request: request * Mi,
  limit: limit * Mi,
});

/** What the policy made of each sample, without a replay around it: what runs is what it said last. */
export function said(life: Life, samples: Sample[], start: Pair<number> = {}): Pair<number>[] {
  let running = start;
  return samples.map(({ at, bytes }) => {
    running = life({ at, bytes, running });
    return running;
  });
}
