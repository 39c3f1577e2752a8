/** Known answers of VPA's defaults, worked out by hand from its documents and source. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { replay } from '../../src/replay/replay.ts';
import { createRecommender, vpa } from '../../src/replay/vpa.ts';
import { MINUTE, mi, minutely, START, said, steadyFor } from './samples.ts';

const DAY = 24 * 60 * MINUTE;

/** Buckets end at 10 MB × (1.05^n - 1) / 0.05. @param n counted from 1 */
const end = (n: number) => (1e7 * (1.05 ** n - 1)) / 0.05;

t.test('the target is the end of the peak’s bucket, 15% more', async (t) => {
  const recommender = createRecommender();
  recommender.sample(START, 500e6);
  t.ok(end(25) < 500e6 && end(26) > 500e6, '477.3 and 511.1 MB');
  t.equal(Math.round(recommender.recommend()?.target ?? 0), Math.round(end(26) * 1.15));
});

t.test('no pod of one container gets less than 250Mi', async (t) => {
  const recommender = createRecommender();
  recommender.sample(START, 10 * Mi);
  t.match(recommender.recommend(), { lower: 250 * Mi, target: 250 * Mi });
});

t.test('a day has one peak, and only the newest of it counts', async (t) => {
  const recommender = createRecommender();
  recommender.sample(START, 500e6);
  recommender.sample(START + MINUTE, 900e6);
  recommender.sample(START + 2 * MINUTE, 500e6);
  t.ok(end(34) < 900e6 && end(35) > 900e6);
  t.equal(Math.round(recommender.recommend()?.target ?? 0), Math.round(end(35) * 1.15));
});

t.test('the p90 of the days’ peaks forgets an old one: newer days weigh twice as much as the day before', async (t) => {
  const targets: number[] = [];
  const recommender = createRecommender();
  for (let day = 0; day < 6; day += 1) {
    recommender.sample(START + day * DAY, day === 0 ? 900e6 : 500e6);
    targets.push(recommender.recommend()?.target ?? 0);
  }
  const [high, low] = [targets[0] as number, Math.min(...targets)];
  // The weights of the first day: 1/1, 1/3, 1/7, 1/15, …: less than a tenth from the fourth day on.
  t.strictSame(
    targets.map((target) => target === high),
    [true, true, true, false, false, false],
  );
  t.ok(low < 600e6);
});

t.test('an OOM kill counts as a peak of the request and 100Mi more, or a fifth where that is more', async (t) => {
  const small = createRecommender();
  small.sample(START, 300 * Mi);
  small.kill(START + MINUTE, 300 * Mi);
  const same = createRecommender();
  same.sample(START, 400 * Mi);
  t.equal(small.recommend()?.target, same.recommend()?.target);
  const large = createRecommender();
  large.sample(START, 1000 * Mi);
  large.kill(START + MINUTE, 1000 * Mi);
  const bumped = createRecommender();
  bumped.sample(START, 1200 * Mi);
  t.equal(large.recommend()?.target, bumped.recommend()?.target);
});

t.test('the bounds close in as the history grows', async (t) => {
  const recommender = createRecommender();
  for (const { at, bytes } of minutely(steadyFor(12 * 60 + 1, 500))) recommender.sample(at, bytes);
  const { target = 0, upper = 0, lower = 0 } = recommender.recommend() ?? {};
  // Of one peak all percentiles are the same; 12 h make the upper bound three times as much, the lower 0.4 % less.
  t.match(upper / target, 3);
  t.ok(Math.abs(lower / target - 1.002 ** -2) < 1e-6);
});

t.test('the updater acts at once on a request out of bounds', async (t) => {
  const first = (request: number) => said(vpa.begin(mi(request, 600)), minutely([500]), mi(request, 600))[0]?.request;
  // Of the first sample there is no history: the lower bound is the floor of 250Mi.
  t.equal(first(250), 250 * Mi);
  t.not(first(249), 249 * Mi);
  const grown = said(vpa.begin(mi(64, 128)), minutely(steadyFor(10, 500)), mi(64, 128)).at(-1);
  t.ok((grown?.request ?? 0) > 500 * Mi);
  t.equal(grown?.limit, (grown?.request ?? 0) * 2, 'in the proportion of the manifest');
});

t.test('within the bounds it waits until the pod has run for 12 hours, and for a tenth', async (t) => {
  const at = (minutes: number, request: number) =>
    said(vpa.begin(mi(request, request)), minutely(steadyFor(minutes, 500)), mi(request, request)).at(-1)?.request;
  t.equal(at(12 * 60, 900), 900 * Mi, 'a minute too early');
  t.not(at(12 * 60 + 1, 900), 900 * Mi);
  t.equal(at(12 * 60 + 1, 640), 640 * Mi, 'off by less than a tenth');
});

t.test('a kill soon after the start is acted on at once', async (t) => {
  const tally = replay(minutely([300, 300, 500, 500, 500, 500]), vpa, mi(400, 400));
  t.match(tally, { kills: 1, changes: 1 });
});

t.test('a manifest without a limit gets none, one that is unknown gets a limit like the request', async (t) => {
  const without = said(vpa.begin({ request: Mi }), minutely(steadyFor(9, 500)), { request: Mi }).at(-1);
  t.notHas(without, { limit: Number });
  const unknown = said(vpa.begin({}), minutely(steadyFor(9, 500))).at(-1);
  t.equal(unknown?.limit, unknown?.request);
});
