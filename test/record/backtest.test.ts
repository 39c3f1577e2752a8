/** How long a verdict counts, and when it is asked for again: each boundary from both sides. */
import t from 'tap';
import type { Backtest } from '../../src/domain/record.ts';
import { isDue, unproven } from '../../src/record/backtest.ts';
import { previousStatus } from '../../src/record/read-back.ts';
import { NOW } from '../recommend/rules.ts';

const HOUR = 3_600_000;
const ABOUT = { containers: 1, tried: 'a', settings: {} };
const verdict = (more: Partial<Backtest> = {}): Backtest => ({
  ...{ passed: true, at: new Date(NOW).toISOString(), message: 'over 7 days 0 OOM kills', containers: 1, tried: 'a' },
  kills: { manifest: 0, tuned: 0 },
  ...more,
});

t.test('one that passed counts for a week, and is made again after a day', async (t) => {
  t.equal(unproven(verdict(), ABOUT, NOW), undefined);
  t.equal(unproven(verdict(), ABOUT, NOW + 7 * 24 * HOUR - 1), undefined);
  t.match(unproven(verdict(), ABOUT, NOW + 7 * 24 * HOUR), /too old/);
  t.equal(isDue(verdict(), ABOUT, NOW + 24 * HOUR - 1), false);
  t.equal(isDue(verdict(), ABOUT, NOW + 24 * HOUR), true);
});

t.test('none is no proof, and one that failed says why', async (t) => {
  t.equal(unproven(undefined, ABOUT, NOW), 'it has not been made yet');
  t.equal(isDue(undefined, ABOUT, NOW), true);
  t.equal(unproven(verdict({ passed: false, message: '3 kills' }), ABOUT, NOW), '3 kills');
});

t.test('where there was too little data it is tried again each hour', async (t) => {
  const { kills: _, ...unknown } = verdict({ passed: false });
  t.equal(isDue(unknown, ABOUT, NOW + HOUR - 1), false);
  t.equal(isDue(unknown, ABOUT, NOW + HOUR), true);
});

t.test('it proves nothing of other containers, other settings, or from the future', async (t) => {
  for (const other of [
    { ...ABOUT, tried: 'b' },
    { ...ABOUT, settings: { OPRC_CRM_LIMIT_MAX_FACTOR: '1.2' } },
  ]) {
    t.match(unproven(verdict(), other, NOW), /other containers, values or settings/);
    t.equal(isDue(verdict(), other, NOW), true);
  }
  const settings = { a: '1', b: '2' };
  t.equal(unproven(verdict({ settings }), { ...ABOUT, settings: { b: '2', a: '1' } }, NOW), undefined);
  t.match(unproven(verdict(), ABOUT, NOW - 1), /too old/);
  t.equal(isDue(verdict(), ABOUT, NOW - 1), true);
});

t.test('one from before fingerprints were kept counts for as many containers', async (t) => {
  const { tried: _, ...old } = verdict();
  t.equal(unproven(old, ABOUT, NOW), undefined);
  t.match(unproven(old, { ...ABOUT, containers: 2 }, NOW), /other containers/);
});

t.test('where overrides fix every limit there is nothing to prove', async (t) => {
  t.equal(unproven(undefined, { containers: 0, tried: 'a', settings: {} }, NOW), undefined);
  t.equal(isDue(undefined, { containers: 0, tried: 'a', settings: {} }, NOW), false);
});

t.test('one that somebody wrote badly was never made', async (t) => {
  const read = (backtest: unknown) => previousStatus({ nfr_recommendations: { memory: { backtest } } })?.backtest;
  t.strictSame(read(verdict()), verdict());
  for (const part of [{ passed: 'true' }, { at: 1 }, { message: undefined }, { settings: 'x' }])
    t.equal(read({ ...verdict(), ...part }), undefined, JSON.stringify(part));
  t.equal(read('passed'), undefined);
});
