import t from 'tap';
import { slim } from '../../src/kube/slim.ts';

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
