import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { slim, slimForAdmission } from '../../src/kube/slim.ts';
import { readTuning } from '../../src/record/wishes.ts';

const large = () => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    ...{ name: 'orders', uid: 'u', resourceVersion: '7', labels: { 'oaas.io/owner': 'orders' } },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{…}', 'tuning.oaas.io/applied': '{}' },
    managedFields: [{ manager: 'kubectl' }],
  },
  spec: {
    replicas: 3,
    template: {
      metadata: { labels: { app: 'orders' } },
      spec: {
        containers: [{ name: 'function', image: 'x', resources: { limits: { memory: '1Gi' } }, env: [{ name: 'A' }] }],
        initContainers: [{ name: 'proxy', restartPolicy: 'Always', volumeMounts: [] }],
        ...{ resources: { limits: { memory: '2Gi' } }, containerConcurrency: 10, volumes: [], affinity: {} },
      },
    },
  },
  status: { observedGeneration: 3, conditions: [{ type: 'Available' }] },
});

t.test('what decides is kept, what is large and decides nothing is not', async (t) => {
  const whole = large();
  t.strictSame(slim(large()), {
    ...whole,
    metadata: {
      ...{ name: 'orders', uid: 'u', resourceVersion: '7', labels: { 'oaas.io/owner': 'orders' } },
      annotations: { 'tuning.oaas.io/applied': '{}' },
    },
    spec: {
      ...whole.spec,
      template: {
        metadata: { labels: { app: 'orders' } },
        spec: {
          containers: [{ name: 'function', image: 'x', resources: { limits: { memory: '1Gi' } } }],
          initContainers: [{ name: 'proxy', restartPolicy: 'Always' }],
          ...{ resources: { limits: { memory: '2Gi' } }, containerConcurrency: 10 },
        },
      },
    },
  });
});

t.test("of Knative's queue-proxy the hard limit of requests in flight is kept", async (t) => {
  const env = [
    { name: 'SERVING_POD', value: 'x' },
    { name: 'CONTAINER_CONCURRENCY', value: '10' },
  ];
  const containers = [
    { name: 'queue-proxy', image: 'x', env },
    { name: 'function', env },
  ];
  t.strictSame(slim({ spec: { template: { spec: { containers } } } }), {
    spec: {
      template: {
        spec: { containers: [{ name: 'queue-proxy', image: 'x', env: [env[1]] }, { name: 'function' }] },
      },
    },
  });
});

t.test('an object that lacks anything, or holds something else there, is no trouble', async (t) => {
  for (const object of [
    {},
    { metadata: null },
    { metadata: { annotations: 'x' }, spec: { template: 7 } },
    { spec: { template: { spec: { containers: 'x', initContainers: [null, 7, 'x'] } } } },
  ]) {
    t.strictSame(slim(structuredClone(object)), object);
  }
});

t.test('a record keeps its spec and its status', async (t) => {
  const record = { metadata: { name: 'orders' }, spec: { nfr: {} }, status: { conditions: [{}] } };
  t.strictSame(slim(structuredClone(record)), record);
});

t.test('of a record admission reads the same when the rest of its status is gone', async (t) => {
  const applied = { request: '224Mi', limit: '336Mi', at: '2026-01-31T10:00:00Z' };
  const memory = {
    ...{ phase: 'Enforcing', history: [{ rationale: 'long' }], evidence: [{}], rollouts: [{}] },
    containers: [{ workload: 'Deployment/orders', name: 'function', applied, rationale: 'long' }, { name: 'x' }],
  };
  const services = [{ workload: 'KnativeService/orders', applied: { target: '7' }, rationale: 'long' }];
  const record = (recommendations: JsonObject) => ({
    metadata: { name: 'orders', namespace: 'shop', annotations: { 'tuning.oaas.io/paused': 'true' } },
    spec: { nfr: { memory_tuning: { enforce: true, overrides: { proxy: { request: '1Gi' } } } } },
    status: { conditions: [], nfr_recommendations: recommendations },
  });
  const read = (one: JsonObject) => readTuning(one as unknown as RecordResource);
  for (const odd of [{ memory, concurrency: { services } }, { memory: 7 }, { memory: { containers: [7, null] } }, {}]) {
    const kept = slimForAdmission(record(structuredClone(odd) as JsonObject));
    t.strictSame(read(kept), read(record(odd as JsonObject)));
    t.notMatch(JSON.stringify(kept.status), /"(history|evidence|rollouts)"/);
  }
  t.strictSame(Object.keys(read(record({ memory, concurrency: { services } })).applied), [
    'Deployment/orders/function',
  ]);
});
