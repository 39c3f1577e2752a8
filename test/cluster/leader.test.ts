/** Two replicas against a real API server: one works, and when it cannot, the other does. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { available } from './binaries.ts';
import { openBlockable } from './blockable.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { kubectl, manifest, record } from './stage.ts';
import { startTuner, type Tuner } from './tuner.ts';
import { until } from './until.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

async function leads(tuner: Tuner): Promise<boolean> {
  const [, value] = /^oaas_tuner_leader (\d)/m.exec(await tuner.metrics()) ?? [];
  return value === '1';
}

/** How often it has written a status. */
async function writes(tuner: Tuner): Promise<number> {
  const [, value] = /^oaas_tuner_status_writes_total (\d+)/m.exec(await tuner.metrics()) ?? [];
  return Number(value ?? 0);
}

const taken = (what: string, tuner: Tuner) => until(what, () => leads(tuner), PATIENCE);
// Leases are counted in seconds; a machine that is busy with other tests adds some of its own.
const PATIENCE = { timeoutMs: 90_000 };
const LEASE = ['get', 'lease', 'oaas-tuner', '-n', 'oaas-system', '-o'];
const secondsSince = (start: number) => Math.round((performance.now() - start) / 1000);

t.test('of two replicas one works', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const way = await openBlockable(cluster.url);
  t.teardown(() => way.close());
  // Prometheus refuses: the status that says so is what a cycle writes.
  const env = { OPRC_CRM_PROM_URL: 'http://127.0.0.1:9' };
  const a = await startTuner(cluster, { ...env, KUBECONFIG: throughWay(cluster, way.url) });
  t.teardown(() => a.stop());
  await taken('the first to lead', a);
  const b = await startTuner(cluster, env);
  t.teardown(() => b.stop());

  /** Whether each leads; never both. */
  const look = async (t: Test) => {
    const [first, second] = await Promise.all([leads(a), leads(b)]);
    if (first && second) t.fail('both lead');
    return { first, second };
  };
  /** Gives whoever works a record to write about. */
  let wanted = 0;
  const work = async (t: Test) => {
    wanted += 1;
    const name = `record-${wanted}`;
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ name })}---\n${manifest({ name, owner: name })}`);
    await until(`the status of ${name}`, async () => {
      const phase = await kubectl(cluster, ['get', 'deploymentrecord', name, '-o', 'jsonpath={.status..phase}']);
      return phase === 'Degraded';
    });
    t.ok(true);
  };

  await t.test('the first one leads, and only it writes', async (t) => {
    await work(t);
    // Who was kept from renewing for ten seconds leads on as soon as it has.
    const alone = async () => {
      const { first, second } = await look(t);
      return first && !second;
    };
    await until('the first to lead, and not the other', alone, PATIENCE);
    await until('its write to be counted', async () => (await writes(a)) > 0);
    t.equal(await writes(b), 0);
    t.match(JSON.parse(await kubectl(cluster, [...LEASE, 'jsonpath={.spec}'])), {
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
    });
  });

  await t.test('the leader is cut off: it stops by itself, then the other starts; never both', async (t) => {
    const start = performance.now();
    way.cut();
    let stopped: number | undefined;
    await until(
      'the other to lead',
      async () => {
        const { first, second } = await look(t);
        if (!first) stopped ??= secondsSince(start);
        return second;
      },
      PATIENCE,
    );
    t.ok(stopped !== undefined && stopped <= 30, `it stopped after ${stopped} s`);
    t.ok(secondsSince(start) <= 60, `the other started after ${secondsSince(start)} s`);
    const before = await writes(a);
    await work(t);
    t.equal(await writes(a), before);
    way.heal();
    t.notOk(await leads(a), 'and follows when it is back');
  });

  await t.test('SIGTERM: the other takes over at once', async (t) => {
    const resourceVersion = await kubectl(cluster, [...LEASE, 'jsonpath={.metadata.resourceVersion}']);
    const [stopping] = await Promise.all([b.stop(), taken('the first to lead again', a)]);
    t.equal(stopping, undefined);
    const since = new URLSearchParams({
      ...{ watch: 'true', timeoutSeconds: '1', fieldSelector: 'metadata.name=oaas-tuner' },
      resourceVersion,
    });
    const leases = '/apis/coordination.k8s.io/v1/namespaces/oaas-system/leases';
    t.match(
      await kubectl(cluster, ['get', '--raw', `${leases}?${since}`]),
      '"holderIdentity":""',
      'it was given back: nobody waited for its end',
    );
    await work(t);
  });

  await t.test('SIGKILL: the other takes over within seconds', async (t) => {
    await b.start();
    await until('the second to stand by', async () => b.log().some(({ msg }) => msg === 'listed') && !(await leads(b)));
    const start = performance.now();
    await a.kill();
    await taken('the second to lead', b);
    t.ok(secondsSince(start) <= 60, `after ${secondsSince(start)} s`);
    await work(t);
  });
});

/** The tuner's kubeconfig, by another way to the same API server. */
function throughWay(cluster: Cluster, url: string): string {
  const config = JSON.parse(readFileSync(cluster.kubeconfigFor('tuner'), 'utf8'));
  config.clusters[0].cluster.server = url;
  const file = join(cluster.folder, 'tuner-through-way.kubeconfig');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
