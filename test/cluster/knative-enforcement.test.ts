/** Concurrency enforced by the real worker through the real Knative: from its metrics to new Revisions, one a step. */
import t from 'tap';
import type { ConcurrencyStatus } from '../../src/domain/concurrency.ts';
import type { RolloutStatus } from '../../src/domain/record.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import type { Series } from './remote-write.ts';
import { events, kubectl, manifest, memory, record } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true, knative: 'controller' } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);
const PATIENCE = { timeoutMs: 180_000 };

const NAME = 'shared';
/** What a pod uses fits its memory: 100Mi × 1.5 = 150Mi → 160Mi; 160Mi × 1.5 = 240Mi. */
const SERVICE = { kind: 'Service', name: NAME, owner: NAME, usage: '100Mi' } as const;
const FITTING = { function: { request: '160Mi', limit: '240Mi' } };

t.test('concurrency, enforced', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster, {
    ...measuring(cluster),
    OPRC_CRM_LONG_WINDOW_SECS: '60',
    OPRC_CRM_COOLDOWN_SECS: '10',
  });
  t.teardown(() => tuner.stop());
  let waiting = 8;
  const autoscaler = setInterval(() => {
    // Sixty requests in flight where seventy are aimed at, and more that wait for a pod, in whatever Revision runs.
    const revisions = Array.from({ length: 6 }, (_, index) => `${NAME}-0000${index + 1}`);
    void cluster.metricsPush(revisions.flatMap((revision) => seriesOf(revision, 60, waiting))).catch(() => {});
  }, 1000);
  t.teardown(() => clearInterval(autoscaler));

  await kubectl(cluster, ['apply', '-f', '-'], manifest({ ...SERVICE, memory: FITTING }));
  await kubectl(cluster, ['apply', '-f', '-'], record({ name: NAME, enforce: true }));

  await t.test('each step makes one Revision, and the status tells of as many', async (t) => {
    await until('two steps', async () => steps(await concurrency(cluster)).length >= 2, PATIENCE);
    waiting = 0;
    await until('the end of the rollout', async () => (await rollout(cluster))?.state === 'Done', PATIENCE);
    const status = await quiet(cluster, tuner);
    const taken = steps(status);
    t.equal(await template(cluster), String(status?.services[0]?.applied?.target), 'what was applied is what runs');
    t.match(taken.at(-1), { from: { target: 100 }, to: { target: 120 }, outcome: /rolled out by|replaced at/ });
    t.equal((await revisions(cluster)).length, 1 + taken.length);
    t.equal(await memory(cluster, `ksvc/${NAME}`), '160Mi/240Mi', 'memory had no reason');
    const selector = `reason=Applied,involvedObject.name=${NAME}`;
    await until('their Events', async () => (await events(cluster, selector)).length === taken.length);
  });

  await t.test('the file applied again, and metadata, make none; switched off, the manifest comes back', async (t) => {
    const [before, target] = [(await revisions(cluster)).length, await template(cluster)];
    for (const way of [['apply'], ['apply', '--server-side', '--force-conflicts']]) {
      await kubectl(cluster, [...way, '-f', '-'], manifest({ ...SERVICE, memory: FITTING }));
    }
    await kubectl(cluster, ['annotate', `ksvc/${NAME}`, 'note=hello']);
    t.strictSame([(await revisions(cluster)).length, await template(cluster)], [before, target]);
    await kubectl(cluster, ['apply', '-f', '-'], record({ name: NAME, enforce: false }));
    await until('the store to have seen it', async () => {
      const next = manifest({ ...SERVICE, memory: FITTING, version: '2' });
      const { stdout } = await cluster.kubectl(['apply', '--dry-run=server', '-o', 'json', '-f', '-'], { stdin: next });
      return targetOf(JSON.parse(stdout)) === undefined;
    });
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ ...SERVICE, memory: FITTING, version: '2' }));
    t.equal(await template(cluster), undefined);
  });
});

/** What the autoscaler and the activator tell of a Revision with one pod. */
function seriesOf(revision: string, inFlight: number, waiting: number): Series[] {
  const labels = { k8s_namespace_name: 'default', kn_revision_name: revision };
  const of = { ...labels, kn_service_name: NAME, kn_configuration_name: NAME };
  const sample = (name: string, who: Record<string, string>, value: number) => ({
    labels: { __name__: name, job: 'knative', ...who },
    samples: [{ at: Date.now(), value }],
  });
  return [
    sample('kn_revision_concurrency_stable', of, inFlight),
    sample('kn_revision_pods_count', of, 1),
    sample('kn_revision_request_queued', labels, waiting),
  ];
}

/** More cycles, of a second at least, than the cooldown and then the window of what waits take. */
const QUIET_CYCLES = 25;

/** Nothing changes within so many cycles. */
async function quiet(cluster: Cluster, tuner: { metrics(): Promise<string> }): Promise<ConcurrencyStatus | undefined> {
  const cycles = async () =>
    Number(/^oaas_tuner_cycles_total\{outcome="ok"\} (\d+)/m.exec(await tuner.metrics())?.[1] ?? 0);
  let [start, before] = [await cycles(), JSON.stringify(steps(await concurrency(cluster)))];
  await until(
    `${QUIET_CYCLES} cycles without a change`,
    async () => {
      const now = JSON.stringify(steps(await concurrency(cluster)));
      if (now !== before) [start, before] = [await cycles(), now];
      return (await cycles()) >= start + QUIET_CYCLES;
    },
    PATIENCE,
  );
  return concurrency(cluster);
}

// biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of every kind; the test that reads one knows its shape.
async function recommendations(cluster: Cluster): Promise<any> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${NAME}`);
  return body.status?.nfr_recommendations;
}

async function concurrency(cluster: Cluster): Promise<ConcurrencyStatus | undefined> {
  return (await recommendations(cluster))?.concurrency;
}

async function rollout(cluster: Cluster): Promise<RolloutStatus | undefined> {
  return (await recommendations(cluster))?.memory?.rollouts?.[0];
}

/** The steps that were applied, newest first. */
function steps(status: ConcurrencyStatus | undefined): ConcurrencyStatus['history'] {
  return status?.history.filter(({ change }) => change === 'applied') ?? [];
}

// biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
const targetOf = ({ spec }: any): string | undefined =>
  spec.template.metadata.annotations?.['autoscaling.knative.dev/target'];

async function template(cluster: Cluster): Promise<string | undefined> {
  const { body } = await cluster.api().send(`/apis/serving.knative.dev/v1/namespaces/default/services/${NAME}`);
  return targetOf(body);
}

/** The Revisions, once the controller has made one of the newest template. */
async function revisions(cluster: Cluster): Promise<string[]> {
  const service = `/apis/serving.knative.dev/v1/namespaces/default/services/${NAME}`;
  await until('Knative to have seen the template', async () => {
    const { metadata, status } = (await cluster.api().send(service)).body;
    return status?.observedGeneration === metadata.generation;
  });
  const { body } = await cluster.api().send('/apis/serving.knative.dev/v1/namespaces/default/revisions');
  return body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
}
