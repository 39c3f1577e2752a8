import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { type MemoryNow, proposeKnobs, type ServiceFacts } from '../../src/recommend/concurrency.ts';
import type { ServiceLook } from '../../src/recommend/service.ts';
import { FIT, loadWindow, memoryNow, nearLook, queuedLook, running, serviceLook } from './services.ts';

const proposed = (facts: ServiceFacts) => proposeKnobs(facts, [])?.wanted;
const said = (facts: ServiceFacts) => {
  const reasons: string[] = [];
  proposeKnobs(facts, reasons);
  return reasons.join('; ');
};
const LIMIT = 512;

t.test('near is 90 % of the limit, in both windows', async (t) => {
  const near = (short: number, long: number) =>
    proposed(nearLook(77, { memory: [memoryNow(0, { short: short * Mi, long: long * Mi })] }));
  const edge = LIMIT * 0.9;
  t.match(near(edge, edge), { target: 90 });
  t.equal(near(edge - 0.1, edge), undefined);
  t.equal(near(edge, edge - 0.1), undefined);
  const blind = memoryNow(0, { long: edge * Mi });
  delete blind.short;
  t.equal(proposed(nearLook(77, { memory: [blind] })), undefined, 'nothing measured is not near');
});

t.test('only more than what is aimed at lowers the target: by 10 to 25 %, the further over the more', async (t) => {
  t.equal(proposed(nearLook(70)), undefined);
  t.match(said(nearLook(70)), /but only 70 in flight \(p95\) where 70 are aimed at: memory decides/);
  const cases: [inFlight: number, target: number][] = [
    [70.01, 90],
    [77, 90],
    [80.5, 85],
    [87.5, 75],
    [200, 75],
  ];
  for (const [inFlight, target] of cases) t.equal(proposed(nearLook(inFlight))?.target, target, `${inFlight}`);
});

t.test('the target is not lowered below one', async (t) => {
  t.equal(proposed(nearLook(5, { current: running(1.1) }))?.target, 1);
  t.equal(proposed(nearLook(5, { current: running(1) })), undefined);
});

t.test('where nothing bounds a pod, a finite bound is proposed, which the cluster would accept', async (t) => {
  t.equal(proposed(nearLook(77))?.containerConcurrency, 100, 'what was aimed at so far');
  t.match(proposed(nearLook(77, { most: 95 })), { target: 90, containerConcurrency: 95 });
  t.equal(proposed(nearLook(77, { most: 89 }))?.containerConcurrency, undefined, 'none that is below the target');
  const theirs = { written: { containerConcurrency: 100 }, current: running(100, { containerConcurrency: 100 }) };
  t.equal(proposed(nearLook(77, theirs))?.containerConcurrency, undefined, 'the manifest bounds it');
  const ours = { current: running(90, { containerConcurrency: 100 }) };
  t.equal(proposed(nearLook(77, ours))?.containerConcurrency, 90, 'a bound of ours follows the target');
});

t.test('a kill bounds a pod whose memory is known to follow requests, whatever else there is to say', async (t) => {
  const killed = (more: Partial<MemoryNow> = {}, facts: Partial<ServiceLook> = {}) =>
    serviceLook({ memory: [memoryNow(400, { killed: true, fit: FIT, ...more })], ...facts });
  t.strictSame(proposed(killed()), { target: 100, containerConcurrency: 100 }, 'far from near, when it is calm');
  t.match(said(killed()), /^function was OOM killed at the limit that runs, and its memory follows requests in flight/);
  t.match(proposeKnobs(killed(), []), { direction: 'lower', along: true });
  t.strictSame(proposed({ ...nearLook(70), memory: killed({ short: 500 * Mi, long: 500 * Mi }).memory }), {
    ...{ target: 100, containerConcurrency: 100 },
  });
  t.match(proposed({ ...nearLook(77), memory: killed({ short: 500 * Mi, long: 500 * Mi, wanted: 569 * Mi }).memory }), {
    target: 90,
  });

  t.equal(proposed(killed({ fit: { ...FIT, quality: 0.3 } })), undefined, 'what fills it is not known to be requests');
  t.equal(proposed(serviceLook({ memory: [memoryNow(400, { fit: FIT })] })), undefined, 'nothing was killed');
  const elsewhere = [memoryNow(400, { killed: true }), memoryNow(400, { container: 'proxy', fit: FIT })];
  t.equal(proposed(serviceLook({ memory: elsewhere })), undefined, 'the line is of another container');
  const bounded = running(100, { containerConcurrency: 100 });
  t.equal(proposed(killed({}, { current: bounded })), undefined, 'it is bounded');
  t.equal(proposed(killed({}, { current: bounded, written: { containerConcurrency: 100 } })), undefined);
});

t.test('where no more pods can come, memory decides', async (t) => {
  t.equal(proposed(nearLook(77, { atMaxScale: true })), undefined);
});

t.test('where memory is already on its way up, only the bound comes along', async (t) => {
  t.strictSame(proposed(nearLook(77, { memory: [memoryNow(500, { moves: 'up' })] })), {
    ...{ target: 100, containerConcurrency: 100 },
  });
  t.equal(proposed(nearLook(77, { memory: [memoryNow(500, { moves: 'down' })] }))?.target, 90);
});

