import fc from 'fast-check';
import t from 'tap';
import type { Json } from '../../src/domain/json.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { checkRecord, readTuning } from '../../src/record/wishes.ts';
import { recordOf, withOverrides } from './records.ts';

const words = (record: RecordResource) => checkRecord(record).map(({ field, message }) => `${field} ${message}`);
const OVERRIDES = 'spec.nfr.memory_tuning.overrides';
const overridesOf = (record: RecordResource) => ({ ...readTuning(record).overrides });

t.test('what can be meant is kept to the letter, and nothing is said about it', async (t) => {
  const record = withOverrides({ function: { request: '256Mi', limit: '1e9' }, 'orders/odgm': { limit: '.5Gi' } });
  t.same(words(record), []);
  t.same(overridesOf(record), { function: { request: '256Mi', limit: '1e9' }, 'orders/odgm': { limit: '.5Gi' } });
});

t.test('a record that says nothing has no wishes and no problems', async (t) => {
  for (const nfr of [undefined, null, {}, { memory_tuning: null }, { memory_tuning: { overrides: null } }]) {
    const record = recordOf(nfr as Json);
    t.same(words(record), []);
    t.match(readTuning(record), { name: 'orders', namespace: 'shop', enabled: undefined, enforce: false });
  }
  t.same(
    words({ apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecord', metadata: { name: 'a', namespace: 'b' } }),
    [],
  );
});

t.test('enabled and enforce are true or false', async (t) => {
  t.match(readTuning(recordOf({ memory_tuning: { enabled: false, enforce: true } })), {
    enabled: false,
    enforce: true,
  });
  const record = recordOf({ memory_tuning: { enabled: 'yes', enforce: 1 } });
  t.same(words(record), [
    'spec.nfr.memory_tuning.enabled must be true or false, was "yes"',
    'spec.nfr.memory_tuning.enforce must be true or false, was 1',
  ]);
  t.match(readTuning(record), { enabled: undefined, enforce: false });
});

t.test('a quantity that does not parse is refused in words that name field, value and what is allowed', async (t) => {
  t.same(words(withOverrides({ function: { request: '64mi' } })), [
    `${OVERRIDES}[function].request must be a positive quantity such as 256Mi or 1Gi, was "64mi"`,
  ]);
  for (const value of ['', '0', '-1Gi', '12 Gi', '1e', 256, true, ['1Gi'], { memory: '1Gi' }] as Json[]) {
    t.same(words(withOverrides({ function: { limit: value } })), [
      `${OVERRIDES}[function].limit must be a positive quantity such as 256Mi or 1Gi, was ${JSON.stringify(value)}`,
    ]);
  }
});

t.test('request above limit is refused, equal is not', async (t) => {
  t.same(words(withOverrides({ function: { request: '513Mi', limit: '512Mi' } })), [
    `${OVERRIDES}[function] request must not exceed limit, was request "513Mi" and limit "512Mi"`,
  ]);
  t.same(words(withOverrides({ function: { request: '0.5Gi', limit: '512Mi' } })), []);
  t.same(overridesOf(withOverrides({ function: { request: '513Mi', limit: '512Mi' } })), {}, 'neither is injected');
});

t.test('less than 4Mi is probably a slip: a warning, and used all the same', async (t) => {
  const [slip] = checkRecord(withOverrides({ function: { request: '256m' } }));
  t.same(slip, { field: `${OVERRIDES}[function].request`, message: 'is below 4Mi, was "256m"', severity: 'warning' });
  t.same(overridesOf(withOverrides({ function: { request: '256m' } })), { function: { request: '256m' } });
  t.same(words(withOverrides({ function: { request: '4Mi' } })), []);
  t.same(words(withOverrides({ function: { request: '4194303' } })).length, 1);
});

t.test('a key is a container name or workload/container', async (t) => {
  const keys = ['a', 'user-container', 'orders/function', 'my.orders-1/function', 'constructor', 'a'.repeat(63)];
  for (const key of keys) t.same(words(withOverrides({ [key]: { limit: '1Gi' } })), [], key);
  for (const key of ['', 'Function', '-a', 'a-', 'a/b/c', '/a', 'a/', 'a.b', 'a b', 'a\n']) {
    t.same(words(withOverrides({ [key]: { limit: '1Gi' } })), [
      `${OVERRIDES} keys must be a container name or workload/container, was ${JSON.stringify(key)}`,
    ]);
    t.same(overridesOf(withOverrides({ [key]: { limit: '1Gi' } })), {});
  }
});

t.test('what should be an object and is not, is named', async (t) => {
  t.same(words(withOverrides('256Mi')), [`${OVERRIDES} must map container names to { request, limit }, was "256Mi"`]);
  t.same(words(withOverrides({ function: '256Mi' })), [
    `${OVERRIDES}[function] must be { request, limit }, was "256Mi"`,
  ]);
  t.same(words(withOverrides({ function: null })), [`${OVERRIDES}[function] must be { request, limit }, was null`]);
});

t.test('a long value is cut short, so that the message stays readable', async (t) => {
  for (const record of [
    withOverrides({ function: { request: 'x'.repeat(999) } }),
    recordOf({ memory_tuning: { enabled: 'x'.repeat(999) } }),
  ]) {
    const [message = ''] = words(record);
    t.ok(message.endsWith('xxx...') && message.length < 200, message);
  }
});

t.test('one bad field loses nothing else', async (t) => {
  const record = withOverrides({
    function: { request: '64mi', limit: '512Mi' },
    odgm: { request: '1Gi', limit: '1Mi' },
    proxy: { request: '32Mi' },
    'bad key': { limit: '1Gi' },
  });
  t.same(overridesOf(record), { function: { limit: '512Mi' }, proxy: { request: '32Mi' } });
  t.equal(readTuning(record).problems.filter(({ severity }) => severity === 'error').length, 3);
});

t.test('applied values are read back from status, by workload and container', async (t) => {
  const applied = { request: '224Mi', limit: '368Mi', at: '2026-01-31T10:00:00Z' };
  const record = recordOf({}, { containers: [{ workload: 'Deployment/orders', name: 'function', applied }] });
  t.same(
    { ...readTuning(record).applied },
    {
      'Deployment/orders/function': { request: '224Mi', limit: '368Mi' },
    },
  );
});

t.test('applied values of a Guaranteed container, request = limit, are read back too', async (t) => {
  const applied = { request: '512Mi', limit: '0.5Gi' };
  const record = recordOf({}, { containers: [{ workload: 'Deployment/orders', name: 'function', applied }] });
  t.same({ ...readTuning(record).applied }, { 'Deployment/orders/function': applied });
});

t.test('what is unreadable in status was never applied', async (t) => {
  const pairs: Json[] = [
    null,
    '1Gi',
    { request: '1Gi' },
    { request: '1Gi', limit: 5 },
    { request: '0', limit: '1Gi' },
    { request: '2Gi', limit: '1Gi' },
  ];
  for (const applied of pairs) {
    const record = recordOf({}, { containers: [{ workload: 'Deployment/orders', name: 'function', applied }] });
    t.same({ ...readTuning(record).applied }, {}, JSON.stringify(applied));
  }
  const applied = { request: '1Gi', limit: '1Gi' };
  for (const name of [undefined, 7, { toString: 1, valueOf: 1 }] as Json[]) {
    const record = recordOf({}, { containers: [{ workload: 'Deployment/orders', name, applied }, null] });
    t.same({ ...readTuning(record).applied }, {}, `a container named ${JSON.stringify(name)}`);
  }
});

t.test('whatever a record holds, reading it never throws, and what is kept can be meant', async (t) => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.anything(),
    fc.constantFrom('1Gi', '256Mi', '-1', '64mi', { toString: 1, valueOf: 1 }),
  );
  const entry = fc.oneof(value, fc.record({ request: value, limit: value }, { requiredKeys: [] }));
  const key = fc.oneof(fc.string(), fc.constantFrom('function', 'orders/odgm', '__proto__', 'constructor'));
  const overrides = fc.oneof(value, fc.dictionary(key, entry));
  const knative = fc.record({ containerConcurrency: value, annotations: overrides }, { requiredKeys: [] });
  const nfr = fc.record({
    memory_tuning: fc.oneof(value, fc.record({ enabled: value, enforce: value, overrides }, { requiredKeys: [] })),
    knative_tuning: fc.oneof(value, fc.record({ overrides: fc.oneof(value, knative) })),
  });
  const container = fc.record({ workload: value, name: value, applied: entry }, { requiredKeys: [] });
  const memory = fc.oneof(value, fc.record({ containers: fc.oneof(value, fc.array(fc.oneof(value, container))) }));
  fc.assert(
    fc.property(nfr, memory, (wishes, status) => {
      const record = recordOf(wishes as Json, status as Json);
      const { overrides, applied, problems } = readTuning(record);
      const kept = [...Object.entries(overrides), ...Object.entries(applied)];
      const again = withOverrides(Object.fromEntries(kept.map(([, pair], index) => [`c${index}`, pair])));
      return (
        checkRecord(again).every(({ severity }) => severity === 'warning') &&
        problems.every(({ field, message }) => field.startsWith('spec.nfr.') && /, was /.test(message))
      );
    }),
    { seed: 20260131, numRuns: 2000 },
  );
  t.pass();
});
