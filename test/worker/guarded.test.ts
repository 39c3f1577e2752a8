/** Who does not hold the lease any more writes nothing, and gives it away only when nothing is on its way. */
import t from 'tap';
import { onlyWhile } from '../../src/worker/guarded.ts';
import { deployment, playCluster, record } from './played-cluster.ts';

const orders = record('orders');
const status = { phase: 'Observing', message: '', containers: [], history: [] } as never;

t.test('reads go through, writes only while it leads', async (t) => {
  const played = playCluster([orders], [deployment('orders')]);
  let leads = true;
  const { cluster } = onlyWhile(() => leads, played);
  await cluster.writeStatus(orders, status);
  leads = false;
  await t.rejects(cluster.writeStatus(orders, status), /another replica may hold the lease/);
  await t.rejects(cluster.writeVpa({}), /another replica/);
  await t.rejects(cluster.removeVpa({}), /another replica/);
  await t.rejects(cluster.emit(orders, { type: 'Normal', reason: 'Recommended', message: '' } as never));
  t.strictSame([played.writes, played.events], [['orders'], []]);
  t.equal((await cluster.records()).length, 1);
});

t.test('idle waits for a write that is on its way, also for one that fails', async (t) => {
  const played = playCluster([orders], []);
  const { promise, reject } = Promise.withResolvers<void>();
  const { cluster, idle } = onlyWhile(() => true, { ...played, writeStatus: () => promise });
  const written = cluster.writeStatus(orders, status);
  let waited = false;
  const waiting = idle().then(() => {
    waited = true;
  });
  await Promise.resolve();
  t.notOk(waited);
  reject(new Error('the API server is gone'));
  await t.rejects(written, /gone/);
  await waiting;
  t.ok(waited);
});
