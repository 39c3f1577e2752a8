import t from 'tap';
import { stringify } from 'yaml';
import { validate } from '../../src/admit/validate.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import { kubectl, manifest, memory } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const memoryTuning = (overrides: object) => ({ memory_tuning: { overrides } });
const annotations = (key: string, value: string) => ({
  knative_tuning: { overrides: { annotations: { [`autoscaling.knative.dev/${key}`]: value } } },
});

/** One table for both judges: what a person may write under `spec.nfr`, and the words of the refusal where there is one. */
const TABLE: [nfr: JsonObject, words?: string][] = [
  ...['256Mi', '1e9', '129M', '.5Gi', '128974848000m', '2Gi', '1E', '1E3', '5.', '+1Gi', '0.1'].map(
    (request): [JsonObject] => [memoryTuning({ function: { request } }) as JsonObject],
  ),
  ...['64mi', '12 Gi', '1.5.2', '', '0', '-1Gi', '1e', 'lots', '0x10', '1Kii'].map((limit): [JsonObject, string] => [
    memoryTuning({ function: { limit } }) as JsonObject,
    `must be a positive quantity such as 256Mi or 1Gi, was "${limit}"`,
  ]),
  [memoryTuning({ function: { request: '512Mi', limit: '0.5Gi' } }) as JsonObject],
  [
    memoryTuning({ function: { request: '513Mi', limit: '0.5Gi' } }) as JsonObject,
    'request must not exceed limit, was request "513Mi" and limit "0.5Gi"',
  ],
  [memoryTuning({ 'orders/function': { request: '1Gi' } }) as JsonObject],
  [
    memoryTuning({ 'Not A Name': { request: '1Gi' } }) as JsonObject,
    'keys must be a container name or workload/container, was "Not A Name"',
  ],
  ...[0, 1, 1000].map((containerConcurrency): [JsonObject] => [
    { knative_tuning: { overrides: { containerConcurrency } } },
  ]),
  ...[-1, 1001].map((containerConcurrency): [JsonObject, string] => [
    { knative_tuning: { overrides: { containerConcurrency } } },
    'must be a whole number between 0 and 1000',
  ]),
  ...['0.01', '1e2', '1E-2', '1e99'].map((target): [JsonObject] => [annotations('target', target)]),
  [annotations('target', '1e-3'), 'must be a number of at least 0.01, was "1e-3"'],
  [annotations('target', '1e100'), 'must be a number of at least 0.01, was "1e100"'],
  [annotations('target', '0'), 'autoscaling.knative.dev/target must be a number of at least 0.01, was "0"'],
  [annotations('target', 'ten'), 'autoscaling.knative.dev/target must be a number of at least 0.01, was "ten"'],
  [annotations('target-utilization-percentage', '100')],
  [annotations('target-utilization-percentage', '101'), 'must be a number between 1 and 100, was "101"'],
  [annotations('targetUtilizationPercentage', '0.9'), 'must be a number between 1 and 100, was "0.9"'],
  [annotations('target-burst-capacity', '-1')],
  [annotations('targetBurstCapacity', '-2'), 'must be a number of at least 0, or -1, was "-2"'],
  [annotations('min-scale', '0')],
  [annotations('maxScale', '-1'), 'must be a whole number of at least 0, was "-1"'],
  [annotations('class', 'hpa.autoscaling.knative.dev')],
  [annotations('class', 'own.example.com')],
  [annotations('class', 'foo.knative.dev'), 'must be kpa.autoscaling.knative.dev or hpa.autoscaling.knative.dev'],
  [annotations('metric', ''), 'must be the name of a metric'],
  [
    { knative_tuning: { overrides: { annotations: { 'example.com/a': 'b' } } } },
    'keys must begin with autoscaling.knative.dev/, was "example.com/a"',
  ],
  [annotations('', '1'), 'keys must be a name after autoscaling.knative.dev/, was "autoscaling.knative.dev/"'],
  [annotations('a b', '1'), 'keys must be a name after autoscaling.knative.dev/, was "autoscaling.knative.dev/a b"'],
  [annotations('not-known-today', 'anything')],
  ...['6s', '1h', '1m30s', '0.5m', '60000ms'].map((window): [JsonObject] => [annotations('window', window)]),
  ...['5s', '3601s', '6500ms', '6.5s', '60', '1d', '', '-10s', '1h1s'].map((window): [JsonObject, string] => [
    annotations('window', window),
    `autoscaling.knative.dev/window must be a duration between 6s and 1h in whole seconds, was "${window}"`,
  ]),
  ...['0', '0s', '1h'].map((delay): [JsonObject] => [annotations('scaleDownDelay', delay)]),
  [annotations('scale-down-delay', '1.5s'), 'must be a duration between 0s and 1h in whole seconds, was "1.5s"'],
  [annotations('scale-to-zero-pod-retention-period', '1.5s')],
  [annotations('scaleToZeroPodRetentionPeriod', '61m'), 'must be a duration between 0s and 1h, was "61m"'],
  [annotations('activation-scale', '2')],
  [annotations('activation-scale', '1'), 'must be a whole number of at least 2, was "1"'],
  [annotations('panic-window-percentage', '1')],
  [annotations('panicWindowPercentage', '0.5'), 'must be a number between 1 and 100, was "0.5"'],
  [annotations('panicThresholdPercentage', '110')],
  [annotations('panic-threshold-percentage', '109'), 'must be a number between 110 and 1000, was "109"'],
];

