import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Pair } from '../../src/domain/workload.ts';
import {
  covers,
  differs,
  doubt,
  keepGuaranteed,
  pair,
  raiseOnly,
  revise,
  type Standing,
} from '../../src/recommend/guards.ts';
import type { Observed, Proposal } from '../../src/recommend/memory.ts';
import { decided, inMi, measured, steady, values, windowOf } from './looks.ts';
import { MINUTE, NOW, RULES, rulesFrom } from './rules.ts';

const proposal = (request: number, limit: number): Proposal => ({ ...values(request, limit), reasons: ['usage'] });
const quiet = measured(1, 1, 1);
const HOUR = 60 * MINUTE;

type Given = {
  observed?: Observed;
  current?: Pair<number>;
  standing?: Standing;
  urgent?: boolean;
  now?: number;
};
const look = (request: number, limit: number, given: Given) => {
  const { observed = quiet, current = {}, standing, urgent = false, now = NOW } = given;
  const revision = revise(proposal(request, limit), observed, current, standing, RULES, urgent, now);
  return { ...revision, found: inMi(revision.recommended), because: revision.reasons.join('; ') };
};

t.test('a change is proposed only if it exceeds 20 % or 64Mi', async (t) => {
  t.notOk(differs(values(240, 1000), values(200, 1000), RULES), '20 % exactly');
  t.ok(differs(values(241, 1000), values(200, 1000), RULES), 'more than 20 %');
  t.notOk(differs(values(160, 1000), values(200, 1000), RULES), '20 % down exactly');
  t.ok(differs(values(159, 1000), values(200, 1000), RULES), 'more than 20 % down');
  t.notOk(differs(values(1064, 2000), values(1000, 2000), RULES), '64Mi exactly');
  t.ok(differs({ ...values(1064, 2000), request: 1064 * Mi + 1 }, values(1000, 2000), RULES), 'one byte above 64Mi');
  t.notOk(differs(values(936, 2000), values(1000, 2000), RULES), '64Mi down exactly');
  t.ok(differs({ ...values(936, 2000), request: 936 * Mi - 1 }, values(1000, 2000), RULES), 'one byte more, down');
});

t.test('one side that differs is enough', async (t) => {
  t.ok(differs(values(300, 512), values(200, 512), RULES), 'only the request');
  t.ok(differs(values(200, 512), values(200, 400), RULES), 'only the limit');
  t.notOk(differs(values(200, 512), values(200, 512), RULES));
});

t.test('a value that nobody set is far from every other', async (t) => {
  t.ok(differs(values(64, 128), {}, RULES));
  t.ok(differs(values(64, 128), { request: 64 * Mi }, RULES));
});

t.test('values cover what is used when the request holds the p95 and the limit the max', async (t) => {
  t.ok(covers(values(180, 210), measured(0, 180, 210)));
  t.notOk(covers(values(180, 210), measured(0, 180.001, 210)));
  t.notOk(covers(values(180, 210), measured(0, 180, 210.001)));
  t.notOk(covers({ request: 180 * Mi }, measured(0, 180, 210)), 'a missing side covers nothing');
});

t.test('nothing is recommended while the current values fit', async (t) => {
  const { recommended, isNew, because } = look(224, 336, { current: values(240, 384) });
  t.equal(recommended, undefined);
  t.equal(isNew, false);
  t.equal(because, 'usage; within 20% and 64Mi of the current 240Mi/384Mi: nothing to change');
});

t.test('current values within the hysteresis do not fit if more than they hold is used', async (t) => {
  const observed = measured(100, 230, 240);
  t.same(look(276, 414, { current: values(240, 384), observed }).recommended, undefined);
  t.same(look(276, 414, { current: values(230, 384), observed }).recommended, undefined, 'p95 is just held');
  t.same(look(274, 414, { current: values(229, 384), observed }).found, [274, 414], 'p95 is not held');
  t.same(look(276, 414, { current: values(276, 239), observed }).found, [276, 414]);
});

t.test('the first recommendation is news', async (t) => {
  const { found, isNew, because } = look(224, 336, { current: values(256, 512) });
  t.same([found, isNew, because], [[224, 336], true, 'usage']);
  t.same(look(224, 336, { current: {} }).found, [224, 336], 'also where nobody set anything');
});

