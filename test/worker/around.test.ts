/** What stands around a workload: other autoscalers, pauses, quotas. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { type Around, aroundBy, headroomOf, holdOf } from '../../src/worker/around.ts';
import { deployment, record } from './played-cluster.ts';

const NOTHING: Around = { namespaces: [], autoscalers: [], verticalAutoscalers: [], quotas: [] };
const PAUSED = { annotations: { 'tuning.oaas.io/paused': 'true' } };
const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'orders' };
const orders = (object = deployment('orders')) => ({
  ...{ namespace: 'shop', name: 'orders', ref: 'Deployment/orders', deployments: ['orders'], object },
  containers: [{ name: 'function' }],
});
const hold = (around: Partial<Around>, workload = orders()) =>
  holdOf(workload, record('orders'), { ...NOTHING, ...around })?.reason;

const hpa = (source: JsonObject, more: JsonObject = {}): JsonObject => ({
  metadata: { name: 'h', namespace: 'shop' },
  spec: {
    scaleTargetRef: target,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization' } } }, source],
    ...more,
  },
});
const memory = (type: string) => ({ name: 'memory', target: { type } });

t.test('an HPA on memory utilization', async (t) => {
  const held = (one: JsonObject) => hold({ autoscalers: [one] });
  t.equal(held(hpa({ type: 'Resource', resource: memory('Utilization') })), 'hpa-on-memory');
  t.equal(held(hpa({ type: 'ContainerResource', containerResource: memory('Utilization') })), 'hpa-on-memory');
  t.equal(held(hpa({ type: 'Resource', resource: memory('AverageValue') })), undefined, 'does not mind the request');
  t.equal(held(hpa({})), undefined, 'cpu only');
  const other = { scaleTargetRef: { ...target, name: 'other' } };
  t.equal(held(hpa({ type: 'Resource', resource: memory('Utilization') }, other)), undefined);
  const elsewhere = { ...hpa({ type: 'Resource', resource: memory('Utilization') }), metadata: { namespace: 'bank' } };
  t.equal(held(elsewhere), undefined);
});

t.test('an HPA of a Revision of a Knative Service', async (t) => {
  const workload = { ...orders(), ref: 'KnativeService/orders', deployments: ['orders-00001-deployment'] };
  const scaleTargetRef = { ...target, name: 'orders-00001-deployment' };
  const one = hpa({ type: 'Resource', resource: memory('Utilization') }, { scaleTargetRef });
  t.equal(hold({ autoscalers: [one] }, workload), 'hpa-on-memory');
});

t.test("somebody else's VerticalPodAutoscaler", async (t) => {
  const held = (spec: JsonObject) =>
    hold({
      verticalAutoscalers: [{ metadata: { name: 'v', namespace: 'shop' }, spec: { targetRef: target, ...spec } }],
    });
  const policies = (...containerPolicies: JsonObject[]) => ({ resourcePolicy: { containerPolicies } });
  t.equal(held({}), 'other-vpa', 'active by default');
  t.equal(held({ updatePolicy: { updateMode: 'Initial' } }), 'other-vpa');
  t.equal(held({ updatePolicy: { updateMode: 'Off' } }), undefined);
  t.equal(held({ recommenders: [{ name: 'oaas-tuner' }] }), undefined, 'ours');
  t.equal(held({ recommenders: [{ name: 'other' }] }), 'other-vpa');
  t.equal(held({ targetRef: { ...target, name: 'other' } }), undefined);
  t.equal(held(policies({ containerName: '*', controlledResources: ['cpu'] })), undefined);
  t.equal(held(policies({ containerName: '*', controlledResources: ['cpu', 'memory'] })), 'other-vpa');
  t.equal(held(policies({ containerName: '*', mode: 'Off' })), undefined);
  t.equal(held(policies({ containerName: '*', mode: 'Off' }, { containerName: 'function' })), 'other-vpa');
});

t.test('the pause on a workload, its record or its namespace; nothing but "true" is one', async (t) => {
  t.equal(hold({}, orders(deployment('orders', '256Mi/512Mi', PAUSED))), 'paused');
  t.equal(hold({ namespaces: [{ metadata: { name: 'shop', ...PAUSED } }] }), 'paused');
  t.equal(hold({ namespaces: [{ metadata: { name: 'bank', ...PAUSED } }] }), undefined);
  const ours = record('orders');
  Object.assign(ours.metadata, PAUSED);
  t.match(holdOf(orders(), ours, NOTHING), { reason: 'paused', detail: 'on the record' });
  const no = { annotations: { 'tuning.oaas.io/paused': 'yes' } };
  t.equal(hold({}, orders(deployment('orders', '256Mi/512Mi', no))), undefined);
});

t.test("the tuner's own namespace pauses all of them", async (t) => {
  const namespaces = [{ metadata: { name: 'shop' } }, { metadata: { name: 'oaas-system', ...PAUSED } }];
  const shop = (own: string) => aroundBy({ ...NOTHING, namespaces }, own)('shop');
  t.match(holdOf(orders(), record('orders'), shop('oaas-system')), {
    reason: 'paused',
    detail: "on the tuner's own namespace",
  });
  t.equal(hold(shop('elsewhere')), undefined);
  t.equal(hold(shop('')), undefined, 'a tuner without a namespace');
});

t.test('what the quotas of a namespace have left', async (t) => {
  const quota = (namespace: string, hard: JsonObject, used: JsonObject, spec: JsonObject = {}) => ({
    metadata: { namespace },
    spec,
    status: { hard, used },
  });
  const left = headroomOf([
    quota(
      'a',
      { 'requests.memory': '1Gi', 'limits.memory': '2Gi' },
      { 'requests.memory': '1000Mi', 'limits.memory': '0' },
    ),
    quota('a', { memory: '1010Mi', pods: '4' }, { memory: '1000Mi' }),
    quota('b', { 'requests.memory': '1Gi' }, { 'requests.memory': '2Gi' }, { scopes: ['NotTerminating'] }),
    quota('c', { 'requests.memory': '0' }, {}, { scopes: ['BestEffort'] }),
  ]);
  t.same(Object.fromEntries(left), {
    a: { request: 10 * Mi, limit: 2048 * Mi },
    b: { request: -1024 * Mi },
  });
});