t.test('a limit that we lowered comes back before requests are taken', async (t) => {
  const lowered = { memory: [memoryNow(500, { written: 1024 * Mi })] };
  t.equal(proposed(nearLook(77, lowered))?.target, 100);
  t.match(said(nearLook(77, lowered)), /its limit was lowered from 1Gi: memory comes back first/);
});

t.test('with a line, what costs less decides: more memory or more pods', async (t) => {
  // 90 instead of 100: a ninth more pods.
  const wants = (limit: number) => nearLook(77, { memory: [memoryNow(500, { fit: FIT, wanted: limit * Mi })] });
  t.equal(proposed(wants(LIMIT))?.target, 100, 'memory that is content costs nothing');
  t.equal(proposed(wants(568))?.target, 100);
  t.match(said(wants(568)), /more memory costs less \(memory × 1.11 against pods × 1.11\): memory decides/);
  t.equal(proposed(wants(569))?.target, 90);
  t.match(said(wants(569)), /fewer requests cost less than more memory/);
  t.equal(proposeKnobs(wants(569), [])?.instead, 'function', 'and memory is told so');
  t.equal(proposed(wants(569))?.containerConcurrency, 90, 'the present limit carries 90.2 requests');
  t.equal(proposed(wants(LIMIT))?.containerConcurrency, 100, 'but a bound is not below the target');
});

t.test('where memory can rise no further, requests give way whatever it costs', async (t) => {
  const atCeiling = nearLook(77, { memory: [memoryNow(500, { fit: FIT, ceiling: LIMIT * Mi })] });
  t.equal(proposed(atCeiling)?.target, 90);
});

t.test('a bad line decides nothing, and the rationale says so', async (t) => {
  const bad = nearLook(77, { memory: [memoryNow(500, { fit: { ...FIT, quality: 0.3 } })] });
  t.equal(proposed(bad)?.target, 90);
  t.match(said(bad), /plain rules \(requests explain only 30% of the differences\)/);
  t.match(said(nearLook(77)), /plain rules \(too few moments with both memory and requests\)/);
});

t.test('far is 60 % of every limit, in both windows', async (t) => {
  const far = (...maxima: number[]) => proposed(queuedLook({ memory: maxima.map((max) => memoryNow(max)) }));
  const edge = LIMIT * 0.6;
  t.equal(far(edge)?.target, 120, 'by a fifth');
  t.equal(far(edge + 0.1), undefined);
  t.equal(far(edge, edge + 0.1), undefined);
  const blind = memoryNow(edge);
  delete blind.long;
  t.equal(proposed(queuedLook({ memory: [blind] })), undefined, 'nothing measured is not nothing used');
  t.equal(proposed(queuedLook({ memory: [] })), undefined, 'without a limit nothing is far from it');
});

t.test('the queue is deep from one request on, in both windows', async (t) => {
  const deep = (short: number | undefined, long: number | undefined) => {
    const window = (queue: number | undefined) => loadWindow(40, queue === undefined ? {} : { queue });
    return proposed(queuedLook({ load: { short: window(short), long: window(long), partial: false } }));
  };
  t.equal(deep(1, 1)?.target, 120);
  t.equal(deep(0.99, 1), undefined);
  t.equal(deep(1, 0.99), undefined);
  t.equal(deep(undefined, 5), undefined, 'nobody tells');
});

t.test('only fewer than what is aimed at raise the target', async (t) => {
  const inFlight = (concurrency: number) => {
    const window = loadWindow(concurrency, { queue: 3 });
    return proposed(queuedLook({ load: { short: window, long: window, partial: false } }));
  };
  t.equal(inFlight(69.99)?.target, 120);
  t.equal(inFlight(70), undefined);
});

t.test('a hard limit of the manifest is never exceeded; one of ours follows', async (t) => {
  const hard = (written: number, runs: number) =>
    proposed(
      queuedLook({ written: { containerConcurrency: written }, current: running(100, { containerConcurrency: runs }) }),
    );
  t.strictSame(hard(110, 110), { target: 110 });
  t.equal(hard(100, 100), undefined);
  t.strictSame(hard(0, 100), { target: 120, containerConcurrency: 120 });
  t.strictSame(hard(0, 0), { target: 120 });
});

t.test('nothing fires in between', async (t) => {
  t.equal(proposed(serviceLook()), undefined);
  t.equal(said(serviceLook()), '77 in flight (p95) where 70 are aimed at: nothing to change');
});

t.test('a raise goes no further than the hard limit that the cluster allows', async (t) => {
  const bound = (hard: number, most: number) =>
    queuedLook({ current: running(100, { containerConcurrency: hard }), most });
  t.strictSame(proposed(bound(100, 1000)), { target: 120, containerConcurrency: 120 });
  t.strictSame(proposed(bound(100, 110)), { target: 110, containerConcurrency: 110 });
  t.match(said(bound(100, 110)), /target raised by 10% from 100 to 110/);
  t.equal(proposed(bound(100, 100)), undefined);
  t.match(said(bound(100, 100)), /containerConcurrency 100 of the cluster allows no more/);
  t.strictSame(proposed(bound(0, 110)), { target: 120 }, 'without a hard limit there is none to raise');
});