t.test('what stands keeps standing while the proposal is close to it', async (t) => {
  const standing = decided(240, 384, NOW - 60 * MINUTE);
  const { recommended, isNew, because } = look(224, 336, { standing, current: values(512, 1024) });
  t.same(recommended, standing);
  t.equal(isNew, false);
  t.equal(because, 'usage; within 20% and 64Mi of the standing 240Mi/384Mi: kept');
});

t.test('the same proposal again needs no words', async (t) => {
  const standing = decided(224, 336, NOW - 60 * MINUTE);
  const { recommended, isNew, because } = look(224, 336, { standing, current: values(512, 1024) });
  t.same([recommended, isNew, because], [standing, false, 'usage']);
});

t.test('a container is not revised within 30 minutes, and is from then on', async (t) => {
  const standing = decided(224, 336, NOW);
  const before = look(512, 768, { standing, now: NOW + 30 * MINUTE - 1 });
  t.same([before.recommended, before.isNew], [standing, false]);
  t.equal(before.because, 'usage; not revised before 2026-01-31T10:30:00.000Z (cooldown): 224Mi/336Mi stands');
  const after = look(512, 768, { standing, now: NOW + 30 * MINUTE });
  t.same([after.found, after.isNew, after.recommended?.at], [[512, 768], true, NOW + 30 * MINUTE]);
});

t.test('a fall waits until less would have done for a whole long window', async (t) => {
  const standing = decided(512, 768, NOW - HOUR);
  const first = look(224, 336, { standing });
  t.same(first.recommended, { ...standing, unneededSince: NOW });
  t.same(
    [first.isNew, first.because],
    [false, 'usage; nothing is lowered before 2026-01-31T16:00:00.000Z: 512Mi/768Mi'],
  );
  const unneeded = { ...standing, unneededSince: NOW };
  t.same(look(240, 360, { standing: unneeded, now: NOW + 6 * HOUR - 1 }).recommended, unneeded);
  const { recommended, isNew, because } = look(240, 360, { standing: unneeded, now: NOW + 6 * HOUR });
  t.same([recommended, isNew], [decided(240, 360, NOW + 6 * HOUR), true], 'what is needed by then');
  t.equal(because, 'usage; less would have done since 2026-01-31T10:00:00.000Z');
});

t.test('a load that comes back begins the wait anew; doubtful data neither begins nor ends it', async (t) => {
  const standing = { ...decided(512, 768, NOW - HOUR), unneededSince: NOW - HOUR };
  t.same(look(480, 720, { standing }).recommended, decided(512, 768, NOW - HOUR));
  const doubtful = raiseOnly(proposal(224, 336), standing, 'doubt');
  t.same(revise(doubtful, quiet, {}, standing, RULES, false, NOW).recommended, standing);
});

t.test('while one side waits for its fall the other may rise', async (t) => {
  const standing = { ...decided(512, 768, NOW - HOUR), unneededSince: NOW - HOUR };
  const { found, isNew, recommended } = look(224, 1024, { standing });
  t.same([found, isNew, recommended?.unneededSince], [[512, 1024], true, NOW - HOUR]);
  t.same(look(224, 800, { standing }).recommended, standing, 'by more than the hysteresis');
});

t.test('the wait for a fall begins in the cooldown, too; one from the future counts as of now', async (t) => {
  const standing = decided(512, 768, NOW);
  const now = NOW + MINUTE;
  t.same(look(224, 336, { standing, now }).recommended, { ...standing, unneededSince: now });
  const future = { ...decided(512, 768, NOW - HOUR), unneededSince: NOW + HOUR };
  t.equal(look(224, 336, { standing: future }).recommended?.unneededSince, NOW);
});

t.test('an OOM kill that asks for more skips the cooldown', async (t) => {
  const standing = decided(224, 336, NOW);
  t.same(look(224, 480, { standing, urgent: true, now: NOW + MINUTE }).found, [224, 480]);
  t.same(look(128, 240, { standing, urgent: true, now: NOW + MINUTE }).found, [224, 336], 'never for a fall');
});

