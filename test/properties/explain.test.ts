/** Laws of explain: it confirms whatever the rules decided under whatever settings, and names any number that was changed. */
import fc from 'fast-check';
import t from 'tap';
import { formatBytes, Gi, Mi, readBytes } from '../../src/domain/quantity.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { type Explanation, explain } from '../../src/record/explain.ts';
import { rulesFrom } from '../recommend/rules.ts';
import { live, type Moment, memoryOfRecord } from '../record/lives.ts';

const LAW = { seed: 20260131, numRuns: 1000 };

const size = fc.oneof(
  fc.integer({ min: 0, max: 12 * Gi }),
  fc.double({ min: 0, max: 2 * Gi, noNaN: true }),
  fc.integer({ min: 1, max: 1024 }).map((mi) => mi * Mi),
);
const window = fc.tuple(size, size, size, fc.integer({ min: 0, max: 100 })).map(([a, b, c, samples]) => {
  const [avg = 0, p95 = 0, max = 0] = [a, b, c].sort((x, y) => x - y);
  return { avg, p95, max, samples };
});
const bytes = fc.oneof(
  fc.integer({ min: 1, max: 12 * Gi }),
  fc.integer({ min: 1, max: 1024 }).map((mi) => mi * Mi),
);
const usage: fc.Arbitrary<Usage> = fc.record(
  { short: window, long: window, partial: fc.boolean(), oomLimit: bytes },
  { requiredKeys: ['partial'] },
);
const steady: fc.Arbitrary<Usage> = window.map((seen) => {
  const one = { ...seen, samples: 720 };
  return { short: one, long: one, partial: false };
});
const sides = fc.tuple(bytes, bytes).map(([a, b]) => ({ request: Math.min(a, b), limit: Math.max(a, b) }));
const manifest: fc.Arbitrary<Pair<number>> = fc.oneof(
  sides,
  sides.map(({ limit }) => ({ request: limit, limit })),
  sides.map(({ request }) => ({ request })),
  fc.constant({}),
);
const rules = fc
  .record({
    factor: fc.integer({ min: 100, max: 300 }),
    roundTo: fc.constantFrom(1, 4, 16, 16, 100),
    step: fc.constantFrom(30, 30, 5, 50, 100),
    hysteresis: fc.integer({ min: 0, max: 100 }),
    cooldown: fc.constantFrom(1800, 1800, 0, 60),
    limitMax: fc.constantFrom('8Gi', '8Gi', '5Gi', '100Gi'),
    short: fc.constantFrom(600, 600, 60),
    oom: fc.constantFrom('100Mi', '1Gi'),
    memoryRules: fc.constantFrom('requirement', 'adaptive'),
  })
  .map(({ factor, roundTo, step, hysteresis, cooldown, limitMax, short, oom, memoryRules }) =>
    rulesFrom({
      OPRC_CRM_MEMORY_RULES: memoryRules,
      OPRC_CRM_REQUEST_P95_FACTOR: String(factor / 100),
      OPRC_CRM_REQUEST_AVG_FACTOR: String(1 + factor / 500),
      OPRC_CRM_LIMIT_REQUEST_FACTOR: String(1 + factor / 400),
      OPRC_CRM_ROUND_TO: `${roundTo}Mi`,
      OPRC_CRM_STEP_PERCENT: String(step),
      OPRC_CRM_HYSTERESIS_PERCENT: String(hysteresis),
      OPRC_CRM_COOLDOWN_SECS: String(cooldown),
      OPRC_CRM_LIMIT_MAX: limitMax,
      OPRC_CRM_SHORT_WINDOW_SECS: String(short),
      OPRC_CRM_OOM_BYTES: oom,
    }),
  );
const side = fc.option(fc.constantFrom('64Mi', '300Mi', '1Gi', '300.5Mi', '1e9'), { nil: undefined, freq: 2 });
const override = fc
  .tuple(side, side)
  .map(([request, limit]) => ({ ...(request && { request }), ...(limit && { limit }) }))
  // A person cannot mean anything else: the record would be refused.
  .filter(({ request, limit }) => !request || !limit || (readBytes(request) ?? 0) <= (readBytes(limit) ?? 0));
