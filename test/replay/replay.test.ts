/** What a replay counts, with policies that are as simple as can be. */
import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { manifest } from '../../src/replay/manifest.ts';
import { type Policy, replay, type Seen } from '../../src/replay/replay.ts';
import { MINUTE, mi, minutely, START, steadyFor } from './samples.ts';

/** Sets what it is told at the given sample (the first is 0), and remembers what it heard. */
function scripted(script: Record<number, { request: number; limit: number }>): Policy & { heard: Seen[] } {
  const heard: Seen[] = [];
  return {
    name: 'scripted',
    heard,
    begin: () => (seen) => {
      heard.push(seen);
      return script[heard.length - 1] ?? seen.running;
    },
  };
}

t.test('a use above the limit is a kill, one at the limit is none', async (t) => {
  t.equal(replay(minutely([100, 200, 201]), manifest, mi(100, 200)).kills, 1);
  t.equal(replay(minutely([100, 200, 200]), manifest, mi(100, 200)).kills, 0);
});

t.test('of a kill the policy hears the limit, and no more than the limit of what was used', async (t) => {
  const policy = scripted({});
  replay(minutely([100, 300]), policy, mi(100, 200));
  t.match(policy.heard[1], { bytes: 200 * Mi, killedAt: 200 * Mi, running: mi(100, 200) });
  t.notHas(policy.heard[0], { killedAt: 200 * Mi });
});

t.test('what a policy answers runs from the next sample on', async (t) => {
  const policy = scripted({ 0: mi(50, 90) });
  t.equal(replay(minutely([100]), policy, {}).kills, 0, 'not at the sample that it was decided from');
  t.equal(replay(minutely([100, 100]), scripted({ 0: mi(50, 90) }), {}).kills, 1);
});

t.test('where no limit is set nothing is killed, and nothing counts as asked for', async (t) => {
  const tally = replay(minutely([100, 5000]), manifest, {});
  t.match(tally, { kills: 0, request: { steps: 0, byteHours: 0 }, limit: { steps: 0, byteHours: 0 } });
});

t.test('the over-request is the mean of what is asked for and not used', async (t) => {
  const tally = replay(minutely([50, 100]), manifest, mi(100, 200));
  t.equal(tally.request.over / tally.request.steps, 0.25);
  t.equal(tally.limit.over / tally.limit.steps, 0.625);
});

t.test('too little at one time does not make up for too much at another', async (t) => {
  const tally = replay(minutely([50, 150]), manifest, mi(100, 200));
  t.equal(tally.request.over / tally.request.steps, 0.25);
  t.equal(tally.aboveRequest, 1);
});

t.test('byte-hours count what ran between two samples, and a long pause as no running container', async (t) => {
  const hour = minutely(steadyFor(61, 10));
  const tally = replay(hour, manifest, mi(100, 200));
  t.equal(Math.round(tally.request.byteHours), 100 * Mi);
  t.ok(Math.abs(tally.days * 24 - 1) < 1e-9);
  const pause = [
    { at: START, bytes: 1 },
    { at: START + 600 * MINUTE, bytes: 1 },
  ];
  t.equal(replay(pause, manifest, mi(100, 200)).days, 5 / 60 / 24);
});

t.test('changes are counted, and the worst shortfall', async (t) => {
  const policy = scripted({ 0: mi(10, 100), 1: mi(10, 100), 2: mi(10, 300) });
  const tally = replay(minutely([50, 120, 150, 50]), policy, mi(10, 100));
  t.match(tally, { kills: 2, changes: 1, shortfall: 50 * Mi });
});

t.test('a law: a larger limit never kills more', async () => {
  const uses = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(uses, fc.integer({ min: 1, max: 500 }), fc.integer({ min: 0, max: 100 }), (values, limit, more) => {
      const kills = (at: number) => replay(minutely(values), manifest, mi(1, at)).kills;
      return kills(limit + more) <= kills(limit) && kills(500) === 0;
    }),
  );
});
