/** Laws over whole histories: a container that lives for days under a load that somebody else thinks up. */
import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { type Look, lookAtContainer } from '../../src/recommend/container.ts';
import { roundUp } from '../../src/recommend/memory.ts';
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

function usageOf(samples: number[]): Usage {
  const statistics = (some: number[]) => {
    const max = Math.max(...some);
    const avg = some.reduce((sum, one) => sum + one, 0) / some.length;
    return { avg, p95: max, max, samples: 1000 };
  };
  return { short: statistics(samples.slice(-2)), long: statistics(samples.slice(-REMEMBERED)), partial: false };
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
    return live(written(given), samples).changes.every(({ look, from, to, why }) => {
      const used = Math.max(...samples.slice(0, look + 1).slice(-REMEMBERED));
      return (['request', 'limit'] as const).every((field) => {
        const width = Math.abs(to[field] - from[field]);
        const bounded =
          width <= from[field] * RULES.stepRatio + 1 || (to[field] > from[field] && width <= RULES.roundTo);
        const lifted = to[field] === roundUp(used, RULES.roundTo) && /not below the \S+ in use/.test(why);
        const paired = to.limit === to.request;
        return to[field] >= used && (bounded || lifted || paired);
      });
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
      const used = Math.max(...samples.slice(0, look + 1).slice(-REMEMBERED));
      const held = from.request >= used && from.limit >= used;
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
    const { changes } = live(written(given), samplesOf([[400, level, noise]]));
    const turns = (['request', 'limit'] as const).filter((field) => {
      const ways = changes.map(({ from, to }) => Math.sign(to[field] - from[field])).filter((way) => way !== 0);
      // What was not measured yet may lift the first steps; from then on there is one direction.
      return new Set(ways.slice(1)).size > 1;
    });
    return turns.length === 0 && changes.every(({ look }) => look < 350);
  });
  fc.assert(law, LAW);
  t.pass();
});
