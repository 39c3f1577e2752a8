/** Whether tuning would have killed more than the manifests, told from a record's own samples. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { createTrial } from '../../src/replay/trial.ts';
import { RULES } from '../recommend/rules.ts';
import { mi, START, steadyFor } from './samples.ts';

const STEP = 5 * 60_000;
const DAY = 288;
const tried = (name: string, request: number, limit: number) => ({ name, manifest: mi(request, limit) });

/** @param values in Mi, one every five minutes @param killed by place: the limit (Mi) at which it was killed there */
function verdict(manifest: [number, number], values: number[], killed: Record<number, number> = {}) {
  const trial = createTrial([tried('Deployment/orders container function', ...manifest)], RULES, 60);
  values.forEach((value, index) => {
    const limit = killed[index];
    trial.take(0, { at: START + index * STEP, bytes: value * Mi }, limit === undefined ? undefined : limit * Mi);
  });
  return trial.verdict(7);
}

t.test('steady usage: no kills on either side', async (t) => {
  t.strictSame(verdict([512, 1024], steadyFor(2 * DAY, 100)), {
    passed: true,
    kills: { manifest: 0, tuned: 0 },
    message: 'over 7 days 0 OOM kills with tuning, 0 without',
  });
});

t.test('a peak once a day that the manifest holds and tuning would not: failed, with what would help', async (t) => {
  const peaks = steadyFor(2 * DAY, 100).map((value, index) => (index % DAY === 200 ? 900 : value));
  const { passed, kills, message } = verdict([512, 1024], peaks);
  t.equal(passed, false);
  t.equal(kills?.manifest, 0);
  t.ok((kills?.tuned ?? 0) > 0);
  t.match(
    message,
    /^over 7 days [1-9]\d* OOM kills with tuning, 0 without, most of them in Deployment\/orders container function, by up to \d+(\.\d)?Mi; an override of its limit/,
  );
});

t.test('as many kills as the manifest pass, one more does not', async (t) => {
  // The manifest's 240Mi is what the rules give, too: both are killed by the same peak.
  const peak = (more: number) =>
    steadyFor(2 * DAY, 150).map((value, index) => (index >= 2 * DAY - more ? 5000 : value));
  t.match(verdict([224, 240], peak(1)), { passed: true, kills: { manifest: 1, tuned: 1 } });
  t.match(verdict([224, 6000], peak(1)), { passed: false, kills: { manifest: 0, tuned: 1 } });
});

t.test('a kill that did happen is a use beyond the limit that killed, on both sides', async (t) => {
  const steady = steadyFor(2 * DAY, 150);
  t.match(verdict([256, 256], steady), { kills: { manifest: 0, tuned: 0 } });
  t.match(verdict([256, 256], steady, { [DAY]: 256 }), { passed: true, kills: { manifest: 1 } });
  t.match(
    verdict([256, 1024], steadyFor(2 * DAY, 100), { [DAY]: 256 }),
    { passed: false, kills: { manifest: 0, tuned: 1 } },
    'it has more now',
  );
});

t.test('less than a day of samples of any container is too little, however many the others have', async (t) => {
  t.match(verdict([512, 1024], steadyFor(DAY / 2 + 1, 100)), {
    passed: false,
    kills: undefined,
    message: 'Deployment/orders container function has 12 hours of samples in the last 7 days, and needs 24',
  });
  t.match(verdict([512, 1024], []), { message: /has 0 hours/ });
  const two = createTrial([tried('a', 512, 1024), tried('b', 512, 1024)], RULES, 60);
  for (const [index, value] of steadyFor(2 * DAY, 100).entries())
    two.take(0, { at: START + index * STEP, bytes: value * Mi });
  t.match(two.verdict(7), { passed: false, message: /^b has 0 hours/ });
});

t.test('a manifest without a limit is never killed, so tuning must not be either', async (t) => {
  const trial = createTrial([{ name: 'a', manifest: {} }], RULES, 60);
  const values = steadyFor(2 * DAY, 100).map((value, index) => (index === 2 * DAY - 1 ? 2000 : value));
  for (const [index, value] of values.entries()) trial.take(0, { at: START + index * STEP, bytes: value * Mi });
  t.match(trial.verdict(7), { passed: false, kills: { manifest: 0, tuned: 1 } });
});
