/** Enforcement with the real control plane: who rolls, how often, and what a person's own tools see of it. */
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { Agent, request } from 'undici';
import type { MemoryStatus, RolloutStatus } from '../../src/domain/record.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { events, kubectl, manifest, memory, record, restarted, rollout, settled } from './stage.ts';
import { measuring, startTuner, type Tuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

/** Workloads that are enforced at once. */
const MANY = Number(process.env.OAAS_TUNER_WORKLOADS ?? 30);
const NAMESPACES = ['crowd-a', 'crowd-b', 'crowd-c'];
/** Less than three times as many in the cluster: both limits are felt. */
const PER_NAMESPACE = 4;
const PER_CLUSTER = 6;
const PATIENCE = { timeoutMs: 120_000 };

// 100Mi × 1.5 = 150Mi → 160Mi / 240Mi; 512Mi − 30 % = 358.4Mi → 368Mi; 1Gi − 30 % = 716.8Mi → 720Mi.
const WRITTEN = { request: '512Mi', limit: '1Gi' };
const FIRST_STEP = '368Mi/720Mi';
const workload = (name: string, more: Parameters<typeof manifest>[0] = {}) =>
  manifest({ name, owner: name, usage: '100Mi', memory: { function: WRITTEN }, ...more });

t.test('enforcement by rollouts', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster, {
    ...measuring(cluster),
    OPRC_CRM_ROLLOUTS_PER_NAMESPACE: String(PER_NAMESPACE),
    OPRC_CRM_ROLLOUTS_PER_CLUSTER: String(PER_CLUSTER),
  });
  t.teardown(() => tuner.stop());

  const ways: Record<string, string[]> = {
    client: ['apply'],
    server: ['apply', '--server-side'],
    replaced: ['replace'],
  };
  for (const [name, way] of Object.entries(ways)) {
    await t.test(`a step rolls once; kubectl ${way.join(' ')} after it neither conflicts nor reverts`, async (t) => {
      const first = way[0] === 'replace' ? ['create'] : way;
      await kubectl(cluster, [...first, '-f', '-'], workload(name));
      await settled(cluster, name);
      const before = await replicaSets(cluster, name);
      await kubectl(cluster, ['apply', '-f', '-'], record({ name, enforce: true }));
      await until('the first step', async () => (await memory(cluster, `deployment/${name}`)) === FIRST_STEP, PATIENCE);
      await until('the end of the rollout', async () => (await state(cluster, name))?.state === 'Done', PATIENCE);
      t.strictSame([before, await replicaSets(cluster, name)], [1, 2], 'one rollout');

      const rolled = await rollout(cluster, name);
      await kubectl(cluster, [...way, '-f', '-'], workload(name));
      t.strictSame(await rollout(cluster, name), rolled);
      await kubectl(cluster, [...way, '-f', '-'], workload(name, { version: '2' }));
      t.equal(await memory(cluster, `deployment/${name}`), FIRST_STEP, 'the next version has them, too');
      const told = await status(cluster, name);
      t.match(told?.history.find(({ change }) => change === 'applied')?.outcome, /rolled out by/);
      const changed = 'request 512Mi -> 368Mi, limit 1Gi -> 720Mi';
      t.match(told?.outcome, { before: { request: '512Mi' }, after: { limit: '720Mi' }, summary: changed });
      t.match(await kubectl(cluster, ['get', 'deploymentrecords', name, '-o', 'wide']), changed);
    });
  }

  await t.test('of the workload the tuner owns one annotation', async (t) => {
    const { body } = await cluster.api().send('/apis/apps/v1/namespaces/default/deployments/client');
    const fields = body.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'oaas-tuner');
    t.strictSame(fields.fieldsV1, { 'f:metadata': { 'f:annotations': { 'f:tuning.oaas.io/rollout': {} } } });
  });

  await t.test('each switch works within seconds, in both directions', async (t) => {
    const restart = { spec: { template: { metadata: { annotations: { restarted: 'now' } } } } };
    const next = async () => {
      const path = '/apis/apps/v1/namespaces/default/deployments/client?dryRun=All';
      const { requests, limits } = (await patch(cluster, path, restart)).spec.template.spec.containers[0].resources;
      return `${requests.memory}/${limits.memory}`;
    };
    t.equal(await next(), FIRST_STEP);
    const pause = ['tuning.oaas.io/paused=true', 'tuning.oaas.io/paused-'];
    const off: Record<string, [off: () => Promise<string>, on: () => Promise<string>]> = {};
    for (const what of ['deployment/client', 'deploymentrecord/client', 'namespace/default', 'namespace/oaas-system']) {
      const [on, without] = pause.map(
        (word) => () => cluster.kubectl(['annotate', what, word]).then(({ stdout }) => stdout),
      );
      if (on && without) off[what] = [on, without];
    }
    const enforce = (wish: boolean) => () =>
      kubectl(cluster, ['apply', '-f', '-'], record({ name: 'client', enforce: wish }));
    off['enforce: false'] = [enforce(false), enforce(true)];
    const disabled = record({ name: 'client', enforce: true, enabled: false });
    off['enabled: false'] = [() => kubectl(cluster, ['apply', '-f', '-'], disabled), enforce(true)];
    for (const [what, [off_, on]] of Object.entries(off)) {
      await off_();
      await until(`${what} to be off`, async () => (await next()) === '512Mi/1Gi');
      await on();
      // After a longer while off, the next step is decided anew from what runs.
      await until(`${what} to be on`, async () => (await next()) !== '512Mi/1Gi', PATIENCE);
    }
  });

  await t.test('killed in the middle of it: old or new values, and the next cycle finishes', async (t) => {
    // Long enough a rollout for the kill to be in the middle of it.
    await kubectl(cluster, ['apply', '-f', '-'], workload('killed', { minReadySeconds: 10 }));
    await settled(cluster, 'killed');
    await kubectl(cluster, ['apply', '-f', '-'], record({ name: 'killed', enforce: true }));
    const begun = async () => ['Requested', 'Rolling'].includes((await state(cluster, 'killed'))?.state ?? '');
    await until('the request', begun, { ...PATIENCE, everyMs: 5 });
    await tuner.kill();
    const between = await memory(cluster, 'deployment/killed');
    t.ok(['512Mi/1Gi', FIRST_STEP].includes(between), between);
    await tuner.start();
    await until('the rollout', async () => (await state(cluster, 'killed'))?.state === 'Done', PATIENCE);
    t.equal(await memory(cluster, 'deployment/killed'), FIRST_STEP);
    t.equal(await replicaSets(cluster, 'killed'), 2);
  });

  await t.test(`${MANY} workloads at once: the limits hold at every moment, and all arrive, once`, async (t) => {
    const homes = Array.from({ length: MANY }, (_, index) => NAMESPACES[index % NAMESPACES.length] ?? '');
    for (const namespace of NAMESPACES) await kubectl(cluster, ['create', 'namespace', namespace]);
    // Long enough a rollout that those which are asked for together are seen together.
    const slow = { owner: 'many', minReadySeconds: 5 };
    const all = homes.map((namespace, index) => workload(`many-${index}`, { ...slow, namespace }));
    await kubectl(cluster, ['apply', '--server-side', '-f', '-'], all.join('---\n'));
    const crowd = async () => (await deployments(cluster)).filter(({ metadata }) => metadata.name.startsWith('many-'));
    await until(
      'their pods',
      async () => {
        const missing = (await crowd()).filter(rolls);
        if (missing.length === 0) return true;
        throw new Error(JSON.stringify(missing.map(({ metadata: { name }, status }) => [name, status])));
      },
      PATIENCE,
    );
    const watched = await watchRolling(cluster);
    t.teardown(() => watched.stop());
    for (const namespace of NAMESPACES)
      await kubectl(cluster, ['apply', '-n', namespace, '-f', '-'], record({ name: 'many', enforce: true }));
    await until(
      'all of them',
      async () => {
        const done = (await crowd()).filter((one) => revisionOf(one) === '2' && !rolls(one));
        if (done.length === MANY) return true;
        throw new Error(`${done.length} are done`);
      },
      { timeoutMs: 60_000 + MANY * 3_000 },
    );
    watched.stop();
    const { inNamespace, inCluster } = watched.most();
    t.ok(inNamespace > 1 && inNamespace <= PER_NAMESPACE, `${inNamespace} at once in a namespace`);
    t.ok(inCluster > PER_NAMESPACE && inCluster <= PER_CLUSTER, `${inCluster} at once in the cluster`);
    t.equal(watched.begun(), MANY, 'each one once');
    t.same([...new Set((await crowd()).map(revisionOf))], ['2']);
  });

  await t.test('the webhook is not called: it stops after three requests, and says what to check', async (t) => {
    const { stdout } = await cluster.kubectl(['get', 'mutatingwebhookconfiguration', 'oaas-tuner', '-o', 'json']);
    await cluster.kubectl(['delete', 'mutatingwebhookconfiguration', 'oaas-tuner']);
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ name: 'deaf', enforce: true })}---\n${workload('deaf')}`);
    const degraded = await until(
      'the end of its patience',
      async () => {
        const found = await status(cluster, 'deaf');
        return found?.phase === 'Degraded' ? found : undefined;
      },
      PATIENCE,
    );
    t.match(degraded.message, 'check that the API server calls the webhook');
    t.match(degraded.rollouts, [{ state: 'Failed', tries: 3 }]);
    t.equal(await replicaSets(cluster, 'deaf'), 1, 'nothing rolled');
    const selector = 'reason=RolloutFailed,involvedObject.name=deaf';
    await until('the Event', async () => (await events(cluster, selector)).length === 1);
    const { resourceVersion, uid, ...metadata } = JSON.parse(stdout).metadata;
    await cluster.apply(JSON.stringify({ ...JSON.parse(stdout), metadata }));
    await restarted(cluster, (memory) => memory === FIRST_STEP, 'deaf');
    await until('the record to be well', async () => (await status(cluster, 'deaf'))?.phase === 'Enforcing', PATIENCE);
    await quiet(t, cluster, tuner);
  });
});

/** Steady usage, nothing new: within five cycles no template changes. */
async function quiet(t: Test, cluster: Cluster, tuner: Tuner): Promise<void> {
  const generations = async () =>
    (await deployments(cluster)).map(({ metadata }) => `${metadata.name} ${metadata.generation}`);
  const observed = async () => (await status(cluster, 'deaf'))?.rollouts?.every(({ state }) => state === 'Done');
  await until('everything to be done', observed, PATIENCE);
  const before = await generations();
  const cycles = async () =>
    Number(/^oaas_tuner_cycles_total\{outcome="ok"\} (\d+)/m.exec(await tuner.metrics())?.[1] ?? 0);
  const start = await cycles();
  await until('five cycles', async () => (await cycles()) >= start + 5, PATIENCE);
  t.strictSame(await generations(), before);
}

async function status(cluster: Cluster, name: string): Promise<MemoryStatus | undefined> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}`);
  return body.status?.nfr_recommendations?.memory;
}

