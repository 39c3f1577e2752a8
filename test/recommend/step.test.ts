import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Pair } from '../../src/domain/workload.ts';
import type { Decided } from '../../src/recommend/guards.ts';
import { type StepBounds, stepMemory } from '../../src/recommend/step.ts';
import { decided, inMi, measured, values } from './looks.ts';
import { MINUTE, NOW, RULES, rulesFrom } from './rules.ts';

type Given = Partial<StepBounds> & { standing?: Decided; now?: number; rules?: typeof RULES };
const step = (current: Pair<number>, target: { request: number; limit: number }, given: Given = {}) => {
  const { standing, now = NOW, rules = RULES, ...bounds } = given;
  const guaranteed = current.request !== undefined && current.request === current.limit;
  const open = { fixed: {}, written: {}, range: {}, raiseOnly: false, urgent: false };
  const all = { observed: measured(1, 1, 1), guaranteed, ...open, ...bounds };
  const taken = stepMemory(current, target, standing, all, rules, now);
  const { applied, isNew, reasons } = taken ?? { applied: undefined, isNew: false, reasons: [] };
  return { applied, found: inMi(applied), isNew, because: reasons.join('; ') };
};

t.test('a step changes a value by at most 30 %, rounded to 16Mi towards where it starts', async (t) => {
  t.same(step(values(512, 512), values(336, 336)).found, [368, 368], '358.4Mi, and down no further than 368Mi');
  t.same(step(values(256, 512), values(224, 336)).found, [224, 368], 'each side for itself');
  t.same(step(values(512, 768), values(1024, 1536)).found, [656, 992], '665.6Mi and 998.4Mi, and up no further');
});

t.test('a target within reach of one step is reached', async (t) => {
  t.same(step(values(480, 480), values(336, 336)).found, [336, 336], '30 % exactly');
  t.same(step(values(480, 496), values(320, 336)).found, [336, 352], '347.2Mi');
  t.same(step(values(320, 480), values(416, 624)).found, [416, 624], '30 % up exactly');
  t.equal(step(values(480, 480), values(336, 336)).because, 'applied 336Mi/336Mi as recommended');
});

t.test('a step that was bounded says so', async (t) => {
  t.equal(
    step(values(256, 512), values(224, 336)).because,
    'applied 224Mi/368Mi towards 224Mi/336Mi; at most 30% a step, limit from 512Mi',
  );
  const rules = rulesFrom({ OPRC_CRM_STEP_PERCENT: '29' });
  t.match(
    step(values(512, 512), values(224, 224), { rules }).because,
    /; at most 29% a step, request from 512Mi, limit from 512Mi/,
  );
});

t.test('a side that nobody set is taken to the target at once', async (t) => {
  t.same(step({}, values(224, 336)).found, [224, 336]);
  t.same(step({ request: 512 * Mi }, values(224, 336)).found, [368, 368], 'the limit makes room for the request');
  t.same(step({ limit: 512 * Mi }, values(224, 336)).found, [224, 368]);
});

t.test('small values rise by at least 16Mi a step, so that they arrive', async (t) => {
  t.same(step(values(10, 10), values(64, 128)).found, [16, 16]);
  t.same(step(values(16, 32), values(64, 128)).found, [32, 48]);
  t.same(step(values(48, 96), values(64, 128)).found, [64, 112], '30 % of 96Mi are more than 16Mi, and end at 112Mi');
});

t.test('a fall whose step is smaller than a rounding unit is not rounded, so that it arrives', async (t) => {
  t.same(
    step(values(15, 30), values(14, 20), { observed: measured(0, 0, 0) }).found,
    [14, 21],
    'down by 30 %, to 21Mi',
  );
  const rules = rulesFrom({ OPRC_CRM_STEP_PERCENT: '25' });
  t.same(step(values(512, 32), values(512, 16), { rules, observed: measured(0, 0, 0) }).found?.[0], 512);
});

t.test('a rise within one rounding unit arrives as well', async (t) => {
  t.same(step(values(60, 120), values(64, 128)).found, [64, 128]);
});

t.test('the request never falls below the observed p95, whatever the target or the bound', async (t) => {
  t.same(step(values(512, 512), values(64, 128), { observed: measured(0, 400, 400) }).found, [400, 400]);
  t.same(step(values(512, 512), values(64, 128), { observed: measured(0, 401, 401) }).found, [416, 416], 'rounded up');
  t.match(
    step(values(512, 512), values(64, 128), { observed: measured(0, 401, 300) }).because,
    /request not below the 401Mi in use/,
  );
});

t.test('floors beat the bound: what is used is covered at once', async (t) => {
  t.same(step(values(100, 200), values(512, 768), { observed: measured(0, 300, 400) }).found, [304, 400]);
});

t.test('the limit never falls below the observed max', async (t) => {
  t.same(step(values(224, 512), values(224, 336), { observed: measured(0, 180, 384) }).found, [224, 384]);
  t.same(step(values(224, 512), values(224, 336), { observed: measured(0, 180, 368) }).found, [224, 368]);
});

t.test('doubtful data lowers neither side and raises both', async (t) => {
  t.same(step(values(256, 512), values(224, 336), { raiseOnly: true }).found, undefined, 'what runs stays');
  const held = step(values(256, 320), values(224, 480), { raiseOnly: true });
  t.same(held.found, [256, 416]);
  t.match(held.because, /; request not lowered$/);
  t.same(step(values(256, 320), values(320, 480), { raiseOnly: true }).found, [320, 416]);
});

t.test('a Guaranteed container stays one through every step', async (t) => {
  t.same(step(values(512, 512), values(336, 336), { observed: measured(0, 380, 390) }).found, [400, 400]);
});

