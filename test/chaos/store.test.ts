/** What the store may be like while reviews come in: empty, stale, full of nonsense. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { until } from '../cluster/until.ts';
import { record } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { keepsItsPromise, run } from './running.ts';

t.test('never filled: every object passes as its author wrote it, and readiness says why', async (t) => {
  const cluster = await playCluster(t);
  cluster.misbehave = (asked) => asked.refuse(503, 'etcd has no leader');
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await keepsItsPromise(t, tuner, 'unchanged');
  t.match(await tuner.ready(), /^not ready: the (records|namespaces) have not been listed yet\n$/);
  t.match(await tuner.line('cannot follow the API server'), { error: /etcd has no leader/ });
  for (const operation of ['CREATE', 'UPDATE']) {
    const labels = `kind="Deployment",operation="${operation}",result="skipped",reason="store-not-ready"`;
    t.equal(await tuner.metric(`oaas_tuner_admissions_total{${labels}}`), 15);
  }
  t.ok(Number.isNaN(await tuner.metric('oaas_tuner_store_age_seconds')), 'nobody can say how old nothing is');
  cluster.misbehave = undefined;
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await keepsItsPromise(t, tuner, 'right');
});

t.test('empty: a create waits a moment for its record, then passes', async (t) => {
  const cluster = await playCluster(t, []);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await keepsItsPromise(t, tuner, 'unchanged');
  const labels = 'kind="Deployment",operation="CREATE",result="skipped",reason="unknown-record"';
  t.equal(await tuner.metric(`oaas_tuner_admissions_total{${labels}}`), 15);
});

t.test('stale: the records of the last list hold, and their age grows', async (t) => {
  const cluster = await playCluster(t);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('it to watch', () => cluster.watches.size > 0);
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  cluster.misbehave = () => {};
  for (const watch of cluster.watches) watch.reset();
  await until('the age to grow', async () => (await tuner.metric('oaas_tuner_store_age_seconds')) > 1);
  await keepsItsPromise(t, tuner, 'right');
  t.equal(await tuner.ready(), 'ok\n', 'who has old records still answers');
  t.ok(await tuner.line('cannot follow the API server'));
});

const NONSENSE: unknown[] = [
  ...[null, 7, 'a record', [], {}, { metadata: null }, { metadata: {} }, { metadata: { name: 7, namespace: [] } }],
  ...[null, 7, [], 'x', { nfr: 7 }, { nfr: { memory_tuning: [] } }].map((spec, index) => ({
    metadata: { name: `odd-${index}`, namespace: 'shop' },
    spec,
  })),
  ...[{ function: 7 }, { function: { request: {} } }, { __proto__: { request: '1Mi' } }, [], 'all', 1e308].map(
    (overrides, index) => ({
      metadata: { name: `wish-${index}`, namespace: 'shop' },
      spec: { nfr: { memory_tuning: { enabled: 'maybe', enforce: 1, overrides } } },
    }),
  ),
  ...[7, [7], [null], [{ workload: {}, name: [] }], [{ workload: 'a', name: 'b', applied: 'much' }]].map(
    (containers, index) => ({
      metadata: { name: `status-${index}`, namespace: 'shop' },
      spec: {},
      status: { nfr_recommendations: { memory: { containers } } },
    }),
  ),
];

t.test('full of nonsense, from the list and from the watch: the record that makes sense is in force', async (t) => {
  const cluster = await playCluster(t, [...NONSENSE, record(), ...NONSENSE] as JsonObject[]);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await keepsItsPromise(t, tuner, 'right');

  const watch = await until('it to watch', () => [...cluster.watches][0]);
  for (const nonsense of NONSENSE) {
    for (const type of ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'SOMETHING']) watch.event(type, nonsense as never);
  }
  watch.event('ADDED', record('the last one'));
  await until('the last event', async () => (await tuner.metric('oaas_tuner_store_records')) === 2);
  await keepsItsPromise(t, tuner, 'right');
});

t.test('full of values that cannot be meant: they are left out, the rest of the record holds', async (t) => {
  const overrides = { function: { request: '300Mi', limit: '400Mi' }, sidecar: { request: '64mi' }, other: 'much' };
  const cluster = await playCluster(t, [record('orders', overrides)]);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await keepsItsPromise(t, tuner, 'right');
  t.equal(await tuner.metric('oaas_tuner_store_faulty_records'), 1);
});
