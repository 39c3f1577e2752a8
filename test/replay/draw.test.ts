/** What a person sees of a replay. */
import t from 'tap';
import { drawContainer, thin } from '../../src/replay/draw.ts';
import { manifest } from '../../src/replay/manifest.ts';
import { replay, type Step } from '../../src/replay/replay.ts';
import { summarize } from '../../src/replay/summary.ts';
import { drawTable } from '../../src/replay/table.ts';
import { mi, minutely, START, steadyFor } from './samples.ts';

const steps = (values: number[], kills: number[] = []): Step[] =>
  minutely(values).map((sample, index) => ({ ...sample, running: mi(100, 200), killed: kills.includes(index) }));

t.test('few points keep the largest use and each kill', async (t) => {
  const all = steps([...steadyFor(50, 10), 150, ...steadyFor(50, 10)], [51]);
  const thinned = thin(START, all.at(-1)?.at ?? 0, 10);
  for (const step of all) thinned.add(step);
  t.ok(thinned.steps.length <= 10);
  t.equal(Math.max(...thinned.steps.map(({ bytes }) => bytes)), Math.max(...all.map(({ bytes }) => bytes)));
  t.equal(thinned.steps.filter(({ killed }) => killed).length, 1);
});

t.test('a drawing has a panel for each policy, its lines, its kills, and names that cannot break it', async (t) => {
  const svg = drawContainer('shop/<b>&', [
    { policy: 'VPA', says: '1 kills', steps: steps([50, 250, 50], [1]) },
    { policy: 'KRR', says: '0 kills', steps: steps([50, 60, 50]).map((step) => ({ ...step, running: {} })) },
  ]);
  t.match(svg, 'shop/&lt;b&gt;&amp;');
  t.equal(svg.split('<circle class="kill"').length - 1, 1);
  t.match(svg, '<path class="limit" d="M70');
  t.match(svg, '<path class="limit" d=""/>', 'no limit, no line');
  t.notMatch(svg, /NaN|Infinity|undefined/);
});

t.test('one sample is drawn, too', async (t) => {
  t.notMatch(drawContainer('a', [{ policy: 'VPA', says: '', steps: steps([0]) }]), /NaN|Infinity/);
});

t.test('the table is Markdown, in which a figure that does not exist is a dash', async (t) => {
  const table = drawTable([
    { policy: 'manifest', summary: summarize([replay(minutely([50, 250]), manifest, mi(100, 200))]) },
    { policy: 'nothing', summary: summarize([replay(minutely([50, 250]), manifest, {})]) },
  ]).split('\n');
  t.match(table[0], /^\| policy +\| kills \| kills per container-day +\| containers killed \| over-request/);
  t.match(table[2], /^\| manifest +\| 1 +\| 1440\.00 \(.*\| 1 of 1 .*\| 25\.0% \(.* \| 50Mi +\|$/);
  t.match(table[3], /^\| nothing +\| 0 .*\| 0 of 1 +\| - +\| - +\| 0\.0/);
});
