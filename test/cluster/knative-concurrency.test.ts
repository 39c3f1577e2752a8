/** Concurrency through Knative's own webhook and controller: what it accepts, and how many Revisions it makes of it. */
import fc from 'fast-check';
import t from 'tap';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { OWN_BOUNDS, refusals } from '../../src/domain/knative-rules.ts';
import { AUTOSCALING, settingsOf } from '../../src/domain/scaling-settings.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { given, kubectl, type Manifest, manifest } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, knative: 'controller' } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 120_000 };

/** Combinations of settings that Knative is asked about, and updates that must make no Revision. */
const COMBINATIONS = Number(process.env.OAAS_TUNER_COMBINATIONS ?? 150);
const UPDATES = Number(process.env.OAAS_TUNER_UPDATES ?? 50);

/** Of every setting that Knative judges values on both sides of each boundary, under each of its spellings. */
const VALUES: Record<string, Json[]> = {
  containerConcurrency: [-1, 0, 1, 1000, 1001],
  target: ['0.01', '0.009', '70', '1e2', '.5', 'ten', ''],
  'target-utilization-percentage': ['0.9', '1', '100', '100.5'],
  'target-burst-capacity': ['-1', '-0.5', '0', '211.5', '-2'],
  'min-scale': ['0', '2', '-1', '1.5'],
  'max-scale': ['0', '1', '3'],
  'initial-scale': ['0', '1', 'x'],
  'activation-scale': ['1', '2', '3'],
  'panic-window-percentage': ['0.9', '1', '100', '101'],
  'panic-threshold-percentage': ['109', '110', '1000', '1001'],
  window: ['5s', '6s', '1h', '3601s', '6.5s', '60', '1m30s'],
  'scale-down-delay': ['0', '0s', '1h', '1.5s', '-1s'],
  'scale-to-zero-pod-retention-period': ['0s', '1.5s', '1h', '61m'],
  'metric-aggregation-algorithm': ['linear', 'weighted-exponential', 'mine'],
  metric: ['concurrency', 'rps', 'cpu', ''],
  class: [
    'kpa.autoscaling.knative.dev',
    'hpa.autoscaling.knative.dev',
    'own.example.com',
    'vpa.autoscaling.knative.dev',
  ],
  'known-to-nobody': ['anything'],
};
const camel = (name: string) => name.replaceAll(/-./g, (dash) => dash.slice(1).toUpperCase());

type Settings = [key: string, value: Json][];
const settings: fc.Arbitrary<Settings> = fc
  .uniqueArray(
    fc
      .tuple(fc.constantFrom(...Object.keys(VALUES)), fc.boolean())
      .chain(([name, dashed]) =>
        fc.constantFrom(...(VALUES[name] ?? [])).map((value): [string, Json] => [dashed ? name : camel(name), value]),
      ),
    { selector: ([name]) => name, maxLength: 4 },
  )
  .map((chosen) => chosen.map(([name, value]) => [name === 'containerConcurrency' ? name : AUTOSCALING + name, value]));

function service(chosen: Settings): JsonObject {
  const { containerConcurrency, ...annotations } = Object.fromEntries(chosen);
  const spec = {
    containers: [{ image: 'dev.local/probe:1' }],
    ...(containerConcurrency !== undefined && { containerConcurrency }),
  };
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'probe' },
    spec: { template: { metadata: { annotations }, spec } },
  };
}

const SERVICES = '/apis/serving.knative.dev/v1/namespaces/default/services';

