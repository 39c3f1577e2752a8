/** The records in memory: what a workload's label finds, and when. */
import t from 'tap';
import type { RecordResource } from '../../src/domain/record.ts';
import { createRecordStore } from '../../src/store/records.ts';

function record(name: string, request = '256Mi', namespace = 'shop'): RecordResource {
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace },
    spec: { nfr: { memory_tuning: { overrides: { function: { request } } } } },
  };
}

function filled(...records: RecordResource[]) {
  const store = createRecordStore();
  store.replace(records);
  return store;
}

/** Timers that keep the process alive: a wait that is over must leave none. */
const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;

t.test('a record is found by its name, in its own namespace only', async (t) => {
  const store = filled(record('orders'), record('orders', '1Gi', 'bank'));
  t.equal(store.get('shop', 'orders')?.overrides.function?.request, '256Mi');
  t.equal(store.get('bank', 'orders')?.overrides.function?.request, '1Gi');
  t.equal(store.get('shop', 'other'), undefined);
  t.equal(store.get('other', 'orders'), undefined);
  t.equal(store.size(), 2);
});

t.test("a record is found by its name's DNS-1035 form, which OaaS writes on Knative Services", async (t) => {
  const store = filled(record('shop.orders'), record('1st'));
  t.equal(store.get('shop', 'shop-orders')?.name, 'shop.orders');
  t.equal(store.get('shop', 'shop.orders')?.name, 'shop.orders');
  t.equal(store.get('shop', 'a1st')?.name, '1st');
});

t.test("a record's exact name wins over another record's form, in whatever order they come", async (t) => {
  const [exact, formed] = [record('shop-orders'), record('shop.orders')];
  for (const store of [filled(exact, formed), filled(formed, exact)]) {
    t.equal(store.get('shop', 'shop-orders')?.name, 'shop-orders');
    store.delete(formed);
    t.equal(store.get('shop', 'shop-orders')?.name, 'shop-orders');
    store.set(formed);
    store.delete(exact);
    t.equal(store.get('shop', 'shop-orders')?.name, 'shop.orders');
  }
});

t.test('of two records with one form, every replica finds the same, and the other when that one is gone', async (t) => {
  const [first, second] = [record('a-b.c'), record('a.b.c')];
  for (const store of [filled(first, second), filled(second, first)]) {
    t.equal(store.get('shop', 'a-b-c')?.name, 'a-b.c');
    store.set(second);
    t.equal(store.get('shop', 'a-b-c')?.name, 'a-b.c', 'an event of the other changes nothing');
    store.delete(first);
    t.equal(store.get('shop', 'a-b-c')?.name, 'a.b.c');
    store.delete(second);
    t.equal(store.get('shop', 'a-b-c'), undefined);
  }
});

t.test('a change is seen at once, under the name and under the form', async (t) => {
  const store = filled(record('shop.orders'));
  store.set(record('shop.orders', '2Gi'));
  for (const owner of ['shop.orders', 'shop-orders']) {
    t.equal(store.get('shop', owner)?.overrides.function?.request, '2Gi');
  }
  t.equal(store.size(), 1);
});

t.test('a deleted record is gone under its name and under its form', async (t) => {
  const store = filled(record('shop.orders'));
  store.delete(record('shop.orders'));
  t.equal(store.get('shop', 'shop.orders'), undefined);
  t.equal(store.get('shop', 'shop-orders'), undefined);
  t.equal(store.size(), 0);
  t.doesNotThrow(() => store.delete(record('never-there')));
});

t.test('a new list replaces everything: what is not in it is gone', async (t) => {
  const store = filled(record('orders'), record('shop.users'));
  store.replace([record('carts')]);
  for (const owner of ['orders', 'shop.users', 'shop-users']) t.equal(store.get('shop', owner), undefined);
  t.equal(store.get('shop', 'carts')?.name, 'carts');
  t.ok(store.ready(), 'and stays ready');
});

t.test('the store is ready after the first list, even an empty one, and not after mere events', async (t) => {
  const store = createRecordStore();
  store.set(record('orders'));
  t.notOk(store.ready());
  store.replace([]);
  t.ok(store.ready());
  t.equal(store.size(), 0);
});

t.test('the store tells when its source last answered', async (t) => {
  const store = createRecordStore();
  t.equal(store.confirmedAt(), undefined);
  store.confirm(1_000);
  store.confirm(5_000);
  t.equal(store.confirmedAt(), 5_000);
});

t.test('a bad override is never in the store, the good ones are', async (t) => {
  const bad = record('orders');
  bad.spec = { nfr: { memory_tuning: { overrides: { function: { request: 'lots', limit: '1Gi' } } } } };
  const tuning = filled(bad).get('shop', 'orders');
  t.strictSame(tuning?.overrides.function, { limit: '1Gi' });
  t.match(tuning?.problems, [{ field: 'spec.nfr.memory_tuning.overrides[function].request', severity: 'error' }]);
});

t.test('waiting for a record that is known takes no time', async (t) => {
  const store = filled(record('orders'));
  t.equal((await store.waitFor('shop', 'orders', 60_000))?.name, 'orders');
  t.equal(timers(), 0);
});

t.test('waiting ends when the record arrives, by name or by form, and leaves no timer', async (t) => {
  for (const owner of ['shop.orders', 'shop-orders']) {
    for (const arrive of ['set', 'replace'] as const) {
      const store = filled();
      const waits = [1, 2, 3].map(() => store.waitFor('shop', owner, 60_000));
      store.set(record('other'));
      if (arrive === 'set') store.set(record('shop.orders'));
      else store.replace([record('shop.orders')]);
      t.strictSame(
        (await Promise.all(waits)).map((found) => found?.name),
        ['shop.orders', 'shop.orders', 'shop.orders'],
      );
      t.equal(timers(), 0);
    }
  }
});

t.test('waiting for a record that does not come ends after the given time, and leaves no timer', async (t) => {
  const store = filled();
  const started = performance.now();
  t.equal(await store.waitFor('shop', 'orders', 30), undefined);
  const waited = performance.now() - started;
  t.ok(waited >= 25 && waited < 10_000, `waited ${waited} ms`);
  t.equal(timers(), 0);
  store.set(record('orders'));
  t.equal(store.get('shop', 'orders')?.name, 'orders', 'a late arrival is simply known');
});

t.test('waiting for the same name elsewhere is not disturbed', async (t) => {
  const store = filled();
  const wait = store.waitFor('bank', 'orders', 20);
  store.set(record('orders'));
  t.equal(await wait, undefined);
});

t.test('a record nested absurdly deep is a record with a problem, not the end of the watch', async (t) => {
  const deep = record('orders');
  deep.spec = { nfr: { memory_tuning: { enabled: JSON.parse('['.repeat(10_000) + ']'.repeat(10_000)) } } };
  const store = filled();
  t.doesNotThrow(() => store.set(deep));
});
