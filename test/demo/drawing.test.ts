import t from 'tap';
import { drawCurve, drawTimeAxis, slicePeaks } from './curve.ts';
import { changesWithKeys, dedent, diffLines } from './diff.ts';
import { createPaint, plain } from './paint.ts';
import { random, recordSamples } from './samples.ts';
import { clip, createScreen, wrap } from './screen.ts';
import { drawTable } from './table.ts';

t.test('a curve fills what was used, in eighths of a line, and draws its marks where nothing is', async (t) => {
  const solid = { value: 4, label: 'limit', stroke: 'solid' as const, brush: plain };
  const dashed = { value: 1.5, label: 'request', stroke: 'dashed' as const, brush: plain };
  t.same(drawCurve([1, 2, 1, 1, 2.5], [solid, dashed], plain, 4), ['▔▔▔▔▔ limit', '    ▄', '─█─ █ request', '█████']);
});

t.test('a slice of the curve is what the hottest pod reached in it', async (t) => {
  const pods = [
    [
      { seconds: 0, bytes: 99 },
      { seconds: 10, bytes: 1 },
      { seconds: 20, bytes: 5 },
    ],
    [
      { seconds: 5, bytes: 3 },
      { seconds: 21, bytes: 99 },
    ],
  ];
  t.same(slicePeaks(pods, 0, 20, 2), [3, 5], 'the window is open at its start, as in Prometheus');
});

t.test('the time axis names each hour at its moment and fits', async (t) => {
  t.equal(drawTimeAxis(8 * 3600, 10 * 3600, 24), '08:00───────09:00──10:00');
  t.equal(drawTimeAxis(8 * 3600, 10 * 3600, 18), '08:00────────10:00', 'or leaves one out');
});

t.test('table cells are aligned whatever their colour', async (t) => {
  const { red } = createPaint(true);
  const columns = [{ title: 'name' }, { title: 'size', align: 'right' as const }];
  t.same(
    drawTable(columns, [
      ['a', '1Mi'],
      [{ text: 'long', brush: red }, '100Mi'],
    ]),
    ['name   size', 'a       1Mi', '\u001b[31mlong\u001b[39m  100Mi'],
  );
});

t.test('a diff shows what differs, under the keys where it is', async (t) => {
  const before = 'kind: A\nspec:\n  one:\n    x: 1\n    y: 2\n  two:\n    x: 1\n';
  const after = 'kind: A\nmetadata:\n  notes:\n    n: 1\nspec:\n  one:\n    x: 1\n    y: 2\n  two:\n    x: 3\n';
  const changes = dedent(changesWithKeys(diffLines(before, after), 2));
  t.same(
    changes.map(({ sign, text }) => sign + text),
    ['+metadata:', '+  notes:', '+    n: 1', '   two:', '-    x: 1', '+    x: 3'],
  );
  t.same(changesWithKeys(diffLines(before, before), 2), []);
});

t.test('samples are the same on every machine, one per scrape', async (t) => {
  const shape = { pods: 2, idle: 10, day: 10, teeth: 4, burst: 10 };
  const recorded = recordSamples('a', shape, 0, 60);
  t.same(recorded, recordSamples('a', shape, 0, 60));
  t.notSame(recorded, recordSamples('b', shape, 0, 60));
  t.same(
    recorded.map((series) => series.map(({ seconds }) => seconds)),
    [
      [0, 30, 60],
      [0, 30, 60],
    ],
  );
  const numbers = Array.from({ length: 1000 }, random('seed'));
  t.ok(numbers.every((number) => number >= 0 && number < 1));
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  t.ok(Math.abs(mean - 0.5) < 0.05, `mean ${mean}`);
});

t.test('text is wrapped at spaces and clipped with an ellipsis', async (t) => {
  t.same(wrap('one two three', 7, '  '), ['one two', '  three']);
  t.same(wrap('incomprehensibly long', 7), ['incomprehensibly', 'long']);
  t.equal(clip('abcdef', 4), 'abc…');
  t.equal(clip('abcd', 4), 'abcd');
});

t.test('a screen is as wide as its terminal, between 80 and 100 columns', async (t) => {
  for (const [columns, width] of [
    [40, 80],
    [90, 90],
    [200, 100],
    [undefined, 100],
  ]) {
    const written: string[] = [];
    createScreen(columns, false, (line) => written.push(line)).heading('title', 'note');
    t.equal(written[0]?.length, width);
    t.match(written[0], /^── title ─+ note$/);
  }
});
