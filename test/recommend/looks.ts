/** Looks at containers as a person tells them: usage and values in Mi, moments relative to now. */
import { Mi } from '../../src/domain/quantity.ts';
import type { Usage, WindowUsage } from '../../src/domain/usage.ts';
import type { Pair } from '../../src/domain/workload.ts';
import type { Look } from '../../src/recommend/container.ts';
import type { Decided } from '../../src/recommend/guards.ts';
import type { Observed } from '../../src/recommend/memory.ts';
import { NOW } from './rules.ts';

/** The three statistics, in Mi. */
export const measured = (avg: number, p95: number, max: number): Observed => ({
  avg: avg * Mi,
  p95: p95 * Mi,
  max: max * Mi,
});

export const windowOf = (avg: number, p95: number, max: number, samples = 1000): WindowUsage => ({
  ...measured(avg, p95, max),
  samples,
});

/** The same in both windows, with plenty of samples; in Mi. */
export const steady = (avg: number, p95: number, max: number): Usage => ({
  short: windowOf(avg, p95, max),
  long: windowOf(avg, p95, max),
  partial: false,
});

/** Request and limit in Mi. */
export const values = (request: number, limit: number): { request: number; limit: number } => ({
  request: request * Mi,
  limit: limit * Mi,
});

export const decided = (request: number, limit: number, at = NOW): Decided => ({ ...values(request, limit), at });

/** Back to Mi, so that a failing test shows numbers that a person can read. */
export const inMi = (pair: Pair<number> | undefined): [number, number] | undefined =>
  pair && [(pair.request ?? Number.NaN) / Mi, (pair.limit ?? Number.NaN) / Mi];

/** A look at the seed's container: nothing stands, nothing is enforced, nobody wrote an override. */
export const lookOf = (look: Partial<Look> = {}): Look => ({
  usage: steady(110, 180, 210),
  current: values(256, 512),
  enforced: false,
  fixed: {},
  written: look.current ?? values(256, 512),
  range: {},
  ...look,
});
