import t from 'tap';
import type { Fit } from '../../src/domain/concurrency.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { Point } from '../../src/domain/usage.ts';
import { carries, distrust, fitMemory } from '../../src/recommend/fit.ts';

/** So many moments of a pod that needs 100Mi and 2Mi for each request, which go from `from` to `to`. */
const moments = (count: number, from: number, to: number): Point[] =>
  Array.from({ length: count }, (_, index) => {
    const requests = from + ((to - from) * ((index * 7) % count)) / (count - 1);
    return { requests, bytes: (100 + 2 * requests) * Mi };
  });
const line = (more: Partial<Fit> = {}): Fit => ({
  ...{ base: 100 * Mi, slope: 2 * Mi, quality: 0.9, samples: 36, from: 10, to: 50, ...more },
});

t.test('a line is found, with where it begins and ends', async (t) => {
  const fit = fitMemory(moments(36, 0, 70));
  t.match(fit, { base: 100 * Mi, slope: 2 * Mi, quality: 1, samples: 36, from: 6, to: 64 });
  t.equal(distrust(fit), undefined);
});

t.test('a fifth of the moments may be wrong', async (t) => {
  const points = moments(36, 0, 70).map((point, index) => (index % 5 === 0 ? { ...point, bytes: 900 * Mi } : point));
  const { base = 0, slope = 0 } = fitMemory(points) ?? {};
  t.ok(Math.abs(slope - 2 * Mi) < 0.4 * Mi, `slope ${slope / Mi}Mi`);
  t.ok(Math.abs(base - 100 * Mi) < 30 * Mi, `base ${base / Mi}Mi`);
});

t.test('memory that does not care about requests makes no line', async (t) => {
  const leaking = moments(36, 0, 70).map(({ requests }, index) => ({ requests, bytes: (100 + index * 10) * Mi }));
  t.match(distrust(fitMemory(leaking)), /requests explain only \d+% of the differences|memory does not grow/);
  const constant = moments(36, 0, 70).map(({ requests }) => ({ requests, bytes: 100 * Mi }));
  t.equal(distrust(fitMemory(constant)), 'memory does not grow with requests');
});

t.test('what a line has to have, on both sides of each bound', async (t) => {
  t.equal(fitMemory(moments(11, 0, 70)), undefined);
  t.ok(fitMemory(moments(12, 0, 70)));
  t.equal(distrust(undefined), 'too few moments with both memory and requests');
  t.equal(distrust(line({ quality: 0.5 })), undefined);
  t.equal(distrust(line({ quality: 0.49 })), 'requests explain only 49% of the differences');
  t.equal(distrust(line({ from: 30, to: 40 })), undefined, 'a quarter of the largest');
  t.equal(distrust(line({ from: 30.1, to: 40 })), 'requests in flight differ too little (30.1 to 40)');
  t.equal(distrust(line({ from: 0, to: 1 })), undefined);
  t.equal(distrust(line({ from: 0.1, to: 1 })), 'requests in flight differ too little (0.1 to 1)');
  t.equal(distrust(line({ slope: 0 })), 'memory does not grow with requests');
  t.equal(fitMemory(moments(36, 5, 5)), undefined, 'always the same number of requests');
});

t.test('how many requests fit into so many bytes', async (t) => {
  t.equal(carries(line(), 300 * Mi), 100);
  t.equal(carries(line(), 50 * Mi), -25, 'not even the base does');
});

t.test('of a long history a hundred moments, evenly spaced, make the line', async (t) => {
  const fit = fitMemory(moments(20_000, 0, 70));
  t.match(fit, { base: 100 * Mi, slope: 2 * Mi, quality: 1, samples: 100 });
  t.equal(fitMemory(moments(100, 0, 70))?.samples, 100);
  t.equal(fitMemory(moments(99, 0, 70))?.samples, 99);
});
