/** Laws of the memory rules: they hold for every usage, every manifest and every setting, not only for the examples. */
import fc from 'fast-check';
import t from 'tap';
import { Gi, Mi, readBytes } from '../../src/domain/quantity.ts';
import type { Usage } from '../../src/domain/usage.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { type Look, lookAtContainer, type Rules } from '../../src/recommend/container.ts';
import type { Decided } from '../../src/recommend/guards.ts';
import { observe, proposeMemory, roundUp } from '../../src/recommend/memory.ts';
import { MINUTE, NOW, RULES, rulesFrom } from '../recommend/rules.ts';

const LAW = { seed: 20260131, numRuns: 2000 };
const COOLDOWN = 30 * MINUTE;

/** Sizes as they occur: anything from nothing to 12Gi, odd bytes and even MiB. */
const size = fc.oneof(
  fc.integer({ min: 0, max: 12 * Gi }),
  fc.integer({ min: 0, max: 1024 }).map((mi) => mi * Mi),
);
const window = fc.tuple(size, size, size, fc.integer({ min: 0, max: 100 })).map(([a, b, c, samples]) => {
  const [avg = 0, p95 = 0, max = 0] = [a, b, c].sort((x, y) => x - y);
  return { avg, p95, max, samples };
});
const usage: fc.Arbitrary<Usage> = fc.record(
  { short: window, long: window, partial: fc.boolean(), oomLimit: size.map((bytes) => bytes + Mi) },
  { requiredKeys: ['partial'] },
);
const trusted: fc.Arbitrary<Usage> = window.map((long) => ({
  short: { ...long, samples: 100 },
  long: { ...long, samples: 100 },
  partial: false,
}));
const pair = fc.tuple(size, size).map(([a, b]) => ({ request: Math.min(a, b) + 1, limit: Math.max(a, b) + 1 }));
const current: fc.Arbitrary<Pair<number>> = fc.oneof(
  pair,
  pair.map(({ limit }) => ({ request: limit, limit })),
  pair.map(({ limit }) => ({ limit })),
  pair.map(({ request }) => ({ request })),
  fc.constant({}),
);
const decided: fc.Arbitrary<Decided> = fc
  .tuple(pair, fc.integer({ min: 0, max: 120 }))
  .map(([values, minutes]) => ({ ...values, at: NOW - minutes * MINUTE }));
const look: fc.Arbitrary<Look> = fc
  .record(
    { usage, current, standing: decided, applied: decided, enforced: fc.boolean() },
    { requiredKeys: ['usage', 'current', 'enforced'] },
  )
  .map((given) => ({ fixed: {}, written: {}, range: {}, ...given }));

/** Settings as an administrator may combine them. */
const rules: fc.Arbitrary<Rules> = fc
  .record({
    factor: fc.integer({ min: 100, max: 300 }),
    roundTo: fc.constantFrom(1, 4, 16, 64, 100),
    requestMax: fc.integer({ min: 64, max: 8192 }),
    step: fc.integer({ min: 20, max: 100 }),
    hysteresis: fc.integer({ min: 0, max: 100 }),
    memoryRules: fc.constantFrom('requirement', 'adaptive'),
  })
  .map(({ factor, roundTo, requestMax, step, hysteresis, memoryRules }) =>
    rulesFrom({
      OPRC_CRM_MEMORY_RULES: memoryRules,
      OPRC_CRM_REQUEST_P95_FACTOR: String(factor / 100),
      OPRC_CRM_LIMIT_REQUEST_FACTOR: String(1 + factor / 400),
      OPRC_CRM_ROUND_TO: `${roundTo}Mi`,
      OPRC_CRM_REQUEST_MAX: `${requestMax}Mi`,
      OPRC_CRM_STEP_PERCENT: String(step),
      OPRC_CRM_HYSTERESIS_PERCENT: String(hysteresis),
    }),
  );

