/**
 * What would have happened to one container under a policy: its samples are walked through in order, the policy hears
 * at each what a cluster would tell, and what it answers runs from the next one on. Pure, and in memory that does not
 * grow with the samples.
 */
import type { Pair } from '../domain/workload.ts';

/** One sample of the working set. */
export type Sample = {
  /** milliseconds since the epoch */
  at: number;
  bytes: number;
};

/** What a cluster tells at one sample. Bytes. */
export type Seen = {
  /** milliseconds since the epoch */
  at: number;
  /** never more than the limit that runs: what would have been used beyond it nobody can measure */
  bytes: number;
  /** the limit at which the container was OOM killed just now */
  killedAt?: number;
  /** what runs; a side that nobody set is absent */
  running: Pair<number>;
};

/** One container's life under a policy: what was seen → what runs from here on. Keeps its own memory. */
export type Life = (seen: Seen) => Pair<number>;

export type Policy = {
  name: string;
  /** @param manifest what the container starts with (bytes); empty when nobody knows */
  begin(manifest: Pair<number>): Life;
};

/** One side of what ran, over the steps at which it was set. */
export type Side = {
  steps: number;
  /** sum over those steps of (value - used) / value, at least 0: too much at one time is not made up for by too little at another */
  over: number;
  byteHours: number;
};

/** What became of one container under one policy. Sums, so that those of several can be added. */
export type Tally = {
  /** time that the samples cover */
  days: number;
  steps: number;
  kills: number;
  /** how often what runs was changed, and the container restarted for it */
  changes: number;
  request: Side;
  limit: Side;
  /** steps at which more was used than requested: such a pod is among the first to go when its node runs short */
  aboveRequest: number;
  /** the most (bytes) by which a limit was missed */
  shortfall: number;
};

export function emptyTally(): Tally {
  const side = (): Side => ({ steps: 0, over: 0, byteHours: 0 });
  return { days: 0, steps: 0, kills: 0, changes: 0, request: side(), limit: side(), aboveRequest: 0, shortfall: 0 };
}

/** What one step was like; for a drawing. */
export type Step = Sample & { running: Pair<number>; killed: boolean };

const HOUR_MS = 3_600_000;

/** A pause between two samples that is longer than this was no running container. */
const LONGEST_STEP_MS = 300_000;

/** Takes a container's samples one by one, oldest first; the tally is up to date after each. */
export type Replay = { step(sample: Sample): Step; tally: Tally };

export function createReplay(policy: Policy, manifest: Pair<number>): Replay {
  const live = policy.begin(manifest);
  const tally = emptyTally();
  let running = manifest;
  let last: number | undefined;

  function step({ at, bytes }: Sample): Step {
    const hours = Math.min(at - (last ?? at), LONGEST_STEP_MS) / HOUR_MS;
    last = at;
    const { request, limit } = running;
    const killed = limit !== undefined && bytes > limit;
    const used = killed ? limit : bytes;
    tally.days += hours / 24;
    tally.steps += 1;
    count(tally.request, request, used, hours);
    count(tally.limit, limit, used, hours);
    if (request !== undefined && bytes > request) tally.aboveRequest += 1;
    if (killed) {
      tally.kills += 1;
      tally.shortfall = Math.max(tally.shortfall, bytes - limit);
    }
    const next = live({ at, bytes: used, running, ...(killed && { killedAt: limit }) });
    if (next.request !== request || next.limit !== limit) tally.changes += 1;
    const done = { at, bytes, running, killed };
    running = next;
    return done;
  }
  return { step, tally };
}

function count(side: Side, value: number | undefined, used: number, hours: number): void {
  if (value === undefined) return;
  side.steps += 1;
  side.over += Math.max(0, value - used) / value;
  side.byteHours += value * hours;
}

/** The whole of one container's samples, oldest first. @param manifest bytes */
export function replay(samples: Iterable<Sample>, policy: Policy, manifest: Pair<number>): Tally {
  const { step, tally } = createReplay(policy, manifest);
  for (const sample of samples) step(sample);
  return tally;
}