async function state(cluster: Cluster, name: string): Promise<RolloutStatus | undefined> {
  return (await status(cluster, name))?.rollouts?.find(({ workload }) => workload === `Deployment/${name}`);
}

async function replicaSets(cluster: Cluster, name: string): Promise<number> {
  const { body } = await cluster.api().send(`/apis/apps/v1/namespaces/default/replicasets?labelSelector=app%3D${name}`);
  return body.items.length;
}

type Deployment = {
  metadata: { name: string; namespace: string; generation: number; annotations?: Record<string, string> };
  spec: { replicas: number; template: object };
  status?: Partial<Record<'observedGeneration' | 'replicas' | 'updatedReplicas' | 'availableReplicas', number>>;
};

/** Of all namespaces. */
async function deployments(cluster: Cluster): Promise<Deployment[]> {
  const { body } = await cluster.api().send('/apis/apps/v1/deployments');
  return body.items;
}

/** The Deployment controller's own count of templates. */
function revisionOf({ metadata }: Deployment): string | undefined {
  return metadata.annotations?.['deployment.kubernetes.io/revision'];
}

/** The rules of `kubectl rollout status`. */
function rolls({ metadata, spec, status = {} }: Deployment): boolean {
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  if (observedGeneration < metadata.generation) return true;
  return [replicas, updatedReplicas, availableReplicas].some((count) => count !== spec.replicas);
}

