import fc from 'fast-check';
import t from 'tap';
import {
  annotation,
  dns1035,
  kindOf,
  memoryOf,
  ownerOf,
  tunedContainers,
  workloadRef,
} from '../../src/domain/workload.ts';

const podTemplate = (spec: object) => ({ spec: { template: { spec } } });
const names = (workload: object) => tunedContainers(workload).map(({ name }) => name);

t.test('a Deployment and a Knative Service are workloads, and nothing else is', async (t) => {
  t.equal(kindOf({ apiVersion: 'apps/v1', kind: 'Deployment' }), 'Deployment');
  t.equal(kindOf({ apiVersion: 'serving.knative.dev/v1', kind: 'Service' }), 'KnativeService');
  t.equal(kindOf({ apiVersion: 'v1', kind: 'Service' }), undefined, 'the core Service');
  t.equal(kindOf({ apiVersion: 'apps/v1', kind: 'StatefulSet' }), undefined);
  t.equal(kindOf({ apiVersion: 'serving.knative.dev/v1', kind: 'Revision' }), undefined);
  t.equal(kindOf({ kind: 'Deployment' }), undefined);
  t.equal(workloadRef('KnativeService', 'orders'), 'KnativeService/orders');
});

t.test("the owner is the label's value, and an empty label is none", async (t) => {
  const labelled = (value: unknown) => ({ metadata: { labels: { 'oaas.io/owner': value } } });
  t.equal(ownerOf(labelled('orders')), 'orders');
  t.equal(ownerOf(labelled('')), undefined);
  t.equal(ownerOf(labelled(7)), undefined);
  t.equal(ownerOf({ metadata: {} }), undefined);
});

t.test('an annotation is text', async (t) => {
  const annotated = { metadata: { annotations: { a: 'text', b: 7 } } };
  t.equal(annotation(annotated, 'a'), 'text');
  t.equal(annotation(annotated, 'b'), undefined);
  t.equal(annotation(annotated, 'c'), undefined);
});

t.test('regular containers and native sidecars are tuned; init containers that end are not', async (t) => {
  const workload = podTemplate({
    containers: [{ name: 'function' }, { name: 'odgm' }],
    initContainers: [{ name: 'migrate' }, { name: 'proxy', restartPolicy: 'Always' }],
  });
  t.same(names(workload), ['function', 'odgm', 'proxy']);
  t.same(
    tunedContainers(workload).map(({ pointer }) => pointer),
    ['/spec/template/spec/containers/0', '/spec/template/spec/containers/1', '/spec/template/spec/initContainers/1'],
  );
});

t.test('the lone container of a Knative Service has the name that Knative will give it', async (t) => {
  const service = { apiVersion: 'serving.knative.dev/v1', kind: 'Service' };
  t.same(names({ ...service, ...podTemplate({ containers: [{ image: 'x' }] }) }), ['user-container']);
  t.same(names({ ...service, ...podTemplate({ containers: [{ name: 'mine' }] }) }), ['mine']);
  t.same(names({ ...service, ...podTemplate({ containers: [{ image: 'x' }, { name: 'b' }] }) }), ['b'], 'of two, not');
  t.same(names({ apiVersion: 'apps/v1', kind: 'Deployment', ...podTemplate({ containers: [{}] }) }), []);
});

t.test('places are those of the manifest, also after an entry that is no container', async (t) => {
  const [container] = tunedContainers(podTemplate({ containers: [null, 'text', { name: 'function' }] }));
  t.equal(container?.pointer, '/spec/template/spec/containers/2');
});

t.test('memory is read as the manifest spells it, and only where somebody set it', async (t) => {
  t.same(memoryOf({ resources: { requests: { memory: '1Gi', cpu: '1' }, limits: { memory: 1024 } } }), {
    request: '1Gi',
    limit: 1024,
  });
  t.same(memoryOf({ resources: { limits: { memory: null } } }), {});
  t.same(memoryOf({ resources: { limits: null } }), {});
  t.same(memoryOf({}), {});
});

t.test('a label holds the DNS-1035 form of a name', async (t) => {
  const forms: [name: string, form: string][] = [
    ['orders', 'orders'],
    ['Shop.Orders', 'shop-orders'],
    ['7days', 'a7days'],
    ['-orders-', 'orders'],
    ['a'.repeat(70), 'a'.repeat(63)],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
    ['---', 'a'],
  ];
  for (const [name, form] of forms) t.equal(dns1035(name), form, name);
});

t.test('a workload may hold anything', async (t) => {
  const garbage = fc.oneof(fc.anything(), fc.constant({ toString: 1, valueOf: 1 }));
  fc.assert(
    fc.property(garbage, garbage, garbage, (apiVersion, kind, part) => {
      const workload = { apiVersion, kind, metadata: part, spec: { template: { spec: { containers: [part, kind] } } } };
      for (const object of [apiVersion, workload, { spec: part }]) {
        kindOf(object);
        ownerOf(object);
        annotation(object, 'a');
        tunedContainers(object).map(({ json }) => memoryOf(json));
      }
    }),
    { seed: 20260131, numRuns: 1000 },
  );
  t.pass();
});
