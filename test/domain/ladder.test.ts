import t from 'tap';
import { type Gates, isEnabled, isEnforced, ladder, overrideOf } from '../../src/domain/ladder.ts';
import type { Tuning } from '../../src/domain/record.ts';

const OPEN: Gates = { enforcement: true, enabledByDefault: true };
const CLOSED: Gates = { enforcement: false, enabledByDefault: true };
const DEV: Gates = { enforcement: true, enabledByDefault: false };

const tuning = (says: Partial<Tuning> = {}): Tuning => ({
  namespace: 'shop',
  name: 'orders',
  enabled: undefined,
  enforce: true,
  paused: false,
  overrides: {},
  applied: { 'Deployment/orders/function': { request: '224Mi', limit: '368Mi' } },
  concurrency: { overrides: { annotations: {} }, applied: {} },
  problems: [],
  ...says,
});
const ofFunction = (record: Tuning, gates: Gates) => ladder(record, gates, 'Deployment/orders', 'function');
const applied = { request: { value: '224Mi', rung: 'applied' }, limit: { value: '368Mi', rung: 'applied' } };

t.test(
  'applied values reach a workload when the gate is open, the record enforces, and tuning is enabled',
  async (t) => {
    t.same(ofFunction(tuning(), OPEN), applied);
    t.same(ofFunction(tuning(), CLOSED), {}, 'the gate is closed');
    t.same(ofFunction(tuning({ enforce: false }), OPEN), {}, 'the record does not enforce');
    t.same(ofFunction(tuning({ enabled: false }), OPEN), {}, 'the record is switched off');
    t.same(ofFunction(tuning(), DEV), {}, 'the record does not say, and the profile is dev');
    t.same(ofFunction(tuning({ enabled: true }), DEV), applied, 'the record says what the profile does not');
  },
);

t.test('an override wins over applied values, field by field', async (t) => {
  t.same(ofFunction(tuning({ overrides: { function: { limit: '1Gi' } } }), OPEN), {
    request: { value: '224Mi', rung: 'applied' },
    limit: { value: '1Gi', rung: 'override' },
  });
});

t.test('an override works with the gate closed, without enforce, and in every profile', async (t) => {
  const overridden = tuning({ enforce: false, overrides: { function: { request: '300Mi' } } });
  for (const gates of [OPEN, CLOSED, DEV]) {
    t.same(ofFunction(overridden, gates), { request: { value: '300Mi', rung: 'override' } });
  }
});

t.test('only an explicit enabled: false switches an override off', async (t) => {
  const overrides = { function: { request: '300Mi' } };
  t.same(overrideOf(tuning({ overrides }), 'orders', 'function'), { request: '300Mi' });
  t.same(overrideOf(tuning({ overrides, enabled: true }), 'orders', 'function'), { request: '300Mi' });
  t.same(overrideOf(tuning({ overrides, enabled: false }), 'orders', 'function'), {});
});

t.test('an override is used to the letter', async (t) => {
  const record = tuning({ overrides: { function: { request: '300.5Mi', limit: '1e9' } } });
  t.same(overrideOf(record, 'orders', 'function'), { request: '300.5Mi', limit: '1e9' });
});

t.test('the key workload/container is more specific than container, field by field', async (t) => {
  const record = tuning({
    overrides: { function: { request: '300Mi', limit: '600Mi' }, 'orders/function': { limit: '1Gi' } },
  });
  t.same(overrideOf(record, 'orders', 'function'), { request: '300Mi', limit: '1Gi' });
  t.same(overrideOf(record, 'invoices', 'function'), { request: '300Mi', limit: '600Mi' });
});

t.test('a container that the record does not name keeps what the manifest says', async (t) => {
  t.same(ladder(tuning(), OPEN, 'Deployment/orders', 'odgm'), {});
  t.same(ladder(tuning(), OPEN, 'KnativeService/orders', 'function'), {}, 'nor does another workload of that name');
});

t.test('a container may be called like something that every object inherits', async (t) => {
  t.same(ladder(tuning(), OPEN, 'Deployment/orders', 'constructor'), {});
  t.same(overrideOf(tuning(), 'orders', 'toString'), {});
});

t.test('the record says whether it is enabled, else the profile', async (t) => {
  t.equal(isEnabled({ enabled: undefined }, OPEN), true);
  t.equal(isEnabled({ enabled: undefined }, DEV), false);
  t.equal(isEnabled({ enabled: false }, OPEN), false);
  t.equal(isEnabled({ enabled: true }, DEV), true);
  t.equal(isEnforced({ enabled: true, enforce: true, paused: false }, OPEN), true);
  t.equal(isEnforced({ enabled: true, enforce: true, paused: false }, CLOSED), false);
  t.equal(isEnforced({ enabled: true, enforce: true, paused: true }, OPEN), false);
});
