/** The figures of a policy over many containers. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { manifest } from '../../src/replay/manifest.ts';
import { replay } from '../../src/replay/replay.ts';
import { summarize } from '../../src/replay/summary.ts';
import { mi, minutely, steadyFor } from './samples.ts';

const day = (value: number) => replay(minutely(steadyFor(1441, value)), manifest, mi(100, 200));

t.test('figures are over all containers together', async (t) => {
  const summary = summarize([day(50), day(75), replay(minutely([50, 201]), manifest, mi(100, 200))]);
  t.match(summary, { containers: 3, kills: 1, killedContainers: 1, worstShortfall: Mi });
  t.equal(Math.round(summary.overRequest.value * 1000), 375);
  t.equal(Math.round((summary.requestByteHours / Mi / 100) * 10), 480);
});

t.test('an interval holds its figure, is wide where one container decides, and the same each time', async (t) => {
  const tallies = [...Array.from({ length: 20 }, () => day(50)), day(300)];
  const { killsPerDay, overRequest } = summarize(tallies);
  t.ok(killsPerDay.low === 0 && killsPerDay.high > killsPerDay.value, 'without the one there are no kills');
  t.ok(overRequest.low <= overRequest.value && overRequest.value <= overRequest.high);
  t.strictSame(summarize(tallies), summarize(tallies));
});

t.test('of nothing there are no figures', async (t) => {
  t.match(summarize([]), { containers: 0, kills: 0, killsPerDay: { value: Number.NaN } });
});