const range = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom({ min: 256 * Mi }, { max: 320 * Mi }, { maxLimitRequestRatio: 1.3125 }) },
);
const moment: fc.Arbitrary<Moment> = fc.record(
  {
    usage: fc.oneof(usage, steady),
    minutes: fc.constantFrom(1, 29, 31, 360),
    enforced: fc.constantFrom(true, true, true, false),
    rolledOut: fc.boolean(),
    override: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: override }),
    range,
    rules,
    unavailable: fc.constant('1 of 2 pods are available'),
  },
  { requiredKeys: ['minutes', 'enforced', 'rolledOut', 'override', 'range', 'rules'] },
);
const life = fc
  .tuple(manifest, fc.array(moment, { minLength: 1, maxLength: 20 }))
  .map(([manifest, moments]) => live(manifest, moments));

/** The cluster agrees with the record: what runs is what the status saw, and waits for nothing. */
function explained(record: RecordResource, seen = record): Explanation {
  const running = memoryOfRecord(seen).containers.map(({ workload, name, current }) => {
    return { workload, container: name, memory: current, wanted: current, because: 'manifest' };
  });
  return explain(record, running, rulesFrom);
}

t.test('whatever the rules decided, under whatever settings, is explained by the status alone', async (t) => {
  let decided = 0;
  let forgotten = 0;
  fc.assert(
    fc.property(life, (record) => {
      const { wrong, sections } = explained(record);
      const lines = sections.flatMap(({ lines }) => lines);
      decided += lines.filter(({ name }) => name === 'applied').length;
      forgotten += memoryOfRecord(record).history.length === 10 ? 1 : 0;
      if (wrong > 0) throw new Error(JSON.stringify(lines.filter((line) => line.wrong !== undefined)));
    }),
    LAW,
  );
  t.ok(decided > 1000, `${decided} applied values were among them`);
  t.ok(forgotten > 100, `${forgotten} of the records had more changes than the history holds`);
});

/** A number of the status: how to reach it, and the line that has to tell. */
type Place = { holder: Record<string, string>; key: string; line: string };

function places(record: RecordResource): Place[] {
  const memory = memoryOfRecord(record);
  const of = (holder: unknown, line: string, keys = ['request', 'limit']): Place[] =>
    keys.flatMap((key) =>
      holder && (holder as Record<string, string>)[key] !== undefined
        ? [{ holder: holder as Record<string, string>, key, line }]
        : [],
    );
  return [
    ...of(memory, 'request', ['request']),
    ...of(memory, 'limit', ['limit']),
    ...memory.containers.flatMap((container) => [
      ...of(container.recommended, 'recommended'),
      ...of(container.applied, 'applied'),
      ...of(container.applied?.previous, 'applied'),
      ...of(container.override, 'override'),
      ...of(container.current, 'runs'),
    ]),
    ...memory.history.flatMap((entry) => [...of(entry.to, entry.change), ...of(entry.from, entry.change)]),
  ];
}

t.test('any one number that was changed by hand is named', async (t) => {
  let count = 0;
  fc.assert(
    fc.property(life, fc.nat(), (record, choice) => {
      const tampered = structuredClone(record);
      const all = places(tampered);
      const place = all[choice % Math.max(1, all.length)];
      if (!place) return true;
      count += 1;
      const { holder, key, line } = place;
      // One KiB more; the columns of `kubectl get` are text.
      const more = readBytes(holder[key]);
      holder[key] = more === undefined ? `${holder[key]}x` : formatBytes(more + 1024);
      const wrong = explained(tampered, record).sections.flatMap(({ lines }) => lines.filter((one) => one.wrong));
      return wrong.some(({ name }) => name === line);
    }),
    LAW,
  );
  t.ok(count > 900, `${count} numbers were changed`);
});

t.test('evidence that was changed decides the same, or the decision is named', async (t) => {
  let named = 0;
  fc.assert(
    fc.property(life, fc.nat(), fc.constantFrom('ws_avg', 'ws_p95', 'ws_max'), (record, choice, key) => {
      const tampered = structuredClone(record);
      const evidence = memoryOfRecord(tampered).evidence ?? [];
      const one = evidence[choice % Math.max(1, evidence.length)];
      if (!one?.long) return true;
      one.long[key] = '11Gi';
      const told = (whole: RecordResource) => JSON.stringify(memoryOfRecord(whole).containers);
      const { wrong, sections } = explained(tampered);
      named += wrong > 0 ? 1 : 0;
      const names = sections.flatMap(({ lines }) => lines.filter((line) => line.wrong).map(({ name }) => name));
      return (
        told(tampered) === told(record) && names.every((name) => ['observed', 'recommended', 'applied'].includes(name))
      );
    }),
    LAW,
  );
  t.ok(named > 200, `${named} times it decided something else`);
});
