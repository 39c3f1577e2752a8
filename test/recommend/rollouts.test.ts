/** Which workloads are asked to roll out, at both sides of each boundary. */
import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { type Pending, planRollouts } from '../../src/recommend/rollouts.ts';
import { MINUTE, NOW } from './rules.ts';

const LIMITS = { perNamespace: 2, perCluster: 3 };

/** A workload that nothing is in the way of. @param where `namespace/name` */
const pending = (where: string, more: Partial<Pending> = {}): Pending => ({
  key: where,
  namespace: where.split('/')[0] ?? '',
  gain: 100 * Mi,
  urgent: false,
  paused: false,
  rolling: false,
  underWay: false,
  coolsUntil: Number.NEGATIVE_INFINITY,
  doubtful: false,
  needs: {},
  ...more,
});
const plan = (all: Pending[], underWay: string[] = [], headroom = {}) =>
  Object.fromEntries(planRollouts(all, underWay, new Map(Object.entries(headroom)), LIMITS, NOW));
const one = (more: Partial<Pending>) => plan([pending('a/x', more)])['a/x'];

t.test('what is in the way of one workload', async (t) => {
  t.equal(one({}), 'ask');
  t.equal(one({ never: 'next-template-change' }), 'next-template-change');
  t.equal(one({ paused: true }), 'rollout-paused');
  t.equal(one({ rolling: true }), 'rollout-under-way');
  t.equal(one({ doubtful: true }), 'doubtful-data');
  t.equal(one({ coolsUntil: NOW + 1 }), 'cooldown');
  t.equal(one({ coolsUntil: NOW }), 'ask');
});

t.test('an OOM kill waits for no cooldown, no rollout and no better data, but for a person', async (t) => {
  t.equal(one({ urgent: true, coolsUntil: NOW + MINUTE, rolling: true, doubtful: true }), 'ask');
  t.equal(one({ urgent: true, paused: true }), 'rollout-paused');
  t.equal(one({ urgent: true, never: 'not-injectable' }), 'not-injectable');
});

t.test('urgent ones first, then the largest gain, then by name', async (t) => {
  const order = (all: Pending[]) =>
    [...planRollouts(all, [], new Map(), { perNamespace: 9, perCluster: 9 }, NOW).keys()].join(' ');
  const [small, large] = [pending('a/small', { gain: 1 }), pending('a/large', { gain: 2 })];
  t.equal(order([small, large]), 'a/large a/small');
  t.equal(order([{ ...small, urgent: true }, large].reverse()), 'a/small a/large');
  t.equal(order([pending('a/y'), pending('b/x'), pending('a/x')]), 'a/x a/y b/x');
});

t.test('at most so many of a namespace, and of the cluster, counting those under way', async (t) => {
  const three = [pending('a/1'), pending('a/2'), pending('a/3')];
  t.same(plan(three), { 'a/1': 'ask', 'a/2': 'ask', 'a/3': 'namespace-limit' });
  t.same(plan(three, ['a']), { 'a/1': 'ask', 'a/2': 'namespace-limit', 'a/3': 'namespace-limit' });
  t.same(plan([pending('a/1'), pending('b/1')], ['c', 'c']), { 'a/1': 'ask', 'b/1': 'cluster-limit' });
  t.same(plan([pending('a/1'), pending('b/1')], ['c']), { 'a/1': 'ask', 'b/1': 'ask' });
});

t.test('who is under way already needs no second place', async (t) => {
  t.same(plan([pending('a/1', { underWay: true })], ['a', 'a', 'c']), { 'a/1': 'ask' });
  t.same(plan([pending('a/1')], ['a', 'a', 'c']), { 'a/1': 'namespace-limit' });
});

t.test('a ResourceQuota has room for so many', async (t) => {
  const needs = { request: 100 * Mi, limit: 200 * Mi };
  const two = [pending('a/1', { needs }), pending('a/2', { needs })];
  t.same(plan(two, [], { a: { request: 200 * Mi, limit: 400 * Mi } }), { 'a/1': 'ask', 'a/2': 'ask' });
  t.same(plan(two, [], { a: { request: 200 * Mi - 1 } }), { 'a/1': 'ask', 'a/2': 'quota' });
  t.same(plan(two, [], { a: { limit: 200 * Mi - 1 } }), { 'a/1': 'quota', 'a/2': 'quota' });
  t.same(plan(two, [], { b: { limit: 0 } }), { 'a/1': 'ask', 'a/2': 'ask' }, "another namespace's");
  t.same(plan([pending('a/1', { needs: { request: 0 } })], [], { a: { request: -1 } }), { 'a/1': 'ask' }, 'overdrawn');
});

t.test('one that cannot go holds up no other', async (t) => {
  t.same(plan([pending('a/1', { gain: 9 * Mi, paused: true }), pending('a/2'), pending('a/3')]), {
    'a/1': 'rollout-paused',
    'a/2': 'ask',
    'a/3': 'ask',
  });
});

t.test('whatever is pending: the limits hold, everyone gets a word, and the order given does not matter', async (t) => {
  const any = fc.record({
    name: fc.integer({ min: 0, max: 999 }),
    namespace: fc.constantFrom('a', 'b', 'c'),
    gain: fc.nat(9),
    urgent: fc.boolean(),
    rolling: fc.boolean(),
    paused: fc.boolean(),
  });
  const all = fc.uniqueArray(any, { selector: ({ namespace, name }) => `${namespace}/${name}`, maxLength: 30 });
  const law = fc.property(all, fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 5 }), (some, underWay) => {
    const list = some.map(({ name, namespace, ...more }) => pending(`${namespace}/${name}`, more));
    const planned = planRollouts(list, underWay, new Map(), LIMITS, NOW);
    const asked = list.filter(({ key }) => planned.get(key) === 'ask');
    const reversed = planRollouts(list.toReversed(), underWay, new Map(), LIMITS, NOW);
    return (
      planned.size === list.length &&
      asked.length <= Math.max(0, LIMITS.perCluster - underWay.length) &&
      ['a', 'b', 'c'].every((namespace) => {
        const had = underWay.filter((one) => one === namespace).length;
        return asked.filter((one) => one.namespace === namespace).length <= Math.max(0, LIMITS.perNamespace - had);
      }) &&
      list.every(({ key }) => planned.get(key) === reversed.get(key))
    );
  });
  fc.assert(law, { seed: 20260131, numRuns: 1000 });
  t.pass();
});
