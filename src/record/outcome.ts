/**
 * What tuning has changed, by the record's own containers: what their manifests would have, beside what runs. Sums of one
 * pod of each workload, so that scaling changes nothing; a side that an override fixes is a person's doing, and left out.
 */
import { readable, readBytes } from '../domain/quantity.ts';
import type { ContainerStatus, Outcome, OutcomeSide } from '../domain/record.ts';
import { formatSeconds } from '../domain/time.ts';
import { bytesOf, FIELDS, type Field, type Pair } from '../domain/workload.ts';
import { percent } from '../recommend/memory.ts';
import { quantities } from './evidence.ts';
import type { Kills } from './report.ts';

/** A container on both sides; bytes. */
export type Compared = {
  manifest: Pair<number>;
  runs: Pair<number>;
  /** what a person fixed by an override */
  fixed: Pair<unknown>;
  /** the average in use */
  used?: number | undefined;
  /** how many of it there are */
  pods: number;
};

type Side = Pair<number> & { overRequest?: number };
export type Balance = { before: Side; after: Side };

/** Adds up what both sides name: what only one of them does cannot be compared. */
export function balanceOf(containers: readonly Compared[]): Balance {
  const balance: Balance = { before: {}, after: {} };
  for (const field of FIELDS) {
    const both = comparable(containers, field);
    if (both.length === 0) continue;
    balance.before[field] = sum(both, ({ manifest, pods }) => (manifest[field] ?? 0) * pods);
    balance.after[field] = sum(both, ({ runs, pods }) => (runs[field] ?? 0) * pods);
  }
  const measured = comparable(containers, 'request').filter(({ used }) => used !== undefined);
  const used = sum(measured, (one) => (one.used ?? 0) * one.pods);
  for (const [side, key] of [['before', 'manifest'] as const, ['after', 'runs'] as const]) {
    const ratio = overRequest(
      sum(measured, (one) => (one[key].request ?? 0) * one.pods),
      used,
    );
    if (ratio !== undefined) balance[side].overRequest = ratio;
  }
  return balance;
}

/** The part of what is requested that is not in use (bytes); `undefined` where nothing is requested. */
export function overRequest(requested: number, used: number): number | undefined {
  return requested > 0 ? (requested - used) / requested : undefined;
}

/**
 * @param previous the outcome of the last status
 * @param kills as they were counted lately; those of the last status stand until they are counted again
 * @param byVpa pods have what was applied, whatever their template says
 * @param now milliseconds since the epoch
 * @returns `undefined` as long as nothing is applied, or nothing of it runs
 */
export function outcomeOf(
  containers: readonly ContainerStatus[],
  previous: Outcome | undefined,
  kills: Kills | undefined,
  byVpa: boolean,
  now: number,
): Outcome | undefined {
  if (!containers.some(({ applied }) => applied)) return undefined;
  const { before, after } = statusBalance(containers, byVpa);
  if (!previous && FIELDS.every((field) => before[field] === after[field])) return undefined;
  const outcome = {
    since: previous?.since ?? new Date(now).toISOString(),
    before: written(before, kills?.before ?? previous?.before.kills),
    after: written(after, kills?.after ?? previous?.after.kills),
  };
  const over = kills ? formatSeconds(kills.overSeconds) : previous?.kills_over;
  const counted = outcome.before.kills !== undefined && outcome.after.kills !== undefined && over !== undefined;
  const whole = counted ? { ...outcome, kills_over: over } : outcome;
  return { ...whole, summary: summaryOf(whole) };
}

/** The same sums from the status alone: what a reader, and `explain`, can do again. */
export function statusBalance(containers: readonly ContainerStatus[], byVpa: boolean): Balance {
  return balanceOf(
    containers.map(({ current, manifest = current, applied, override = {}, observed }) => ({
      manifest: bytesOf(manifest),
      runs: bytesOf((byVpa && applied) || current),
      fixed: override,
      used: readBytes(observed?.ws_avg),
      pods: 1,
    })),
  );
}

function comparable(containers: readonly Compared[], field: Field): Compared[] {
  return containers.filter(
    ({ manifest, runs, fixed }) =>
      manifest[field] !== undefined && runs[field] !== undefined && fixed[field] === undefined,
  );
}

function sum(containers: readonly Compared[], of: (one: Compared) => number): number {
  return containers.reduce((total, one) => total + of(one), 0);
}

function written({ overRequest, ...bytes }: Side, kills: number | undefined): OutcomeSide {
  return {
    ...quantities(bytes),
    ...(overRequest !== undefined && { over_request: Math.round(overRequest * 1000) / 1000 }),
    ...(kills !== undefined && { kills }),
  };
}

function summaryOf({ before, after, kills_over }: Omit<Outcome, 'summary'>): string {
  const bytes = (field: Field) => {
    const [from, to] = [readBytes(before[field]), readBytes(after[field])];
    return from !== undefined && to !== undefined && `${field} ${readable(from)} -> ${readable(to)}`;
  };
  const { over_request: from } = before;
  const { over_request: to } = after;
  return [
    bytes('request'),
    bytes('limit'),
    from !== undefined && to !== undefined && `over-request ${percent(from)} -> ${percent(to)}`,
    kills_over !== undefined && `OOM kills ${before.kills} -> ${after.kills} in ${kills_over}`,
  ]
    .filter(Boolean)
    .join(', ');
}