t.test("concurrency, through Knative's own webhooks", { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.stop());
  /** A Service of that name and owner, applied by a person; what kubectl said. */
  const apply = (name: string, from: Manifest = {}) =>
    kubectl(cluster, ['apply', '-f', '-'], manifest({ kind: 'Service', name, owner: name, ...from }));

  await t.test('every single value, and combinations: our judgement is that of Knative', async (t) => {
    const single = Object.entries(VALUES).flatMap(([name, values]) =>
      [name, camel(name)].flatMap((key) =>
        values.map((value): Settings => [[key === 'containerConcurrency' ? key : AUTOSCALING + key, value]]),
      ),
    );
    const wrong: string[] = [];
    let [taken, refused] = [0, 0];
    await inLanes([...single, ...fc.sample(settings, COMBINATIONS)], async (chosen) => {
      const object = service(chosen);
      const ours = refusals(settingsOf(object), OWN_BOUNDS);
      const { status, body } = await until('an answer of Knative', async () => {
        const answer = await cluster.api().send(`${SERVICES}?dryRun=All`, { method: 'POST', body: object });
        // Its webhook was late, which is no judgement.
        return answer.status < 500 ? answer : undefined;
      });
      if (status === 201) taken += 1;
      else refused += 1;
      if ((status === 201) !== (ours.size === 0))
        wrong.push(`${JSON.stringify(chosen)}: Knative ${body.message ?? 'accepts'}, we ${JSON.stringify([...ours])}`);
    });
    t.same(wrong, []);
    t.ok(taken > 50 && refused > 50, `${taken} were taken, ${refused} refused`);
  });

  await t.test(
    'overrides of every kind reach the template to the letter, and one Revision comes of them',
    async (t) => {
      const wish = {
        containerConcurrency: 20,
        annotations: Object.fromEntries(
          Object.entries({
            ...{
              target: '14.50',
              targetBurstCapacity: '-1',
              'target-utilization-percentage': '80',
              metric: 'concurrency',
            },
            ...{ class: 'kpa.autoscaling.knative.dev', 'min-scale': '0', maxScale: '5', 'initial-scale': '1' },
            ...{ 'activation-scale': '2', window: '90s', 'scale-down-delay': '0s', panicWindowPercentage: '10' },
            ...{ 'panic-threshold-percentage': '200', 'scale-to-zero-pod-retention-period': '1m5s' },
          }).map(([name, value]) => [AUTOSCALING + name, value]),
        ),
      };
      await given(cluster, { name: 'wish', knative: wish });
      const camelled = { [`${AUTOSCALING}maxScale`]: '3' };
      t.match(await apply('wish', { scaling: camelled }), 'containerConcurrency none -> 20 (override in record wish)');
      const { maxScale: _, ...expected } = { ...bare(wish.annotations), 'target-burst-capacity': '-1' } as Record<
        string,
        string
      >;
      delete expected.targetBurstCapacity;
      const { panicWindowPercentage = '', ...others } = expected;
      t.strictSame(await said(cluster, 'wish'), {
        containerConcurrency: 20,
        ...others,
        'panic-window-percentage': panicWindowPercentage,
        maxScale: '5',
      });
      await revisions(cluster, 'wish', 1);
      const before = await generation(cluster, 'wish');
      await apply('wish', { scaling: camelled });
      t.equal(await generation(cluster, 'wish'), before, 'the same file again is no change');
      await given(cluster, { name: 'wish', enabled: false });
      await apply('wish', { scaling: camelled, version: '2' });
      t.strictSame(await said(cluster, 'wish'), { containerConcurrency: 0, maxScale: '3' }, 'and back, once it is off');
      await revisions(cluster, 'wish', 2);
    },
  );

  await t.test('one Revision a step, memory and concurrency together, and none without one', async (t) => {
    const name = 'steps';
    const ref = `KnativeService/${name}`;
    const steps = [
      { target: 80, containerConcurrency: 100, limit: '480Mi' },
      { target: 64, containerConcurrency: 80, limit: '448Mi' },
      { target: 51.2, containerConcurrency: 64, limit: '416Mi' },
    ];
    await apply(name, { concurrency: 0, scaling: { [`${AUTOSCALING}target`]: '100' } });
    await revisions(cluster, name, 1);
    let expected = await generation(cluster, name);
    for (const [index, { limit, ...knobs }] of steps.entries()) {
      const applied = { [`${ref}/function`]: { request: '224Mi', limit } };
      await given(cluster, { name, enforce: true, applied, knobs: { [ref]: knobs } });
      await somethingElse(cluster, name, UPDATES / steps.length);
      t.equal(await generation(cluster, name), expected, 'metadata that changes makes no Revision');
      await request(cluster, name, `step-${index}`);
      expected += 1;
      t.match(await said(cluster, name), {
        target: String(knobs.target),
        containerConcurrency: knobs.containerConcurrency,
      });
      t.equal(await generation(cluster, name), expected, 'one change of the template');
      await revisions(cluster, name, index + 2);
      await request(cluster, name, `again-${index}`);
      t.equal(await generation(cluster, name), expected, 'asked again, nothing is left to do');
    }
    await given(cluster, { name, enforce: false });
    await apply(name, { concurrency: 0, scaling: { [`${AUTOSCALING}target`]: '100' }, version: '2' });
    t.strictSame(
      await said(cluster, name),
      { containerConcurrency: 0, target: '100' },
      'switched off, the manifest is back',
    );
  });

  await t.test('a template that names its revision goes through untouched', async (t) => {
    const name = 'named';
    await given(cluster, {
      name,
      knative: { containerConcurrency: 5, annotations: { [`${AUTOSCALING}target`]: '4' } },
    });
    t.match(await apply(name, { revisionName: 'named-one', concurrency: 9 }), 'the template names its revision');
    await kubectl(cluster, ['annotate', `ksvc/${name}`, 'note=hello']);
    t.strictSame(await said(cluster, name), { containerConcurrency: 9 });
    await apply(name, { revisionName: 'named-two', concurrency: 8 });
    t.strictSame(await said(cluster, name), { containerConcurrency: 8 });
  });

  await t.test("the cluster's own bounds: what is outside is left out, and the deploy goes through", async (t) => {
    const bounds = {
      'container-concurrency-max-limit': '50',
      'allow-container-concurrency-zero': 'false',
      'container-concurrency': '10',
    };
    await kubectl(cluster, [
      'patch',
      'configmap',
      '-n',
      'knative-serving',
      'config-defaults',
      '--type=merge',
      '-p',
      JSON.stringify({ data: bounds }),
    ]);
    const most = JSON.stringify({ data: { 'max-scale-limit': '10', 'max-scale': '5' } });
    await kubectl(cluster, [
      'patch',
      'configmap',
      '-n',
      'knative-serving',
      'config-autoscaler',
      '--type=merge',
      '-p',
      most,
    ]);
    await until('Knative to have seen its own bounds', async () => {
      const asked = [[['containerConcurrency', 51]], [[`${AUTOSCALING}max-scale`, '11']]] as Settings[];
      const answers = asked.map((chosen) =>
        cluster.api().send(`${SERVICES}?dryRun=All`, { method: 'POST', body: service(chosen) }),
      );
      return (await Promise.all(answers)).every(({ status }) => status !== 201);
    });
    await tuner.stop();
    await tuner.start();
    const name = 'bounded';
    const wish = (containerConcurrency: number, scale: string) =>
      given(cluster, { name, knative: { containerConcurrency, annotations: { [`${AUTOSCALING}max-scale`]: scale } } });
    await wish(51, '11');
    const output = await until(
      'the bounds to be known',
      async () => {
        const printed = await apply(name, { version: `${performance.now()}` }).catch(() => '');
        return printed.includes('refused-by-knative') && printed;
      },
      PATIENCE,
    );
    t.match(output, 'containerConcurrency 51 left out (refused-by-knative): must be a whole number between 1 and 50');
    t.match(output, 'max-scale 11 left out (refused-by-knative): must be between 1 and 10 in this cluster');
    t.strictSame(await said(cluster, name), { containerConcurrency: 10 }, "Knative's own default");
    await wish(50, '10');
    await apply(name, { version: 'at-the-bounds' });
    t.strictSame(await said(cluster, name), { containerConcurrency: 50, 'max-scale': '10' });
  });
});

