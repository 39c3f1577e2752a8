/** Laws of the concurrency rules: they hold for every load, every memory and everything that stands, not only for the examples. */
import fc from 'fast-check';
import t from 'tap';
import type { KnobEvidence, Knobs } from '../../src/domain/concurrency.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { LoadWindow } from '../../src/domain/usage.ts';
import type { MemoryNow } from '../../src/recommend/concurrency.ts';
import { type AppliedKnobs, lookAtService, type ServiceLook } from '../../src/recommend/service.ts';
import { readKnobEvidence, writeKnobEvidence } from '../../src/record/concurrency-evidence.ts';
import { MINUTE, NOW, RULES } from '../recommend/rules.ts';

const LAW = { seed: 20261128, numRuns: 3000 };
const COOLDOWN = 30 * MINUTE;

const hundredths = (from: number, to: number) => fc.integer({ min: from * 100, max: to * 100 }).map((n) => n / 100);
const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
/** Without the keys that nobody set: absent is not undefined. */
const set = <T extends object>(one: fc.Arbitrary<T>) =>
  one.map((value) => Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T);

const window: fc.Arbitrary<LoadWindow> = set(
  fc.record({ concurrency: hundredths(0, 300), queue: optional(hundredths(0, 20)), samples: fc.nat({ max: 80 }) }),
) as fc.Arbitrary<LoadWindow>;
const load = set(fc.record({ short: optional(window), long: optional(window), partial: fc.boolean() }));
const target = hundredths(1, 200);
const hard = fc.constantFrom(0, 1, 10, 50, 100, 150, 200);
const mi = (max: number) => fc.integer({ min: 1, max }).map((n) => n * Mi);
const fit = fc.record({
  ...{ base: mi(200), slope: fc.integer({ min: -Mi, max: 20 * Mi }), quality: hundredths(0, 1) },
  ...{ samples: fc.constant(36), from: hundredths(0, 50), to: hundredths(50, 100) },
});
const container = set(
  fc.record({
    container: fc.constantFrom('function', 'proxy'),
    ...{ limit: mi(2048), written: optional(mi(2048)), short: optional(mi(2048)), long: optional(mi(2048)) },
    ...{ wanted: mi(2048), ceiling: mi(8192), fit: optional(fit) },
    moves: optional(fc.constantFrom('up' as const, 'down' as const)),
    killed: optional(fc.constant(true as const)),
  }),
) as fc.Arbitrary<MemoryNow>;
const at = fc.integer({ min: 0, max: 90 }).map((minutes) => NOW - minutes * MINUTE);
const knobs = set(fc.record({ target, containerConcurrency: optional(hard) })) as fc.Arbitrary<Required<Knobs>>;
const decided = fc.tuple(knobs, at).map(([wanted, at]) => ({ ...wanted, at }));
const applied: fc.Arbitrary<AppliedKnobs> = fc
  .tuple(decided, optional(knobs))
  .map(([one, previous]) => ({ ...one, ...(previous && { previous }) }));

const any = set(
  fc.record({
    ...{ load, memory: fc.array(container, { maxLength: 2 }), most: fc.constantFrom(50, 100, 1000) },
    ...{ atMaxScale: fc.boolean(), killed: fc.boolean(), enforced: fc.boolean(), ours: fc.boolean() },
    memoryDoubt: optional(fc.constant('memory of function: no samples')),
    ...{ standing: optional(decided), applied: optional(applied), memoryDecidedAt: optional(at) },
    current: fc.tuple(target, hard).map(([wanted, containerConcurrency]) => {
      const target = containerConcurrency === 0 ? wanted : Math.min(wanted, containerConcurrency);
      return { target, containerConcurrency, targetBurstCapacity: 211, aim: target * 0.7 };
    }),
    written: set(fc.record({ containerConcurrency: optional(hard) })),
    fixed: set(fc.record({ containerConcurrency: optional(hard) })),
    aftermath: optional(at.map((since) => ({ since }))),
  }),
) as unknown as fc.Arbitrary<ServiceLook>;