t.test('when usage has moved back, the values that run become the recommendation', async (t) => {
  const standing = decided(512, 768, NOW - 30 * MINUTE);
  const { found, isNew, because } = look(224, 336, { standing, current: values(240, 352) });
  t.same([found, isNew], [[240, 352], true]);
  t.equal(because, 'usage; within 20% and 64Mi of the current 240Mi/352Mi: the current values fit');
});

t.test('within the cooldown the values that run do not replace what stands', async (t) => {
  const standing = decided(512, 768, NOW - 29 * MINUTE);
  t.same(look(224, 336, { standing, current: values(240, 352) }).found, [512, 768]);
});

t.test('data can be doubted when it is too little, by one sample', async (t) => {
  const samples = (count: number, before = 1) => ({
    ...steady(1, 2, 3),
    short: windowOf(1, 2, 3, count),
    long: windowOf(1, 2, 3, before),
  });
  t.equal(doubt(samples(19), RULES), 'only 19 of the 20 samples that 10m hold');
  t.equal(doubt(samples(20), RULES), undefined);
  t.equal(
    doubt(samples(1, 20), RULES),
    undefined,
    'in either window: a container that has just started again has a history',
  );
  const slower = rulesFrom({ OPRC_CRM_SCRAPE_INTERVAL_SECS: '60' });
  t.equal(doubt(samples(10), slower), undefined, 'what a short window holds depends on how often Prometheus scrapes');
  t.equal(doubt(samples(9), slower), 'only 9 of the 10 samples that 10m hold');
});

t.test('data can be doubted when it is stale or partial', async (t) => {
  t.equal(doubt({ long: windowOf(1, 2, 3), partial: false }, RULES), 'no samples in the last 10m');
  t.equal(doubt({ ...steady(1, 2, 3), partial: true }, RULES), 'Prometheus answered only in part');
  t.equal(doubt({ short: windowOf(1, 2, 3), partial: false }, RULES), 'no samples of the last 6h yet');
});

t.test('doubtful data raises each side, and lowers none', async (t) => {
  const raise = (request: number, limit: number, reference: Pair<number>) => {
    const raised = raiseOnly(proposal(request, limit), reference, 'doubt');
    return [inMi(raised), raised.reasons.at(-1)];
  };
  t.same(raise(224, 336, values(200, 300)), [[224, 336], 'doubt: may raise, never lower']);
  t.same(raise(224, 336, values(224, 336)), [[224, 336], 'doubt: may raise, never lower']);
  t.same(raise(224, 336, values(225, 300)), [[225, 336], 'doubt: may raise, never lower; kept at 225Mi/336Mi']);
  t.same(raise(224, 336, values(200, 512)), [[224, 512], 'doubt: may raise, never lower; kept at 224Mi/512Mi']);
  t.same(raise(224, 336, {}), [[224, 336], 'doubt: may raise, never lower']);
});

t.test('a container whose request equals its limit keeps them equal, at the value of the limit', async (t) => {
  const kept = keepGuaranteed(proposal(224, 336), values(512, 512));
  t.same(inMi(kept), [336, 336]);
  t.equal(kept.reasons.at(-1), 'request kept equal to the limit, as in the manifest');
});

t.test('a container that was not Guaranteed does not become it', async (t) => {
  for (const current of [values(511, 512), { limit: 512 * Mi }, { request: 512 * Mi }, {}]) {
    t.same(inMi(keepGuaranteed(proposal(224, 336), current)), [224, 336]);
  }
});

t.test('a pair is printed as people write it, with a dash where nobody set a value', async (t) => {
  t.equal(pair(values(224, 336)), '224Mi/336Mi');
  t.equal(pair(values(1024, 1536)), '1Gi/1536Mi');
  t.equal(pair({ limit: 129_000_000 }), '-/123.0Mi');
  t.equal(pair({ request: 1000 }), '1000/-');
  t.equal(pair({}), '-/-');
});

t.test('a percentage of the settings is printed as it was written', async (t) => {
  const rules = rulesFrom({ OPRC_CRM_HYSTERESIS_PERCENT: '7' });
  const { reasons } = revise(proposal(224, 336), quiet, values(224, 340), undefined, rules, false, NOW);
  t.equal(reasons.at(-1), 'within 7% and 64Mi of the current 224Mi/340Mi: nothing to change');
});
