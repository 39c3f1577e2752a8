import fc from 'fast-check';
import t from 'tap';
import { type Deployment, halves, type Shard, shardsOf } from '../../src/collect/shards.ts';

const one = (namespace: string, name: string): Deployment => ({ namespace, name });
const many = (namespace: string, names: string[]): Deployment[] => names.map((name) => one(namespace, name));
const shown = (shards: Shard[]) =>
  shards.map(({ namespaces, prefixes, deployments }) => [namespaces.join(), prefixes.join(), deployments.length]);

t.test('whole namespaces go together up to the most that a query may have', async (t) => {
  const all = [...many('bank', ['a', 'b']), ...many('cafe', ['c']), ...many('shop', ['d', 'e'])];
  t.strictSame(shown(shardsOf(all, all, 5)), [['bank,cafe,shop', '', 5]]);
  t.strictSame(shown(shardsOf(all, all, 4)), [
    ['bank,cafe', '', 3],
    ['shop', '', 2],
  ]);
  t.strictSame(shown(shardsOf(all, all, 2)), [
    ['bank', '', 2],
    ['cafe', '', 1],
    ['shop', '', 2],
  ]);
});

t.test(
  'a namespace with more than that is read by the beginnings of its names, as short as they tell apart',
  async (t) => {
    const names = Array.from({ length: 100 }, (_, index) => `wl-${String(index).padStart(2, '0')}`);
    const shards = shardsOf(many('shop', names), many('shop', names), 25);
    t.equal(shards.length, 4);
    t.strictSame(shards[0]?.prefixes, ['wl-0', 'wl-1', 'wl-20', 'wl-21', 'wl-22', 'wl-23', 'wl-24']);
  },
);

t.test('a part of a namespace is asked for by name, so that the rest of it is not read', async (t) => {
  const all = many('shop', ['order', 'orders', 'orders-v2', 'payments']);
  const prefixes = (...names: string[]) => shardsOf(many('shop', names), all, 10)[0]?.prefixes;
  t.strictSame(prefixes('payments'), ['p']);
  t.strictSame(prefixes('orders-v2'), ['orders-']);
  t.strictSame(prefixes('orders'), ['orders'], 'which begins the other: rows tell whose they are');
  t.strictSame(prefixes('orders', 'orders-v2'), ['orders']);
});

t.test('names longer than a pod keeps of them are cut', async (t) => {
  const long = 'a'.repeat(60);
  t.strictSame(
    shardsOf([one('shop', `${long}b`)], [one('shop', `${long}b`), one('shop', `${long}c`)], 1)[0]?.prefixes,
    ['a'.repeat(45)],
  );
});

t.test('a shard in two', async (t) => {
  const all = many('shop', ['a', 'b', 'c']);
  const [whole] = shardsOf(all, all, 10);
  t.strictSame(shown(halves(whole as Shard, all)), [
    ['shop', 'a,b', 2],
    ['shop', 'c', 1],
  ]);
});

t.test(
  'whatever is asked for, each Deployment is in exactly one shard that reads its pods, and none is too large',
  async (t) => {
    const name = fc.stringMatching(/^[ab]([ab-]{0,4}[ab])?$/);
    const deployments = fc.uniqueArray(fc.record<Deployment>({ namespace: fc.constantFrom('x', 'y', 'z'), name }), {
      selector: ({ namespace, name }) => `${namespace}/${name}`,
      maxLength: 30,
    });
    fc.assert(
      fc.property(deployments, fc.integer({ min: 1, max: 12 }), fc.func(fc.boolean()), (all, most, pick) => {
        const wanted = all.filter((one) => pick(one));
        const shards = shardsOf(wanted, all, most);
        const found = shards.flatMap((shard) => shard.deployments);
        t.strictSame(new Set(found), new Set(wanted));
        if (found.length !== wanted.length) return false;
        return shards.every(({ deployments, namespaces, prefixes }) => {
          const reads = ({ namespace, name }: Deployment) =>
            namespaces.includes(namespace) &&
            (prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)));
          const stranger = (one: Deployment) => reads(one) && !wanted.includes(one);
          // Strangers are read only where a wanted name begins theirs.
          const begun = ({ namespace, name }: Deployment) =>
            deployments.some((one) => one.namespace === namespace && name.startsWith(one.name));
          return deployments.length <= most && deployments.every(reads) && all.filter(stranger).every(begun);
        });
      }),
    );
  },
);