/** Chance alone hardly ever finds those in which the rules act: memory at this share of its limit, requests at that of the aim. */
const acting = (memoryShare: number, requestsShare: number) => (one: ServiceLook) => {
  const { aim } = one.current;
  const window = (given: LoadWindow = { concurrency: 0, samples: 72 }) => ({
    ...given,
    ...{ concurrency: Math.round(aim * requestsShare * 100) / 100, queue: 3 },
  });
  const used = (now: MemoryNow) => {
    const max = Math.floor(now.limit * memoryShare);
    return { ...now, short: max, long: max };
  };
  const { short, long, partial = false } = one.load ?? {};
  return { ...one, load: { partial, short: window(short), long: window(long) }, memory: one.memory.map(used) };
};
const look = fc.oneof(any, any.map(acting(0.5, 0.5)), any.map(acting(0.95, 1.2)));

/** What is new in a finding, by what it says it changes. */
const news = (look: ServiceLook) => {
  const finding = lookAtService(look, RULES, NOW);
  const isNew = (change: string) => finding.changes.some((one) => one.change === change);
  return {
    finding,
    recommended: isNew('recommended') ? finding.recommended : undefined,
    step: isNew('applied') ? finding.applied : undefined,
  };
};

/** @param broken whether this look breaks it */
function law(name: string, broken: (look: ServiceLook) => boolean) {
  t.test(name, async () =>
    fc.assert(
      fc.property(look, (one) => !broken(one)),
      LAW,
    ),
  );
}

law('what can be doubted, or a kill, raises nothing', (look) => {
  const { finding, recommended, step } = news(look);
  if (finding.doubt === undefined && !look.killed) return false;
  const risen = (one?: Knobs) => (one?.target ?? 0) > look.current.target;
  return risen(recommended) || risen(step);
});

law('a step goes at most 30 % of what runs, and towards what is recommended', (look) => {
  const { finding, step } = news(look);
  if (!step) return false;
  const [from, to] = [look.current.target, step.target];
  const way = Math.sign((finding.recommended?.target ?? from) - from);
  return Math.abs(to - from) > from * 0.3 + 0.01 || (to !== from && Math.sign(to - from) !== way);
});

law('a hard limit of ours is whole, never below the target, and one that the cluster takes', (look) => {
  const { recommended } = news(look);
  const hard = recommended?.containerConcurrency;
  // One that runs may be recommended as it is.
  if (!recommended || hard === undefined || hard === look.current.containerConcurrency) return false;
  return !Number.isInteger(hard) || hard < recommended.target || hard > look.most;
});

law('the target is never below one request, nor above the bound of the manifest', (look) => {
  const { recommended } = news(look);
  if (!recommended || recommended.target === look.current.target) return false;
  const bound = look.written.containerConcurrency || Number.POSITIVE_INFINITY;
  return recommended.target < 1 || (recommended.target > look.current.target && recommended.target > bound);
});

law('within a cooldown nothing is decided twice', (look) => {
  const { recommended, step } = news(look);
  const young = (one: { at: number } | undefined) => one !== undefined && NOW - one.at < COOLDOWN;
  return (recommended !== undefined && young(look.standing)) || (step !== undefined && young(look.applied));
});

law('while nothing changes, nothing is decided again after the next cooldown, nor ever', (look) => {
  const { standing, applied, memoryDecidedAt: _, ...rest } = look;
  let stands = { ...(standing && { standing }), ...(applied && { applied }) };
  const looks = [1, 2, 3, 4].map((cooldowns) => {
    const { recommended, changes } = lookAtService({ ...rest, ...stands }, RULES, NOW + cooldowns * COOLDOWN);
    stands = { ...stands, ...(recommended && { standing: recommended }) };
    return changes.some(({ change }) => change === 'recommended');
  });
  return looks.slice(1).some(Boolean);
});

law('from its evidence the same is decided again', (look) => {
  const { finding } = news(look);
  if (finding.changes.length === 0) return false;
  const written = writeKnobEvidence({ at: new Date(NOW).toISOString(), workload: 'KnativeService/a' }, look, {});
  const stored: KnobEvidence = JSON.parse(JSON.stringify(written));
  const again = lookAtService(readKnobEvidence(stored), RULES, NOW);
  return JSON.stringify([again.recommended, again.applied]) !== JSON.stringify([finding.recommended, finding.applied]);
});
