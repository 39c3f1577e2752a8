/** Many containers under many policies. */
import t from 'tap';
import { manifest } from '../../src/replay/manifest.ts';
import { replay } from '../../src/replay/replay.ts';
import { sideBySide } from '../../src/replay/side-by-side.ts';
import { vpa } from '../../src/replay/vpa.ts';
import { mi, minutely, steadyFor } from './samples.ts';

t.test('containers whose samples are mixed fare as each alone', async (t) => {
  const [a, b] = [minutely([...steadyFor(60, 100), 900, 100]), minutely(steadyFor(62, 700))];
  const both = sideBySide([vpa, manifest], mi(200, 400));
  for (const [index, sample] of a.entries()) {
    both.take({ container: 'a', ...sample });
    both.take({ container: 'b', ...(b[index] as (typeof b)[number]) });
  }
  const results = both.results();
  for (const [container, samples] of Object.entries({ a, b })) {
    t.same(results.get(container)?.tallies, [
      replay(samples, vpa, mi(200, 400)),
      replay(samples, manifest, mi(200, 400)),
    ]);
  }
  t.same(both.counts, { samples: 124, containers: 2, late: 0 });
});

t.test('what the history knows of a manifest goes before what is assumed', async (t) => {
  const run = sideBySide([manifest], mi(1, 1));
  for (const sample of minutely([150])) run.take({ container: 'a', ...sample, manifest: mi(100, 200) });
  t.same(run.results().get('a')?.manifest, mi(100, 200));
  t.equal(run.results().get('a')?.tallies[0]?.kills, 0);
});

t.test('a row that is not newer than the one before is left out, and counted', async (t) => {
  const run = sideBySide([manifest], mi(100, 200));
  const [first, second] = minutely([100, 100]) as [never, never];
  for (const sample of [first, second, second, first]) run.take({ container: 'a', ...(sample as object) } as never);
  t.same(run.counts, { samples: 2, containers: 1, late: 2 });
});

t.test('each step of each policy is told to whoever draws', async (t) => {
  const told: string[] = [];
  const run = sideBySide([manifest, vpa], mi(100, 200), (container, policy, { killed }) =>
    told.push(`${container} ${policy} ${killed}`),
  );
  for (const sample of minutely([100, 300])) run.take({ container: 'a', ...sample });
  t.same(told.slice(0, 3), ['a 0 false', 'a 1 false', 'a 0 true']);
});
