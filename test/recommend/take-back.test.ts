/** Applied values that made it worse are taken back. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Applied } from '../../src/recommend/guards.ts';
import { type Aftermath, settle, takeBack } from '../../src/recommend/take-back.ts';
import { inMi, values } from './looks.ts';
import { MINUTE, NOW, RULES } from './rules.ts';

const FREE = { fixed: {}, written: values(512, 1024), range: {}, guaranteed: false };
const step = (more: Partial<Applied> = {}): Applied => ({
  ...values(368, 720),
  at: NOW,
  previous: values(512, 1024),
  ...more,
});
const back = (
  oomLimit: number | undefined,
  more: Partial<Applied> = {},
  aftermath: Aftermath = {},
  bounds = FREE,
  minutes = 1,
) =>
  takeBack(step(more), { since: NOW, ...aftermath }, oomLimit && oomLimit * Mi, bounds, RULES, NOW + minutes * MINUTE);
const gone = { unavailable: 'not available (ProgressDeadlineExceeded: words)' };

t.test('an OOM kill at the limit that was lowered, or beyond it', async (t) => {
  t.strictSame(inMi(back(720)?.applied), [512, 1024]);
  t.strictSame(inMi(back(800)?.applied), [512, 1024]);
  t.equal(back(719), undefined, 'a kill of before');
  t.equal(back(undefined), undefined);
});

t.test('never below what killed: max(limit × 1.2, limit + 100Mi)', async (t) => {
  // 720 × 1.2 = 864; 880 previously would be enough, 800 not.
  t.strictSame(inMi(back(720, { previous: values(512, 880) })?.applied), [512, 880]);
  t.strictSame(inMi(back(720, { previous: values(512, 800) })?.applied), [512, 864]);
  t.strictSame(
    inMi(back(128, { ...values(64, 128), previous: values(96, 160) })?.applied),
    [96, 240],
    '228 rounded up',
  );
});

t.test('a limit that was not lowered is no change that made it worse: the rules raise it', async (t) => {
  t.equal(back(720, { previous: values(512, 720) }), undefined);
  t.equal(back(720, { previous: values(512, 600) }), undefined);
  t.strictSame(inMi(back(720, { previous: { request: 512 * Mi } })?.applied), [512, 864], 'no limit was the highest');
});

t.test('a workload that stopped being available', async (t) => {
  const taken = back(undefined, {}, gone);
  t.strictSame(inMi(taken?.applied), [512, 1024]);
  t.match(
    taken?.reason,
    'taken back from 368Mi/720Mi to 512Mi/1Gi: not available (ProgressDeadlineExceeded: words) within the cooldown',
  );
});

t.test('within the cooldown after the values came to run, and not after it', async (t) => {
  t.ok(back(720, {}, {}, FREE, 29));
  t.equal(back(720, {}, {}, FREE, 30), undefined);
  t.ok(back(720, { cooldownSeconds: 3600 }, {}, FREE, 59), "the container's own cooldown counts");
});

t.test('values that do not run yet have done nothing', async (t) => {
  t.equal(back(720, {}, { since: NOW - 1, ...gone }), undefined);
  t.equal(takeBack(step(), gone, 720 * Mi, FREE, RULES, NOW), undefined);
});

t.test('the cooldown doubles, up to a day; what was taken back is not taken back again', async (t) => {
  t.equal(back(720)?.applied.cooldownSeconds, 3600);
  t.equal(back(720, { cooldownSeconds: 43_200 })?.applied.cooldownSeconds, 86_400);
  t.equal(back(720, { cooldownSeconds: 80_000 })?.applied.cooldownSeconds, 86_400);
  const { applied } = back(720) ?? {};
  t.match(applied, { takenBack: true, at: NOW + MINUTE });
  t.equal(
    applied && takeBack(applied, { since: NOW + MINUTE, ...gone }, 720 * Mi, FREE, RULES, NOW + 2 * MINUTE),
    undefined,
  );
});

t.test("the namespace's LimitRange and a Guaranteed pod hold here, too", async (t) => {
  t.strictSame(inMi(back(720, {}, {}, { ...FREE, range: { max: 900 * Mi } })?.applied), [512, 900]);
  const equal = { ...values(720, 720), previous: values(1024, 1024) };
  t.strictSame(inMi(back(720, equal, {}, { ...FREE, guaranteed: true })?.applied), [1024, 1024]);
});

t.test('what has lasted a cooldown is not taken back later', async (t) => {
  const after = (minutes: number) => settle(step(), { since: NOW }, RULES, NOW + minutes * MINUTE).previous;
  t.strictSame(inMi(after(29)), [512, 1024]);
  t.equal(after(30), undefined);
  t.equal(settle(step({ takenBack: true }), { since: NOW }, RULES, NOW).takenBack, undefined, 'it runs');
  t.equal(settle(step({ takenBack: true }), { since: NOW - 1 }, RULES, NOW).takenBack, true);
});
