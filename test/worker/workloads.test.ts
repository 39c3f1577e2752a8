import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { Gi, Mi } from '../../src/domain/quantity.ts';
import { slim } from '../../src/kube/slim.ts';
import { byRecord, rangeOf } from '../../src/worker/workloads.ts';
import { edited } from '../admit/objects.ts';
import { deployment, record } from './played-cluster.ts';

const KIND = { group: 'oaas.io', kind: 'DeploymentRecord' };

/** Each record with its workloads, by name. */
function owned(names: string[], objects: JsonObject[], revisions: JsonObject[] = []): Record<string, string[]> {
  const found = byRecord(
    names.map((name) => record(name)),
    objects,
    revisions,
    KIND,
  );
  return Object.fromEntries(found.map((one) => [one.record.metadata.name, one.workloads.map(({ ref }) => ref)]));
}

const labelled = (name: string, owner: string) => deployment(name, '-/-', { labels: { 'oaas.io/owner': owner } });
const controlledBy = (apiVersion: string, kind: string) =>
  deployment('orders', '-/-', { ownerReferences: [{ apiVersion, kind, name: 'x', controller: true }] });

t.test('the label hands a workload to the record of that name, in its own namespace', async (t) => {
  const objects = [labelled('one', 'orders'), labelled('two', 'orders'), labelled('three', 'bills')];
  t.strictSame(owned(['orders', 'bills', 'idle'], objects), {
    orders: ['Deployment/one', 'Deployment/two'],
    bills: ['Deployment/three'],
    idle: [],
  });
  const elsewhere = deployment('orders', '-/-', { namespace: 'bank' });
  t.strictSame(owned(['orders'], [elsewhere, labelled('x', 'nobody')]), { orders: [] });
});

t.test("the label may hold the name's DNS-1035 form; a record of exactly that name comes first", async (t) => {
  t.strictSame(owned(['Cart.Add_2'], [labelled('x', 'cart-add-2')]), { 'Cart.Add_2': ['Deployment/x'] });
  t.strictSame(owned(['cart.add', 'cart-add'], [labelled('x', 'cart-add')]), {
    'cart.add': [],
    'cart-add': ['Deployment/x'],
  });
});

t.test('what another controller controls is its business; what OaaS made for the record is ours', async (t) => {
  t.strictSame(owned(['orders'], [controlledBy('serving.knative.dev/v1', 'Revision')]), { orders: [] });
  t.strictSame(owned(['orders'], [controlledBy('oaas.io/v1alpha1', 'DeploymentRecord')]), {
    orders: ['Deployment/orders'],
  });
});

t.test('what is being deleted, in kube-system or the tuner itself is left alone', async (t) => {
  const going = deployment('orders', '-/-', { deletionTimestamp: '2026-01-31T10:00:00Z' });
  const tuner = deployment('orders', '-/-', {
    labels: { 'oaas.io/owner': 'orders', 'app.kubernetes.io/name': 'oaas-tuner' },
  });
  t.strictSame(owned(['orders'], [going, tuner]), { orders: [] });
});

t.test("a Knative Service's pods are those of its Revisions' Deployments", async (t) => {
  const service = { ...labelled('orders', 'orders'), apiVersion: 'serving.knative.dev/v1', kind: 'Service' };
  const revision = (name: string, of: string, namespace = 'shop'): JsonObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels: { 'serving.knative.dev/service': of } },
  });
  const revisions = [
    revision('orders-00001-deployment', 'orders'),
    revision('orders-00002-deployment', 'orders'),
    revision('orders-v2-00001-deployment', 'orders-v2'),
    revision('orders-00001-deployment', 'orders', 'bank'),
  ];
  const [found] = byRecord([record('orders')], [service], revisions, KIND);
  t.match(found?.workloads, [
    { ref: 'KnativeService/orders', deployments: ['orders-00001-deployment', 'orders-00002-deployment'] },
  ]);
  t.strictSame(
    byRecord([record('orders')], [service], [], KIND)[0]?.workloads[0]?.deployments,
    [],
    'scaled to none yet',
  );
});