/**
 * Follows every Deployment by the API server's own watch, whose events come in the order of the writes: from the change of a
 * template to the end of its rollout it is rolling.
 */
async function watchRolling(cluster: Cluster) {
  const url = new URL('/apis/apps/v1/deployments?watch=true', cluster.url);
  const agent = new Agent({ connect: { ca: cluster.ca }, bodyTimeout: 0 });
  const abort = new AbortController();
  const headers = { authorization: `Bearer ${cluster.tokens.admin}` };
  const { body } = await request(url, { dispatcher: agent, headers, signal: abort.signal });
  const templates = new Map<string, string>();
  const rolling = new Map<string, string>();
  const most = { inNamespace: 0, inCluster: 0 };
  let begun = 0;
  const see = (one: Deployment) => {
    const { name, namespace } = one.metadata;
    const [key, template] = [`${namespace}/${name}`, JSON.stringify(one.spec.template)];
    const before = templates.get(key);
    templates.set(key, template);
    if (before !== undefined && before !== template) {
      rolling.set(key, namespace);
      begun += 1;
    } else if (!rolls(one)) rolling.delete(key);
    most.inCluster = Math.max(most.inCluster, rolling.size);
    const counts = [...Map.groupBy(rolling.values(), (home) => home).values()].map(({ length }) => length);
    most.inNamespace = Math.max(most.inNamespace, ...counts);
  };
  const ended = (async () => {
    for await (const line of createInterface({ input: body })) see(JSON.parse(line).object);
  })().catch(() => {});
  const stop = async () => {
    abort.abort();
    await ended;
    await agent.destroy();
  };
  return { most: () => most, begun: () => begun, stop };
}

async function patch(cluster: Cluster, path: string, body: object) {
  const answer = await cluster
    .api('person')
    .send(path, { method: 'PATCH', contentType: 'application/merge-patch+json', body });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return answer.body;
}