t.test('the request never exceeds the limit, of what is recommended and of what is applied', async (t) => {
  const law = fc.property(look, rules, (given, rules) => {
    const { recommended, applied } = lookAtContainer(given, rules, NOW);
    return [recommended, applied].every((values) => !values || values.request <= values.limit);
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('what is proposed holds what is used, unless it was capped, and then the rationale says so', async (t) => {
  const law = fc.property(trusted, rules, (given, rules) => {
    const observed = observe(given);
    if (!observed) return false;
    const { request, limit, reasons } = proposeMemory(observed, rules);
    const told = reasons.join('; ');
    return (
      (request >= observed.p95 || /request capped at/.test(told)) &&
      (limit >= observed.max || /limit capped at/.test(told)) &&
      request >= rules.requestMin &&
      request <= rules.requestMax &&
      limit >= rules.limitMin &&
      limit <= rules.limitMax
    );
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('the numbers of the rationale are the numbers of the proposal', async (t) => {
  const law = fc.property(trusted, fc.option(size), rules, (given, oomLimit, rules) => {
    const observed = observe(given);
    if (!observed) return false;
    const { request, limit, reasons } = proposeMemory(observed, rules, oomLimit ?? undefined);
    const told = reasons.join('; ');
    const [, roundedRequest, roundedLimit] = /rounded to (\S+) and ([^\s;]+)/.exec(told) ?? [];
    const said = (field: string) =>
      new RegExp(`${field} (?:capped at|raised to the minimum) ([^\\s;]+)`).exec(told)?.[1];
    // What precedes "rounded to" is exact, or has one decimal of a MiB: rounding it gives what was rounded.
    const [, beforeRequest = '', beforeLimit = ''] =
      /: ([\d.]+\w+)(?:; limit .*: |, )([\d.]+\w+); rounded/.exec(told) ?? [];
    const near = (text: string, rounded: string | undefined) =>
      (readBytes(rounded) ?? 0) - roundUp((readBytes(text) ?? 0) - 0.05 * Mi, rules.roundTo);
    const offBy = near(beforeRequest, roundedRequest);
    return (
      readBytes(said('request') ?? roundedRequest) === request &&
      readBytes(said('limit') ?? roundedLimit) === limit &&
      (offBy === 0 || offBy === rules.roundTo) &&
      beforeLimit !== ''
    );
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('doubtful data lowers nothing: neither what stands, nor what runs, nor what is applied', async (t) => {
  const law = fc.property(look, rules, (given, rules) => {
    const { doubt, recommended, applied, changes } = lookAtContainer(given, rules, NOW);
    if (doubt === undefined) return true;
    const kinds = changes.map(({ change }) => change);
    const holds = (values: Pair<number>, reference: Pair<number>) =>
      (values.request ?? 0) >= (reference.request ?? 0) && (values.limit ?? 0) >= (reference.limit ?? 0);
    // Where usage has moved back, the values that run replace what stands: they are raised to, not lowered from.
    const reference = given.standing ?? given.current;
    return (
      (!kinds.includes('recommended') ||
        !recommended ||
        holds(recommended, reference) ||
        holds(recommended, given.current)) &&
      (!kinds.includes('applied') || !applied || holds(applied, given.current))
    );
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('a step is within its bound, or lifted to what is used, or one rounding unit of a small value', async (t) => {
  const law = fc.property(look, (given) => {
    const { applied, observed, changes, recommended } = lookAtContainer({ ...given, enforced: true }, RULES, NOW);
    if (!applied || !observed || !recommended || !changes.some(({ change }) => change === 'applied')) return true;
    const guaranteed = given.current.request === given.current.limit;
    const used = { request: observed.p95, limit: observed.max };
    return (['request', 'limit'] as const).every((field) => {
      const from = given.current[field];
      if (from === undefined || guaranteed) return true;
      const [to, floor] = [applied[field], roundUp(used[field], RULES.roundTo)];
      const bounded = Math.abs(to - from) <= from * RULES.stepRatio + 1;
      const small = to > from && to - from <= RULES.roundTo;
      // The limit is also lifted to the request, which may have been lifted itself.
      const lifted = to === floor || (field === 'limit' && to === applied.request);
      return (bounded || small || lifted) && to >= used[field];
    });
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('within the cooldown nothing that holds what is used is revised or stepped, OOM kills aside', async (t) => {
  const law = fc.property(look, (given) => {
    const calm = { ...given, enforced: true, usage: { ...given.usage, partial: given.usage?.partial ?? false } };
    delete calm.usage.oomLimit;
    const { changes, observed } = lookAtContainer(calm, RULES, NOW);
    const kinds = changes.map(({ change }) => change);
    const cooling = (values: Decided | undefined) => values !== undefined && NOW - values.at < COOLDOWN;
    const held = (values: Decided | undefined) =>
      observed !== undefined && values !== undefined && values.request >= observed.p95 && values.limit >= observed.max;
    return (
      !(cooling(given.standing) && kinds.includes('recommended')) &&
      !(cooling(given.applied) && held(given.applied) && kinds.includes('applied'))
    );
  });
  fc.assert(law, LAW);
  t.pass();
});

t.test('on steady usage the steps arrive, and then nothing changes any more', async (t) => {
  const law = fc.property(trusted, current, (given, manifest) => {
    let now = NOW;
    let next: Look = { usage: given, current: manifest, enforced: true, fixed: {}, written: {}, range: {} };
    const take = () => {
      const { recommended, applied, changes } = lookAtContainer(next, RULES, now);
      now += COOLDOWN;
      next = { usage: given, current: applied ?? next.current, enforced: true, fixed: {}, written: {}, range: {} };
      if (recommended) next.standing = recommended;
      if (applied) next.applied = applied;
      return { recommended, applied, changes };
    };
    // 30 % a step from one byte to 8Gi, or back, in steps of at least 16Mi.
    for (let step = 0; step < 60; step += 1) take();
    const { recommended, applied, changes } = take();
    const observed = observe(given);
    if (changes.length > 0 || !observed) return false;
    if (!recommended || !applied) return recommended === undefined && applied === undefined;
    const capped = observed.p95 > recommended.request || observed.max > recommended.limit;
    return (['request', 'limit'] as const).every((field) =>
      capped ? applied[field] >= recommended[field] : applied[field] === recommended[field],
    );
  });
  fc.assert(law, { ...LAW, numRuns: 500 });
  t.pass();
});

t.test('the same look gives the same finding', async (t) => {
  const law = fc.property(look, rules, (given, rules) => {
    const again = structuredClone(given);
    const found = [lookAtContainer(given, rules, NOW), lookAtContainer(again, rules, NOW)].map((f) =>
      JSON.stringify(f),
    );
    return found[0] === found[1] && JSON.stringify(given) === JSON.stringify(again);
  });
  fc.assert(law, LAW);
  t.pass();
});