t.test('the first step is news', async (t) => {
  const { applied, isNew } = step(values(256, 512), values(224, 336));
  t.equal(isNew, true);
  t.equal(applied?.at, NOW);
});

t.test('one step a cooldown: not one millisecond before 30 minutes, and then', async (t) => {
  const standing = decided(224, 368, NOW);
  const before = step(values(224, 368), values(224, 336), { standing, now: NOW + 30 * MINUTE - 1 });
  t.same([before.applied, before.isNew], [standing, false]);
  t.equal(before.because, 'no further step before 2026-01-31T10:30:00.000Z (cooldown)');
  const after = step(values(224, 368), values(224, 336), { standing, now: NOW + 30 * MINUTE });
  t.same([after.found, after.isNew, after.applied?.at], [[224, 336], true, NOW + 30 * MINUTE]);
});

t.test('a step that leads to what is applied already is no news', async (t) => {
  const standing = decided(224, 368, NOW - 60 * MINUTE);
  const { applied, isNew } = step(values(256, 512), values(224, 336), { standing });
  t.same([applied, isNew], [standing, false], 'the pods still run the old values, as with the strategy admission');
});

t.test('the cooldown yields to an OOM kill, and to usage that the applied values do not hold', async (t) => {
  const standing = decided(224, 336, NOW - MINUTE);
  t.same(step(values(224, 336), values(288, 432), { standing, urgent: true }).found, [288, 432]);
  t.same(step(values(224, 336), values(288, 432), { standing, observed: measured(0, 225, 230) }).found, [288, 432]);
  t.same(step(values(224, 336), values(288, 432), { standing, observed: measured(0, 224, 336) }).found, [224, 336]);
});

t.test("a step stays inside the namespace's LimitRange", async (t) => {
  const within = (range: StepBounds['range']) => step({}, values(224, 336), { range });
  t.same(within({ min: 224 * Mi, max: 336 * Mi }).found, [224, 336], 'the bounds themselves are inside');
  t.notMatch(within({ min: 224 * Mi, max: 336 * Mi }).because, /LimitRange/);
  t.same(within({ min: 256 * Mi }).found, [256, 336]);
  t.match(within({ min: 256 * Mi }).because, /; request 256Mi for the LimitRange's minimum$/);
  t.same(within({ max: 320 * Mi }).found, [224, 320]);
  t.match(within({ max: 320 * Mi }).because, /; limit 320Mi for the LimitRange's maximum$/);
  t.same(within({ min: 400 * Mi }).found, [400, 400]);
  t.same(within({ max: 200 * Mi }).found, [200, 200]);
});

t.test("the LimitRange's ratio of limit to request raises the request", async (t) => {
  const within = (maxLimitRequestRatio: number) => step({}, values(224, 336), { range: { maxLimitRequestRatio } });
  t.same(within(1.5).found, [224, 336], 'the ratio itself is inside');
  t.notMatch(within(1.5).because, /ratio/);
  t.same(within(1.3125).found, [256, 336]);
  t.match(within(1.3125).because, /; request 256Mi for the LimitRange's ratio of 1\.3125$/);
  t.same(within(1).found, [336, 336]);
});

t.test("the LimitRange's maximum beats even what is used: the API server refuses anything else", async (t) => {
  const { found } = step(values(256, 512), values(512, 768), {
    observed: measured(0, 600, 700),
    range: { max: 640 * Mi },
  });
  t.same(found, [608, 640]);
});

t.test('a side that an override fixes is one that the other has to fit', async (t) => {
  t.same(step({}, values(224, 336), { fixed: { limit: 200 * Mi } }).found, [200, 336], 'request at most its limit');
  t.match(step({}, values(224, 336), { fixed: { limit: 200 * Mi } }).because, /request 200Mi for the override's limit/);
  t.same(step({}, values(224, 336), { fixed: { limit: 224 * Mi } }).found, [224, 336]);
  t.same(step({}, values(224, 336), { fixed: { request: 400 * Mi } }).found, [224, 400], 'limit at least its request');
  t.match(
    step({}, values(224, 336), { fixed: { request: 400 * Mi } }).because,
    /limit 400Mi for the override's request/,
  );
  t.same(step({}, values(224, 336), { fixed: { request: 336 * Mi } }).found, [224, 336]);
});

t.test(
  "beside an override the other side fits the LimitRange's ratio, not our own value of the fixed side",
  async (t) => {
    const range = { maxLimitRequestRatio: 2 };
    const { found, because } = step(values(256, 512), values(224, 336), { range, fixed: { limit: 1024 * Mi } });
    t.equal(found?.[0], 512, 'pods with 1Gi/224Mi would be refused');
    t.match(because, /; request 512Mi for the LimitRange's ratio of 2$/);
    t.equal(step(values(256, 512), values(224, 336), { range, fixed: { request: 100 * Mi } }).found?.[1], 192);
  },
);

t.test('a manifest that names one side only gets another side that fits beside it, should we be away', async (t) => {
  const requestOnly = step({ request: 512 * Mi }, values(400, 480), { written: { request: 512 * Mi } });
  t.same(requestOnly.found, [400, 512]);
  t.match(requestOnly.because, /; limit 512Mi for the manifest's request$/);
  const limitOnly = step(values(256, 256), values(320, 480), { written: { limit: 256 * Mi }, guaranteed: false });
  t.same(limitOnly.found, [256, 320]);
  t.match(limitOnly.because, /; request 256Mi for the manifest's limit$/);
  t.same(step(values(512, 512), values(400, 480), { written: values(512, 512), guaranteed: false }).found, [400, 480]);
});

t.test('what runs already is nothing to apply', async (t) => {
  t.equal(step(values(224, 336), values(224, 336)).applied, undefined);
  t.same(step(values(224, 336), values(224, 336), { standing: decided(224, 336, NOW) }).isNew, false);
});
