/**
 * The tallies of many containers → the figures of a policy, each with an interval: a few containers decide, so the
 * containers are drawn again and again, and the interval says how much that changes the figure.
 */
import { emptyTally, type Tally } from './replay.ts';

/** A figure, and where it lies in 95 of 100 draws of the containers. `NaN` where there is nothing to divide by. */
export type Figure = { value: number; low: number; high: number };

export type Summary = {
  containers: number;
  containerDays: number;
  kills: number;
  killsPerDay: Figure;
  /** containers that were killed at least once */
  killedContainers: number;
  /** mean of (value - used) / value over all steps at which the value was set */
  overRequest: Figure;
  overLimit: Figure;
  /** bytes asked for × hours: what the nodes have to hold ready */
  requestByteHours: number;
  limitByteHours: number;
  changesPerDay: Figure;
  /** share of the steps at which more was used than requested */
  aboveRequest: number;
  /** bytes */
  worstShortfall: number;
};

const DRAWS = 1000;
const TAILS = [0.025, 0.975] as const;

const RATIOS = {
  killsPerDay: (tally: Tally) => [tally.kills, tally.days],
  overRequest: ({ request }: Tally) => [request.over, request.steps],
  overLimit: ({ limit }: Tally) => [limit.over, limit.steps],
  changesPerDay: (tally: Tally) => [tally.changes, tally.days],
} as const satisfies Record<string, (tally: Tally) => [number, number]>;

/** @param tallies of one policy, one per container */
export function summarize(tallies: Tally[]): Summary {
  const total = tallies.reduce(add, emptyTally());
  const figures = Object.fromEntries(
    Object.entries(RATIOS).map(([name, of]) => [name, figure(tallies.map(of))]),
  ) as Record<keyof typeof RATIOS, Figure>;
  return {
    containers: tallies.length,
    containerDays: total.days,
    kills: total.kills,
    killedContainers: tallies.filter(({ kills }) => kills > 0).length,
    requestByteHours: total.request.byteHours,
    limitByteHours: total.limit.byteHours,
    aboveRequest: total.request.steps === 0 ? 0 : total.aboveRequest / total.request.steps,
    worstShortfall: total.shortfall,
    ...figures,
  };
}

/** On how many containers a policy did better, and worse, than another one. */
export type Comparison = { fewerKills: number; moreKills: number; lessRequested: number; moreRequested: number };

/** Two over-requests of a container that differ by less are the same to a person. */
const CLEARLY = 0.05;

/** @param mine of the same containers, in the same order, as `theirs` */
export function compare(mine: Tally[], theirs: Tally[]): Comparison {
  const comparison: Comparison = { fewerKills: 0, moreKills: 0, lessRequested: 0, moreRequested: 0 };
  for (const [index, a] of mine.entries()) {
    const b = theirs[index];
    if (!b) continue;
    if (a.kills < b.kills) comparison.fewerKills += 1;
    if (a.kills > b.kills) comparison.moreKills += 1;
    const over = ({ request }: Tally) => request.over / request.steps;
    if (over(a) < over(b) - CLEARLY) comparison.lessRequested += 1;
    if (over(a) > over(b) + CLEARLY) comparison.moreRequested += 1;
  }
  return comparison;
}

function add(a: Tally, b: Tally): Tally {
  const side = (key: 'request' | 'limit') => ({
    steps: a[key].steps + b[key].steps,
    over: a[key].over + b[key].over,
    byteHours: a[key].byteHours + b[key].byteHours,
  });
  return {
    days: a.days + b.days,
    steps: a.steps + b.steps,
    kills: a.kills + b.kills,
    changes: a.changes + b.changes,
    request: side('request'),
    limit: side('limit'),
    aboveRequest: a.aboveRequest + b.aboveRequest,
    shortfall: Math.max(a.shortfall, b.shortfall),
  };
}

/** A sum over a sum. @param parts what each container adds above and below the line */
function figure(parts: [number, number][]): Figure {
  const ratio = (drawn: (index: number) => number) => {
    let [above, below] = [0, 0];
    for (let index = 0; index < parts.length; index += 1) {
      const [up, down] = parts[drawn(index)] as [number, number];
      above += up;
      below += down;
    }
    return above / below;
  };
  const random = createRandom();
  const draws = Array.from({ length: DRAWS }, () => ratio(() => Math.floor(random() * parts.length)))
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  const [low, high] = TAILS.map((tail) => draws[Math.floor(tail * draws.length)] ?? Number.NaN) as [number, number];
  return { value: ratio((index) => index), low, high };
}

/** The same numbers in [0, 1) each time, so that the same samples give the same report (mulberry32). */
function createRandom(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
