import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { request } from 'undici';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { run } from './command.ts';
import { oomKill } from './oom-kill.ts';
import { until } from './until.ts';

const everything = { controllers: true, prometheus: true, knative: 'controller', keep: false } as const;
const can = available(partsFor(everything));
const skip = can.ok ? false : 'needs Go 1.26';
// tap holds comments back until a test has ended; a person who waits for a build wants to read on the way.
const say = (line: string) => console.error(line);

// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const orders = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, labels: { oaas.io/owner: orders } }
spec:
  replicas: 2
  selector: { matchLabels: { app: orders } }
  template:
    metadata:
      labels: { app: orders, oaas.io/owner: orders }
      annotations: { kwok.x-k8s.io/usage-memory: 180Mi, kwok.x-k8s.io/usage-memory.proxy: 20Mi }
    spec:
      containers:
      - { name: function, image: 'dev.local/orders:1', resources: { requests: { memory: 256Mi }, limits: { memory: 512Mi } } }
      - { name: proxy, image: 'dev.local/proxy:1' }
`;

const knativeService = (containerConcurrency: number) => `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: resize }
spec:
  template:
    spec:
      containerConcurrency: ${containerConcurrency}
      containers: [{ image: 'dev.local/resize:1' }]
`;

t.test('two clusters with everything run side by side', { skip }, async (t) => {
  const clusters = await Promise.all([startCluster({ ...everything, say }), startCluster({ ...everything, say })]);
  t.teardown(() => Promise.all(clusters.map(({ stop }) => stop())));
  const [cluster, other] = clusters;

  await t.test('a Deployment runs on fake nodes', async (t) => {
    await cluster.apply(orders, { user: 'person' });
    const { code, stderr } = await cluster.kubectl(['rollout', 'status', 'deployment/orders', '--timeout=120s']);
    t.equal(code, 0, stderr);
    const { body } = await cluster.api().send('/api/v1/namespaces/default/pods');
    t.strictSame(
      body.items.map((pod: { status: { phase: string } }) => pod.status.phase),
      ['Running', 'Running'],
    );
  });

  await t.test('Prometheus sees what the pods use, by container', async (t) => {
    const used = await values(
      cluster,
      'max by (container) (container_memory_working_set_bytes{image!="",pod=~"orders-.+"})',
      2,
    );
    t.strictSame(used, { function: 180 * 2 ** 20, proxy: 20 * 2 ** 20 });
    const limits = await values(
      cluster,
      'max by (container) (kube_pod_container_resource_limits{resource="memory"})',
      1,
    );
    t.strictSame(limits, { function: 512 * 2 ** 20 });
    const owners = await values(
      cluster,
      'count by (label_oaas_io_owner) (kube_pod_labels{label_oaas_io_owner!=""}) == 2',
      1,
    );
    t.strictSame(owners, { orders: 2 });
  });

  await t.test('Prometheus takes days that have passed', async (t) => {
    const now = Date.now();
    const samples = Array.from({ length: 5_000 }, (_, minute) => ({ at: now - minute * 60_000, value: minute }));
    await cluster.metricsPush([{ labels: { __name__: 'written', container: 'function' }, samples }]);
    t.strictSame(await values(cluster, 'max_over_time(written[4d])', 1), { function: 4_999 });
    t.strictSame(await values(cluster, 'count_over_time(written[4d])', 1), { function: 5_000 });
  });

  await t.test('Prometheus sees an OOM kill', async (t) => {
    const { body } = await cluster.api().send('/api/v1/namespaces/default/pods');
    await oomKill(cluster.api(), 'default', body.items[0].metadata.name, 'function');
    const reason = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}';
    t.strictSame(await values(cluster, `count by (container) (${reason})`, 1), { function: 1 });
    const restarts = 'max by (container) (kube_pod_container_status_restarts_total{container="function"})';
    t.strictSame(await values(cluster, restarts, 1), { function: 1 });
  });

  await t.test("Knative's own webhook refuses what Knative refuses", async (t) => {
    await t.rejects(cluster.apply(knativeService(2000)), { message: /expected 0 <= 2000 <= 1000/ });
  });

  await t.test("Knative's controller makes pods of a Service", async (t) => {
    await cluster.apply(knativeService(10));
    await until('the pod of the Service to run', async () => {
      const { body } = await cluster
        .api()
        .send('/api/v1/namespaces/default/pods?labelSelector=serving.knative.dev/service=resize');
      return body.items[0]?.status.phase === 'Running';
    });
    t.pass();
  });

  await t.test('nothing of one is in the other', async (t) => {
    const { stdout } = await other.kubectl(['get', 'deployments,pods', '-A', '-o', 'name']);
    t.equal(stdout, '');
  });

  await t.test('users are who they are said to be and may do what they should', async (t) => {
    const { stdout } = await cluster.kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'], {
      user: 'tuner',
    });
    t.equal(stdout, 'system:serviceaccount:oaas-system:oaas-tuner');
    t.equal((await cluster.api('person').send('/api/v1/pods')).status, 200);
    t.equal((await cluster.api('tuner').send('/api/v1/pods')).status, 403);
  });

  await t.test('the API server and Prometheus come back with what they knew', async (t) => {
    await Promise.all([cluster.kill('apiserver'), cluster.kill('prometheus')]);
    await t.rejects(cluster.api().send('/readyz'));
    await Promise.all([cluster.start('apiserver'), cluster.start('prometheus')]);
    t.equal((await cluster.api().send('/apis/apps/v1/namespaces/default/deployments/orders')).status, 200);
    t.strictSame(await values(cluster, 'max_over_time(written[4d])', 1), { function: 4_999 });
  });

  await t.test('stop leaves no process and no folder', async (t) => {
    await Promise.all(clusters.map(({ stop }) => stop()));
    for (const { folder } of clusters) {
      t.equal(await processesOf(folder), 0);
      t.notOk(existsSync(folder));
    }
  });
});

t.test('a run that is killed leaves no process and no folder', { skip }, async (t) => {
  const script = `
    const { startCluster } = await import(${JSON.stringify(`${import.meta.dirname}/cluster.ts`)})
    console.log((await startCluster({ keep: false })).folder)`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const folder = await firstLine(child);
  t.ok((await processesOf(folder)) >= 2, 'etcd and the API server run');
  child.kill('SIGKILL');
  await until('the watchdog to have cleaned up', async () => !existsSync(folder) && (await processesOf(folder)) === 0);
  t.pass();
});

t.test('a program that ends while it starts is named, with what it printed', async (t) => {
  const folder = t.testdir();
  for (const name of ['kube-apiserver', 'kubectl', 'etcd']) {
    writeFileSync(join(folder, name), '#!/bin/sh\necho "error: unknown flag"\nexit 2\n', { mode: 0o755 });
  }
  const before = process.env.KUBEBUILDER_ASSETS;
  process.env.KUBEBUILDER_ASSETS = folder;
  t.teardown(() => {
    if (before === undefined) delete process.env.KUBEBUILDER_ASSETS;
    else process.env.KUBEBUILDER_ASSETS = before;
  });
  t.strictSame(available(partsFor({})), { ok: true }, 'needs no Go for what KUBEBUILDER_ASSETS holds');
  await t.rejects(startCluster(), { message: /^etcd ended while it started \(code 2\).*error: unknown flag/s });
});

/** The value of each series by its only label (or its container), once there are as many as expected. */
function values({ prometheusUrl }: Cluster, query: string, count: number): Promise<Record<string, number>> {
  return until(`${count} series of ${query}`, async () => {
    const answer = await request(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await answer.body.json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (data.result.length !== count) return undefined;
    return Object.fromEntries(
      data.result.map(({ metric, value }) => [Object.values(metric)[0] ?? '', Number(value[1])]),
    );
  });
}

async function processesOf(folder: string): Promise<number> {
  const { stdout } = await run('ps', ['-A', '-o', 'args']);
  return stdout.split('\n').filter((line) => line.includes(folder)).length;
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  const [chunk] = await once(stdout ?? process.stdin, 'data');
  return String(chunk).trim();
}