t.test('a record that cannot be meant', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.stop());
  const path = '/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords';
  const recordWith = (nfr: JsonObject, name = 'orders') => ({
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace: 'default' },
    spec: { nfr },
  });

  await t.test("the CRD's rules and /validate agree line by line, in the same words", async (t) => {
    for (const [nfr, words] of TABLE) {
      const object = recordWith(nfr);
      const server = await cluster.api().send(`${path}?dryRun=All`, { method: 'POST', body: object });
      const request = {
        uid: '1',
        operation: 'CREATE',
        namespace: 'default',
        username: '',
        subResource: '',
        oldObject: undefined,
      };
      const { response } = validate({ ...request, object: object as unknown as JsonObject });
      const told = JSON.stringify(nfr);
      t.equal(server.status, words ? 422 : 201, `the CRD judges ${told}: ${server.body.message}`);
      t.equal(response.allowed, words === undefined, `/validate judges ${told}`);
      if (!words) continue;
      t.match(server.body.message, words, told);
      t.match(response.status?.message, words, told);
      const field = server.body.details.causes[0].field;
      t.match(response.status?.message, field, 'and both name the same field');
    }
  });

  await t.test("where OaaS's own CRD has no such rules, /validate refuses", async (t) => {
    await withoutRules();
    const ca = await cluster.kubectl([
      'get',
      'mutatingwebhookconfiguration',
      'oaas-tuner',
      '-o',
      'jsonpath={.webhooks[0].clientConfig}',
    ]);
    const clientConfig = JSON.parse(ca.stdout);
    clientConfig.url = clientConfig.url.replace('/mutate', '/validate');
    const rules = [
      {
        apiGroups: ['oaas.io'],
        apiVersions: ['v1alpha1'],
        resources: ['deploymentrecords'],
        operations: ['CREATE', 'UPDATE'],
      },
    ];
    const webhook = {
      name: 'records.tuning.oaas.io',
      clientConfig,
      rules,
      failurePolicy: 'Ignore',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'oaas-tuner' },
      webhooks: [webhook],
    };
    await cluster.apply(stringify(configuration));
    const bad = recordWith({ memory_tuning: { enabled: 'yes please', overrides: { function: { limit: '64mi' } } } });
    const said = await until('the webhook to be called', async () => {
      const { stderr, code } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], {
        stdin: stringify(bad),
      });
      return code !== 0 && stderr;
    });
    t.match(said, 'spec.nfr.memory_tuning.enabled: Invalid value: must be true or false, was "yes please"');
    t.match(
      said,
      'spec.nfr.memory_tuning.overrides[function].limit: Invalid value: must be a positive quantity such as 256Mi or 1Gi, was "64mi"',
    );
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration', 'oaas-tuner']);
    await until('the webhook to be gone', async () => {
      const { code } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: stringify(bad) });
      return code === 0;
    });
  });

  await t.test(
    'nonsense that slipped in is not injected, the deploy goes through, and the person reads why',
    async (t) => {
      const overrides = { function: { request: '64mi', limit: '600Mi' }, sidecar: 'lots', '!': { limit: '1Gi' } };
      await cluster
        .api()
        .send(path, { method: 'POST', body: recordWith({ memory_tuning: { enforce: 'maybe', overrides } }) });
      const said = await until('the store to have seen the record', async () => {
        const output = await kubectl(cluster, ['create', '--dry-run=server', '-f', '-'], manifest());
        return output.includes('overrides[function].request') && output;
      });
      t.match(
        said,
        'overrides[function].request must be a positive quantity such as 256Mi or 1Gi, was "64mi"; ignored',
      );
      t.match(said, 'overrides[sidecar] must be { request, limit }, was "lots"; ignored');
      t.match(said, 'keys must be a container name or workload/container, was "!"; ignored');
      await kubectl(cluster, ['apply', '-f', '-'], manifest());
      t.equal(await memory(cluster), '256Mi/600Mi', 'what can be meant of the same record still holds');

      await cluster.api().send(path, { method: 'POST', body: recordWith('nonsense' as never, 'worse') });
      await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'worse', owner: 'worse' }));
      t.equal(await memory(cluster, 'deployment/worse'), '256Mi/512Mi');
    },
  );

  /** As if OaaS had installed its CRD: same names, no rules of ours. */
  async function withoutRules(): Promise<void> {
    const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    const patch = [{ op: 'replace', path: '/spec/versions/0/schema', value: { openAPIV3Schema: schema } }];
    await kubectl(cluster, ['patch', 'crd/deploymentrecords.oaas.io', '--type=json', '-p', JSON.stringify(patch)]);
    await until('the new schema to be in force', async () => {
      const object = recordWith({ memory_tuning: { overrides: { function: { limit: '64mi' } } } });
      return (await cluster.api().send(`${path}?dryRun=All`, { method: 'POST', body: object })).status === 201;
    });
  }
});