t.test("a Revision's hard limit is what its queue-proxy is told, also of a list that was slimmed", async (t) => {
  const service = { ...labelled('orders', 'orders'), apiVersion: 'serving.knative.dev/v1', kind: 'Service' };
  const proxied = (name: string, value: string): JsonObject => ({
    metadata: {
      ...{ name: `${name}-deployment`, namespace: 'shop' },
      labels: { 'serving.knative.dev/service': 'orders', 'serving.knative.dev/revision': name },
    },
    spec: {
      template: {
        spec: {
          containers: [
            { name: 'function', env: [{ name: 'CONTAINER_CONCURRENCY', value: '7' }] },
            { name: 'queue-proxy', env: [{ name: 'CONTAINER_CONCURRENCY', value }] },
          ],
        },
      },
    },
  });
  const revisions = [proxied('orders-00001', '10'), proxied('orders-00002', '0')].map(slim);
  t.match(byRecord([record('orders')], [service], revisions, KIND)[0]?.workloads[0]?.revisions, [
    { name: 'orders-00001', containerConcurrency: 10 },
    { name: 'orders-00002', containerConcurrency: 0 },
  ]);
});

t.test('current values are those of the template, in bytes', async (t) => {
  const current = (memory: string) =>
    byRecord([record('orders')], [deployment('orders', memory)], [], KIND)[0]?.workloads[0]?.containers[0]?.current;
  t.strictSame(current('256Mi/0.5Gi'), { request: 256 * Mi, limit: 512 * Mi });
  t.strictSame(current('256Mi/-'), { request: 256 * Mi });
  t.strictSame(current('-/512Mi'), { request: 512 * Mi, limit: 512 * Mi }, 'as the API server defaults pods');
  t.strictSame(current('-/-'), {});
  t.strictSame(current('256mi/many'), {}, 'what is no quantity is not there');
});

t.test('regular containers and native sidecars are looked at, other init containers are not', async (t) => {
  const several = edited(deployment('orders'), ({ spec: { template } }) => {
    template.spec.containers.push({ name: 'sidecar' });
    template.spec.initContainers = [{ name: 'migrate' }, { name: 'proxy', restartPolicy: 'Always' }];
  });
  const [found] = byRecord([record('orders')], [several], [], KIND);
  t.strictSame(
    found?.workloads[0]?.containers.map(({ name }) => name),
    ['function', 'sidecar', 'proxy'],
  );
});

const range = (limits: unknown, namespace = 'shop') => ({ metadata: { namespace }, spec: { limits } }) as JsonObject;
const ofContainers = (more: JsonObject) => ({ type: 'Container', ...more });

t.test("a namespace's LimitRanges bound containers together: the tightest of each counts", async (t) => {
  const ranges = [
    range([ofContainers({ min: { memory: '64Mi' }, max: { memory: '2Gi' } })]),
    range([ofContainers({ min: { memory: '32Mi' }, max: { memory: '1Gi' } }), { type: 'Pod', max: { memory: '1Mi' } }]),
    range([ofContainers({ max: { memory: '1Mi' } })], 'bank'),
  ];
  t.strictSame(rangeOf(ranges, 'shop'), { min: 64 * Mi, max: Gi });
  t.strictSame(rangeOf(ranges, 'elsewhere'), {});
});

t.test('the ratio of limit to request is a quantity: the API server stores 1.5 as 1500m', async (t) => {
  const ratio = (...values: unknown[]) =>
    rangeOf(
      values.map((memory) => range([ofContainers({ maxLimitRequestRatio: { memory } as never })])),
      'shop',
    ).maxLimitRequestRatio;
  t.equal(ratio('2'), 2);
  t.equal(ratio('1500m'), 1.5);
  t.equal(ratio('4', '1500m', '3'), 1.5);
  t.equal(ratio('0'), undefined);
});

t.test('a LimitRange without memory, or one that is none, bounds nothing', async (t) => {
  const ranges = [range([ofContainers({ max: { cpu: '1' } })]), range(undefined), range([null, 7]), {}];
  t.strictSame(rangeOf(ranges, 'shop'), {});
});
