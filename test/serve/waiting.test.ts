/** A record and its workload often arrive in one `kubectl apply`: a CREATE waits for its record, shortly. */
import t from 'tap';
import { createRecordStore } from '../../src/store/records.ts';
import { orders, record, review, type Served, serve } from './served.ts';

let served: Served;
t.beforeEach(async () => {
  served = await serve([]);
});
t.afterEach(() => served.close());

/** When a review of an unknown record begins to wait, and how long it was told to. */
function waitingBegins({ store }: Served): Promise<number> {
  return new Promise((resolve) => {
    const { waitFor } = store;
    store.waitFor = (namespace, owner, milliseconds) => {
      resolve(milliseconds);
      return waitFor(namespace, owner, milliseconds);
    };
  });
}

t.test('a CREATE gets the values of a record that arrives while it waits', async (t) => {
  const began = waitingBegins(served);
  const answer = served.post('/mutate', review());
  t.equal(await began, 250);
  served.store.set(record());
  t.equal((await answer).body.response.patchType, 'JSONPatch');
});

t.test('a CREATE without a record is answered after 250 ms, unchanged and with a warning', async (t) => {
  const started = performance.now();
  const { status, body } = await served.post('/mutate', review());
  const took = performance.now() - started;
  t.equal(status, 200);
  t.strictSame(body.response, {
    uid: '7f0b2c1e',
    allowed: true,
    warnings: ['oaas-tuner: no record "orders" in namespace shop: memory stays as in the manifest'],
  });
  t.ok(took >= 245 && took < 3_000, `took ${took} ms`);
});

t.test('an UPDATE, an object without the label and a store that is not filled do not wait', async (t) => {
  const began = waitingBegins(served).then(() => t.fail('waited'));
  await served.post('/mutate', review(orders, { operation: 'UPDATE', oldObject: orders }));
  await served.post('/mutate', review({ ...orders, metadata: { name: 'orders' } }));
  served.store.ready = createRecordStore().ready;
  const { body } = await served.post('/mutate', review());
  t.strictSame(body.response, { uid: '7f0b2c1e', allowed: true });
  t.match(await served.counted(), { 'Deployment/CREATE/skipped/store-not-ready': 1 });
  void began;
});

t.test('reviews of other records are answered while one waits', async (t) => {
  served.store.set(record('known'));
  const began = waitingBegins(served);
  let waited = false;
  const slow = served.post('/mutate', review()).then(() => {
    waited = true;
  });
  await began;
  const known = { ...orders, metadata: { name: 'o', namespace: 'shop', labels: { 'oaas.io/owner': 'known' } } };
  t.equal((await served.post('/mutate', review(known))).body.response.patchType, 'JSONPatch');
  t.equal(waited, false);
  await slow;
});
