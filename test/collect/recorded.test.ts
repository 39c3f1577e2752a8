/** That these are the numbers of Prometheus itself is judged by `test/cluster/queries.test.ts`. */
import t from 'tap';
import { type Series, usageOfSamples } from '../../src/collect/recorded.ts';

/** A sample each 30 s, the last one at `end`. */
const series = (bytes: number[], end = 6000): Series =>
  bytes.map((value, index) => ({ seconds: end - 30 * (bytes.length - 1 - index), bytes: value }));

t.test('one pod: mean, 95th percentile between the two nearest, maximum, number of samples', async (t) => {
  const { short } = usageOfSamples([series([4, 1, 2, 3, 5])], 6000, 600, 3600);
  // Rank 0.95 × 4 = 3.8: four fifths of the way from 4 to 5.
  t.match(short, { avg: 3, max: 5, samples: 5 });
  t.ok(Math.abs((short?.p95 ?? 0) - 4.8) < 1e-9);
});

t.test('several pods: the hot one decides, the mean is that of all samples', async (t) => {
  const { short } = usageOfSamples([series([10, 10, 10, 10]), series([100])], 6000, 600, 3600);
  t.strictSame(short, { avg: 28, p95: 100, max: 100, samples: 4 });
});

t.test('a window is open at its start and closed at its end', async (t) => {
  const pod = [
    { seconds: 5400, bytes: 1 },
    { seconds: 5401, bytes: 2 },
    { seconds: 6000, bytes: 3 },
    { seconds: 6001, bytes: 4 },
  ];
  const { short } = usageOfSamples([pod], 6000, 600, 3600);
  t.match(short, { avg: 2.5, max: 3, samples: 2 });
});

t.test('a window without samples is absent', async (t) => {
  t.strictSame(Object.keys(usageOfSamples([series([1], 5000)], 6000, 600, 3600)), ['partial', 'long']);
  t.strictSame(usageOfSamples([], 6000, 600, 3600), { partial: false });
  t.strictSame(usageOfSamples([[]], 6000, 600, 3600), { partial: false });
});
