import t from 'tap';
import { Gi, Ki, Mi } from '../../src/domain/quantity.ts';
import { observe, proposeMemory, roundUp } from '../../src/recommend/memory.ts';
import { inMi, measured, steady, windowOf } from './looks.ts';
import { RULES, rulesFrom } from './rules.ts';

const propose = (avg: number, p95: number, max: number, oomLimit?: number) =>
  proposeMemory(measured(avg, p95, max), RULES, oomLimit && oomLimit * Mi);
const adaptive = (avg: number, p95: number, max: number, oomLimit?: number) =>
  proposeMemory(measured(avg, p95, max), rulesFrom({ OPRC_CRM_MEMORY_RULES: 'adaptive' }), oomLimit && oomLimit * Mi);
const because = (...args: Parameters<typeof propose>) => propose(...args).reasons.join('; ');

t.test("the seed's example: avg 110Mi, p95 180Mi and max 210Mi give 224Mi and 336Mi", async (t) => {
  t.same(inMi(propose(110, 180, 210)), [224, 336]);
  t.equal(because(110, 180, 210), 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi');
});

t.test(
  'the request is the largest of p95 + 20 %, average + 50 % and the minimum, and the rationale says which',
  async (t) => {
    t.same(inMi(propose(100, 200, 200)), [240, 368]);
    t.match(because(100, 200, 200), /^p95-based with 20% headroom: 240Mi, 360Mi;/);
    t.same(inMi(propose(180, 200, 200)), [272, 416]);
    t.match(because(180, 200, 200), /^average-based with 50% headroom: 270Mi, 405Mi;/);
    t.same(inMi(propose(10, 20, 30)), [64, 128]);
    t.match(because(10, 20, 30), /^the minimum request: 64Mi, 96Mi;/);
  },
);

t.test(
  'where two rules ask for the same, p95 is named before the average, and the average before the minimum',
  async (t) => {
    t.match(because(160, 200, 200), /^p95-based/);
    t.match(because(160.001, 200, 200), /^average-based/);
    t.match(because(128 / 3, 20, 20), /^average-based with 50% headroom: 64Mi/);
    t.match(because(128 / 3 - 0.001, 20, 20), /^the minimum request/);
  },
);

t.test('the limit is the larger of max + 10 % and request + 50 %', async (t) => {
  t.same(inMi(propose(110, 180, 305)), [224, 336], '335.5Mi are less than 336Mi');
  t.equal(because(110, 180, 305), 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi');
  t.same(inMi(propose(110, 180, 306)), [224, 352], '336.6Mi are more');
  t.equal(
    because(110, 180, 306),
    'p95-based with 20% headroom: 216Mi; limit max-based with 10% headroom: 336.6Mi; rounded to 224Mi and 352Mi',
  );
  t.match(because(110, 180, 336 / 1.1), /^p95-based with 20% headroom: 216Mi, 324Mi;/, 'equal: the request names it');
});

t.test('values are rounded up to 16Mi: an exact multiple stays, one byte above it is the next', async (t) => {
  t.equal(roundUp(224 * Mi, 16 * Mi), 224 * Mi);
  t.equal(roundUp(224 * Mi + 1, 16 * Mi), 240 * Mi);
  t.equal(roundUp(224 * Mi - 1, 16 * Mi), 224 * Mi);
  t.equal(roundUp(0, 16 * Mi), 0);
  t.same(inMi(propose(0, 200, 0)), [240, 368], '200Mi + 20 % are 240Mi exactly');
  t.same(inMi(propose(0, 200 + 1 / 1024, 0)), [256, 384]);
});

t.test('that 1.2 is not exact in binary costs no rounding step', async (t) => {
  for (let step = 5; step <= 215; step += 5) {
    const p95 = (step * 16) / 1.2;
    if (Number.isInteger(p95)) t.equal(inMi(propose(0, p95, 0))?.[0], step * 16, `p95 ${p95}Mi`);
  }
  t.end();
});

t.test('the request is never below 64Mi, the limit never below 128Mi', async (t) => {
  t.same(inMi(propose(0, 0, 0)), [64, 128]);
  t.equal(
    because(0, 0, 0),
    'the minimum request: 64Mi, 96Mi; rounded to 64Mi and 96Mi; limit raised to the minimum 128Mi',
  );
  t.same(inMi(propose(0, 53, 0)), [64, 128], '63.6Mi');
  t.same(inMi(propose(0, 54, 0)), [80, 128], '64.8Mi: the limit of 120Mi is still below its minimum');
  t.same(inMi(propose(0, 67, 0)), [96, 144], '80.4Mi');
  t.notMatch(because(0, 67, 0), /minimum/);
});

t.test('the request is never above 4Gi, and the rationale says that it was capped', async (t) => {
  t.same(inMi(propose(0, 4096 / 1.2, 0)), [4096, 6144]);
  t.notMatch(because(0, 4096 / 1.2, 0), /capped/);
  t.same(inMi(propose(0, 4100 / 1.2, 0)), [4096, 6144]);
  t.match(because(0, 4100 / 1.2, 0), /request capped at 4Gi$/);
});

t.test('the limit of a capped request is explained by the capped request', async (t) => {
  t.equal(
    because(0, 5000, 5000),
    'p95-based with 20% headroom: 6000Mi, 6Gi; rounded to 6000Mi and 6Gi; request capped at 4Gi',
  );
});

t.test('the limit is never above 8Gi, and the rationale says that it was capped', async (t) => {
  t.same(inMi(propose(0, 100, 7447)), [128, 8192], '8191.7Mi');
  t.notMatch(because(0, 100, 7447), /capped/);
  t.same(inMi(propose(0, 100, 7448)), [128, 8192], '8192.8Mi');
  t.match(because(0, 100, 7448), /rounded to 128Mi and 8208Mi; limit capped at 8Gi$/);
});

t.test('the limit is never below the request, whatever the settings say', async (t) => {
  const rules = { ...RULES, requestMax: 8 * Gi, limitMax: 4 * Gi };
  t.same(inMi(proposeMemory(measured(0, 5120, 5120), rules)), [6144, 6144]);
});

t.test('an OOM kill raises what counts as max to the larger of limit + 20 % and limit + 100Mi', async (t) => {
  t.same(inMi(propose(50, 100, 200, 200)), [128, 336], '200Mi + 100Mi, + 10 %');
  t.match(because(50, 100, 200, 200), /^max counted as 300Mi after an OOM kill at 200Mi; /);
  t.match(because(50, 100, 200, 500), /^max counted as 600Mi after an OOM kill at 500Mi; /, 'both say 600Mi');
  t.match(because(50, 100, 200, 499), /^max counted as 599Mi /);
  t.match(because(50, 100, 200, 505), /^max counted as 606Mi /);
});

t.test('an OOM kill at a limit that is small beside what was measured since changes nothing', async (t) => {
  t.same(propose(50, 100, 300, 200), propose(50, 100, 300), '300Mi count already');
  t.match(because(50, 100, 299, 200), /^max counted as 300Mi/);
});

t.test('an OOM kill at the largest limit cannot ask for more', async (t) => {
  t.same(inMi(propose(50, 100, 8192, 8192)), [128, 8192]);
});

t.test('each number of the rules is a setting', async (t) => {
  const rules = rulesFrom({
    OPRC_CRM_REQUEST_P95_FACTOR: '1.35',
    OPRC_CRM_LIMIT_REQUEST_FACTOR: '2',
    OPRC_CRM_ROUND_TO: '1Mi',
  });
  const { request, limit, reasons } = proposeMemory(measured(0, 100, 100), rules);
  t.same(inMi({ request, limit }), [135, 270]);
  t.equal(reasons.join('; '), 'p95-based with 35% headroom: 135Mi, 270Mi; rounded to 135Mi and 270Mi');
});

t.test(
  'of both windows the larger counts: a rise is followed at once, a fall when the long window agrees',
  async (t) => {
    const usage = { short: windowOf(10, 300, 20), long: windowOf(20, 200, 40), partial: false };
    t.same(observe(usage), measured(20, 300, 40));
  },
);

t.test('one window is enough to have observed something, none is not', async (t) => {
  t.same(observe({ long: windowOf(10, 20, 30), partial: false }), measured(10, 20, 30));
  t.same(observe({ short: windowOf(10, 20, 30), partial: false }), measured(10, 20, 30));
  t.equal(observe({ partial: false }), undefined);
});

t.test('what was observed is whole KiB, rounded up, so that a reader can recompute from status', async (t) => {
  const usage = steady(0, 0, 0);
  usage.short = { avg: 1, p95: Ki, max: Ki + 0.5, samples: 20 };
  t.same(observe(usage), { avg: Ki, p95: Ki, max: 2 * Ki });
});

t.test('the adaptive rules: p95 + 5 % for the request, whatever the average', async (t) => {
  t.same(inMi(adaptive(400, 400, 400)), [432, 912], '420Mi');
  t.match(adaptive(400, 400, 400).reasons[0], 'p95-based with 5% headroom: 420Mi; limit max-based with');
  t.same(inMi(adaptive(1, 2, 3))?.[0], 64);
  t.match(adaptive(1, 2, 3).reasons[0], /^the minimum request: 64Mi/);
});

t.test('the adaptive limit is the larger of max + 512Mi and max + 50 %', async (t) => {
  t.same(inMi(adaptive(1, 2, 1024))?.[1], 1536, 'both are the same');
  t.match(adaptive(1, 2, 1024).reasons[0], 'limit max-based with 50% headroom: 1536Mi');
  t.same(inMi(adaptive(1, 2, 1023))?.[1], 1536, '1535Mi');
  t.match(adaptive(1, 2, 1023).reasons[0], 'limit max-based with 512Mi headroom: 1535Mi');
  t.same(inMi(adaptive(1, 2, 1025))?.[1], 1552, '1537.5Mi');
});

t.test('after an OOM kill the adaptive limit leaves its headroom above what would have been used', async (t) => {
  t.same(inMi(adaptive(100, 100, 200, 1000))?.[1], 1808, '1000Mi × 1.2 × 1.5 = 1800Mi');
});

t.test('clamps and rounding are those of the settings, also for the adaptive rules', async (t) => {
  t.same(inMi(adaptive(5000, 5000, 9000)), [4096, 8192]);
});