/** A few at once: Knative's webhook is one process. */
async function inLanes<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const lane = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}

/** Metadata changes of every kind, by somebody else. */
async function somethingElse(cluster: Cluster, name: string, count: number): Promise<void> {
  for (const [index, what] of fc
    .sample(fc.constantFrom('labels', 'annotations', 'finalizers'), Math.ceil(count))
    .entries()) {
    const value =
      what === 'finalizers' ? (index % 2 ? ['example.com/wait'] : []) : { [`key-${index % 7}`]: `v${index}` };
    await patch(cluster, 'person', name, { metadata: { [what]: value } });
  }
  await patch(cluster, 'person', name, { metadata: { finalizers: [] } });
}

/** What the worker writes to have applied values brought in. */
async function request(cluster: Cluster, name: string, id: string): Promise<void> {
  await patch(cluster, 'tuner', name, { metadata: { annotations: { 'tuning.oaas.io/rollout': id } } });
}

async function patch(cluster: Cluster, user: 'person' | 'tuner', name: string, body: object): Promise<void> {
  const contentType = 'application/merge-patch+json';
  const answer = await cluster.api(user).send(`${SERVICES}/${name}`, { method: 'PATCH', contentType, body });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
}

// biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of every kind; the test that reads one knows its shape.
async function read(cluster: Cluster, name: string): Promise<any> {
  return (await cluster.api().send(`${SERVICES}/${name}`)).body;
}

/** It grows with each change of the spec: as many Revisions will be made. */
async function generation(cluster: Cluster, name: string): Promise<number> {
  return (await read(cluster, name)).metadata.generation;
}

const bare = (annotations: Record<string, string>) =>
  Object.fromEntries(Object.entries(annotations).map(([key, value]) => [key.replace(AUTOSCALING, ''), value]));

/** What the template says, without the prefix of the annotations. */
async function said(cluster: Cluster, name: string): Promise<Record<string, Json>> {
  const settings = settingsOf(await read(cluster, name));
  return Object.fromEntries([...settings].map(([key, value]) => [key.replace(AUTOSCALING, ''), value]));
}

async function revisions(cluster: Cluster, name: string, count: number): Promise<void> {
  const path = `/apis/serving.knative.dev/v1/namespaces/default/revisions?labelSelector=serving.knative.dev%2Fservice%3D${name}`;
  await until(
    `${count} Revisions of ${name}`,
    async () => {
      const { items } = (await cluster.api().send(path)).body;
      if (items.length > count) throw new Error(`${items.length} Revisions`);
      return items.length === count;
    },
    PATIENCE,
  );
}
