/** Laws over whole histories: a container that lives for days under a load that somebody else thinks up. */
import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { type Look, lookAtContainer } from '../../src/recommend/container.ts';
import { differs, keepGuaranteed } from '../../src/recommend/guards.ts';
import { observe, proposeMemory, roundUp } from '../../src/recommend/memory.ts';
import { values } from '../recommend/looks.ts';
import { MINUTE, NOW, RULES } from '../recommend/rules.ts';

const LAW = { seed: 20260131, numRuns: 150 };
const EVERY = 5;
/** Looks within the long window. */
const REMEMBERED = 360 / EVERY;

/** Phases of a load: so many looks, around so many Mi. */
const load = fc.array(fc.tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 20, max: 3000 }), fc.nat(10)), {
  minLength: 1,
  maxLength: 6,
});
const manifest = fc.tuple(fc.integer({ min: 64, max: 4096 }), fc.integer({ min: 0, max: 4096 }));

/** What each look sees, in bytes. */
function samplesOf(phases: [number, number, number][]): number[] {
  return phases.flatMap(([looks, level, noise]) =>
    Array.from({ length: looks }, (_, index) => Math.round(level * (1 + (noise * (index % 3)) / 100)) * Mi),
  );
}

/** The larger of the two windows is what the rules see. */
function usageOf(samples: number[]): Usage {
  const statistics = (some: number[]) => {
    const sorted = some.toSorted((a, b) => a - b);
    const avg = some.reduce((sum, one) => sum + one, 0) / some.length;
    const p95 = sorted[Math.floor(0.95 * (sorted.length - 1))] ?? 0;
    return { avg, p95, max: sorted.at(-1) ?? 0, samples: 1000 };
  };
  return { short: statistics(samples.slice(-2)), long: statistics(samples.slice(-REMEMBERED)), partial: false };
}

/** What must be held at that look: the request the p95, the limit the maximum. */
function usedAt(samples: number[], look: number): { request: number; limit: number } {
  const { p95 = 0, max = 0 } = observe(usageOf(samples.slice(0, look + 1))) ?? {};
  return { request: p95, limit: max };
}

type Lived = {
  look: number;
  from: { request: number; limit: number };
  to: { request: number; limit: number };
  why: string;
};

/** Every applied value runs at once, as with the strategy `rollout`. @returns each change, and what ran in the end */
function live(
  written: { request: number; limit: number },
  samples: number[],
): { changes: Lived[]; end: typeof written } {
  let look: Look = { usage: undefined, current: written, enforced: true, fixed: {}, written, range: {} };
  let current = written;
  let since: number | undefined;
  const changes: Lived[] = [];
  samples.forEach((_, index) => {
    const now = NOW + index * EVERY * MINUTE;
    const usage = usageOf(samples.slice(0, index + 1));
    const aftermath = { ...(since !== undefined && { since }) };
    const { applied, recommended, changes: made } = lookAtContainer({ ...look, usage, aftermath }, RULES, now);
    const change = made.find((one) => one.change !== 'recommended');
    if (change && applied) {
      const to = { request: applied.request, limit: applied.limit };
      changes.push({ look: index, from: current, to, why: change.rationale });
      current = to;
      since = now;
    }
    look = { ...look, current, ...(recommended && { standing: recommended }), ...(applied && { applied }) };
  });
  return { changes, end: current };
}

const written = ([request, more]: [number, number]) => values(request, request + more);

t.test('never below what is used, and each step bounded or explained', async (t) => {
  const law = fc.property(manifest, load, (given, phases) => {
    const samples = samplesOf(phases);
    const guaranteed = given[1] === 0;
    return live(written(given), samples).changes.every(({ look, from, to, why }) => {
      const used = usedAt(samples, look);
      const fits = (field: 'request' | 'limit') => {
        const width = Math.abs(to[field] - from[field]);
        const bounded = width <= from[field] * RULES.stepRatio + 1;
        const small = to[field] > from[field] && width <= RULES.roundTo;
        const lifted = to[field] === roundUp(used[field], RULES.roundTo) && /not below the \S+ in use/.test(why);
        return bounded || small || lifted;
      };
      const held = to.request >= used.request && to.limit >= used.limit;
      // Of a Guaranteed container the limit steps, and the request goes along; else a request may lift the limit.
      const stepped = guaranteed
        ? (fits('limit') || fits('request')) && to.request === to.limit
        : fits('request') && (fits('limit') || to.limit === to.request);
      return held && stepped;
    });
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('one step a cooldown, unless what runs would not hold what is used', async (t) => {
  const law = fc.property(manifest, load, (given, phases) => {
    const samples = samplesOf(phases);
    const { changes } = live(written(given), samples);
    return changes.every(({ look, from }, index) => {
      const before = changes[index - 1];
      const used = usedAt(samples, look);
      const held = from.request >= used.request && from.limit >= used.limit;
      return !before || (look - before.look) * EVERY >= 30 || !held;
    });
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('on usage that is steady within the hysteresis it arrives, stays, and never turns back', async (t) => {
  const law = fc.property(manifest, fc.integer({ min: 20, max: 3000 }), fc.nat(10), (given, level, wanted) => {
    // A short window's average that moves by more than the hysteresis, times 1.5 twice, is no steady usage to the rules.
    const noise = Math.min(wanted, Math.floor((RULES.hysteresisBytes / Mi / (level * 2 * 1.5 * 1.5)) * 100));
    const samples = samplesOf([[400, level, noise]]);
    const { changes, end } = live(written(given), samples);
    const observed = observe(usageOf(samples));
    if (!observed) return false;
    const goal = keepGuaranteed(proposeMemory(observed, RULES), written(given));
    const turns = (['request', 'limit'] as const).filter((field) => {
      const ways = changes.map(({ from, to }) => Math.sign(to[field] - from[field])).filter((way) => way !== 0);
      // What was not measured yet may lift the first steps; from then on there is one direction.
      return new Set(ways.slice(1)).size > 1;
    });
    return turns.length === 0 && changes.every(({ look }) => look < 350) && !differs(goal, end, RULES);
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('a load that comes back within the long window is followed up, and not down again', async (t) => {
  const pulse = fc.tuple(fc.integer({ min: 6, max: REMEMBERED - 4 }), fc.integer({ min: 1, max: 40 }));
  const levels = fc.tuple(fc.integer({ min: 20, max: 1500 }), fc.integer({ min: 20, max: 1500 }));
  let jobs = 0;
  const law = fc.property(manifest, pulse, levels, fc.nat(REMEMBERED), (given, [period, busy], levels, phase) => {
    const [low, high] = levels.toSorted((a, b) => a - b) as [number, number];
    const level = (look: number) => ((look + phase) % period < busy ? high : low);
    const samples = Array.from({ length: 600 }, (_, look) => level(look) * Mi);
    const { changes } = live(written(given), samples);
    jobs += busy < period && high > 2 * low ? 1 : 0;
    // Seen once, and stepped to: a day.
    return changes.every(({ look }) => look < 288);
  });
  fc.assert(law, LAW);
  t.ok(jobs > 20, `${jobs} of them were jobs that use more than twice as much for a while`);
});
