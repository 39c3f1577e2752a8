import t from 'tap';
import { readKnativeDefaults, resolve } from '../../src/recommend/target.ts';

const DEFAULTS = readKnativeDefaults({ autoscaler: {}, defaults: {} });

t.test('a cluster that says nothing does as Knative does', async (t) => {
  t.strictSame(DEFAULTS, {
    ...{ target: 100, utilization: 0.7, targetBurstCapacity: 211, containerConcurrency: 0, maxScale: 0 },
  });
});

t.test('what the cluster says, and what is no number', async (t) => {
  const autoscaler = {
    'container-concurrency-target-default': '50',
    'container-concurrency-target-percentage': '80',
    'target-burst-capacity': '-1',
    'max-scale': '10',
  };
  t.strictSame(readKnativeDefaults({ autoscaler, defaults: { 'container-concurrency': '20' } }), {
    ...{ target: 50, utilization: 0.8, targetBurstCapacity: -1, containerConcurrency: 20, maxScale: 10 },
  });
  const strange = { 'container-concurrency-target-default': 'many', 'target-burst-capacity': '' };
  t.strictSame(readKnativeDefaults({ autoscaler: strange, defaults: {} }), DEFAULTS);
});

t.test('a percentage of 1 or less is a fraction, as Knative has always taken it', async (t) => {
  const of = (percentage: string) =>
    readKnativeDefaults({ autoscaler: { 'container-concurrency-target-percentage': percentage }, defaults: {} });
  t.equal(of('1').utilization, 1);
  t.equal(of('0.5').utilization, 0.5);
  t.equal(of('1.5').utilization, 0.015);
});

t.test('the target is resolved as Knative resolves it', async (t) => {
  const cases: [knobs: Parameters<typeof resolve>[0], utilization: number | undefined, target: number, aim: number][] =
    [
      [{}, undefined, 100, 70],
      [{ containerConcurrency: 0 }, undefined, 100, 70],
      [{ containerConcurrency: 10 }, undefined, 10, 7],
      [{ target: 50 }, undefined, 50, 35],
      [{ target: 50, containerConcurrency: 10 }, undefined, 10, 7],
      [{ target: 5, containerConcurrency: 10 }, undefined, 5, 3.5],
      [{ target: 50 }, 1, 50, 50],
      [{ target: 0.01 }, 0.5, 0.01, 0.01],
    ];
  for (const [knobs, utilization, target, aim] of cases) {
    t.match(resolve(knobs, utilization, DEFAULTS), { target, aim }, JSON.stringify([knobs, utilization]));
  }
  const cluster = { ...DEFAULTS, containerConcurrency: 8, utilization: 0.5 };
  t.match(resolve({}, undefined, cluster), { target: 8, containerConcurrency: 8, aim: 4 });
});
