/** Two writers of one record's status against a real API server: who decided from an old read writes nothing. */
import t from 'tap';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import { createApi } from '../../src/kube/api.ts';
import { Connection } from '../../src/kube/connect.ts';
import { recordType } from '../../src/kube/records.ts';
import { clusterOf, type Cluster as Written } from '../../src/worker/cluster.ts';
import { considerate } from '../../src/worker/considerate.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { kubectl, record } from './stage.ts';
import { byUrl, install } from './tuner.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const says = (message: string): MemoryStatus => ({
  ...{ phase: 'NoData', message, workloads: 0, containers: [], history: [] },
});

t.test('a late write is refused', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  await install(cluster, byUrl(1, cluster.caFile));
  const [old, young] = [writer(cluster), writer(cluster)];
  await kubectl(cluster, ['apply', '-f', '-'], record());
  const [read] = (await old.records()) as [RecordResource];
  const message = () => kubectl(cluster, ['get', 'deploymentrecord', 'orders', '-o', 'jsonpath={.status..message}']);

  await t.test('of two that read the same version the first one wins', async (t) => {
    await young.writeStatus(read, says('by the new leader'));
    await t.rejects(old.writeStatus(read, says('by the old one')), { code: 409, message: /modified/ });
    t.equal(await message(), 'by the new leader');
    await t.rejects(considerate(old).writeStatus(read, says('by the old one, again')), { code: 409 });
    t.equal(await message(), 'by the new leader', 'to read again is no way around it');
  });

  await t.test('what OaaS writes meanwhile is no obstacle, and stays', async (t) => {
    const now = await old.reread(read);
    const conditions = [{ type: 'Ready', status: 'True' }];
    const path = '/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/orders/status';
    const patched = await cluster.api().send(path, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { status: { conditions } },
    });
    t.equal(patched.status, 200);
    await t.rejects(old.writeStatus(now, says('in one try')), { code: 409 });
    await considerate(old).writeStatus(now, says('in two tries'));
    t.equal(await message(), 'in two tries');
    t.match((await old.reread(read)).status, { conditions });
  });

  await t.test('a wish that a person changes meanwhile is one', async (t) => {
    const now = await old.reread(read);
    await kubectl(cluster, ['apply', '-f', '-'], record({ enforce: true }));
    await t.rejects(considerate(old).writeStatus(now, says('without the wish')), { code: 409 });
    t.equal(await message(), 'in two tries');
  });

  await t.test('a record that is gone is a 404, and is not made anew', async (t) => {
    const now = await old.reread(read);
    await kubectl(cluster, ['delete', 'deploymentrecord', 'orders']);
    await t.rejects(considerate(old).writeStatus(now, says('to nobody')), { code: 404 });
    t.strictSame(await old.records(), []);
    await kubectl(cluster, ['apply', '-f', '-'], record());
    await t.rejects(considerate(old).writeStatus(now, says('to its namesake')), { code: 409 });
    t.equal(await message(), '');
  });
});

/** A worker's hands, with the rights of the chart's role. */
function writer(cluster: Cluster): Written {
  const config = new Connection();
  config.loadFromFile(cluster.kubeconfigFor('tuner'));
  return clusterOf(createApi(config), recordType('deploymentrecords'), false);
}
