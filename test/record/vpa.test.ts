/** What a VerticalPodAutoscaler of ours says, and when it says nothing. */
import t from 'tap';
import { asObject, at, type Json, type JsonObject } from '../../src/domain/json.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { saidOf, saysTheSame, type VpaContainer, vpaOf } from '../../src/record/vpa.ts';

const owner = {
  apiVersion: 'oaas.io/v1alpha1',
  kind: 'DeploymentRecord',
  metadata: { namespace: 'shop', name: 'orders', uid: 'u-1' },
};
const mi = (request: number, limit: number) => ({ request: request * Mi, limit: limit * Mi });
const NOW = Date.parse('2026-01-31T10:00:00Z');

const container = (more: Partial<VpaContainer> = {}): VpaContainer => ({
  ...{ name: 'function', templates: [mi(256, 512)], override: {} },
  ...more,
});
const applied = container({ applied: mi(224, 368), recommended: mi(192, 336) });

t.test('one for a Deployment: memory of the decided containers alone, owned by the record', async (t) => {
  const other = container({ name: 'proxy' });
  t.strictSame(vpaOf(owner, 'orders', [applied, other], undefined, NOW), {
    apiVersion: 'autoscaling.k8s.io/v1',
    kind: 'VerticalPodAutoscaler',
    metadata: {
      namespace: 'shop',
      name: 'oaas-tuner-orders',
      labels: { 'app.kubernetes.io/managed-by': 'oaas-tuner' },
      ownerReferences: [{ apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecord', name: 'orders', uid: 'u-1' }],
    },
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'orders' },
      recommenders: [{ name: 'oaas-tuner' }],
      updatePolicy: { updateMode: 'InPlaceOrRecreate' },
      resourcePolicy: {
        containerPolicies: [
          {
            containerName: 'function',
            mode: 'Auto',
            controlledResources: ['memory'],
            controlledValues: 'RequestsAndLimits',
          },
          { containerName: '*', mode: 'Off' },
        ],
      },
    },
    status: {
      recommendation: {
        containerRecommendations: [
          {
            containerName: 'function',
            target: { memory: '224Mi' },
            lowerBound: { memory: '224Mi' },
            upperBound: { memory: '224Mi' },
            uncappedTarget: { memory: '192Mi' },
          },
        ],
      },
      conditions: [
        {
          type: 'RecommendationProvided',
          status: 'True',
          lastTransitionTime: '2026-01-31T10:00:00Z',
          reason: 'AppliedByRecord',
          message: 'applied in DeploymentRecord orders, whose status says why',
        },
      ],
    },
  });
});

t.test('nothing decided, nothing said', async (t) => {
  t.equal(vpaOf(owner, 'orders', [container(), container({ recommended: mi(192, 336) })], undefined, NOW), undefined);
  t.equal(vpaOf(owner, 'orders', [], undefined, NOW), undefined);
});

t.test('it has been provided since it was first', async (t) => {
  const before = vpaOf(owner, 'orders', [applied], undefined, NOW);
  const after = vpaOf(owner, 'orders', [applied], before, NOW + 3_600_000);
  t.equal(at(after, 'status', 'conditions', 0, 'lastTransitionTime'), '2026-01-31T10:00:00Z');
});

t.test('an override is said as the template carries it, so that VPA gives both sides back exactly', async (t) => {
  const fixed = (override: VpaContainer['override'], request: number, limit: number) =>
    saidOf(container({ override, templates: [mi(request, limit)], applied: mi(224, 368) }));
  const exactly = (request: number, limit: number) => ({
    ...mi(request, limit),
    reason: 'through VPA as the template has it, because of the override',
  });
  t.strictSame(fixed({ request: '300Mi', limit: '400Mi' }, 300, 400), exactly(300, 400));
  t.strictSame(fixed({ request: '300Mi' }, 300, 512), exactly(300, 512), 'one side: the other is the manifest’s');
  t.strictSame(fixed({ limit: '1Gi' }, 256, 1024), exactly(256, 1024));
  t.strictSame(
    saidOf(container({ override: { request: '300Mi' }, templates: [{ request: 300 * Mi }] })),
    { request: 300 * Mi, reason: 'through VPA as the template has it, because of the override' },
    'no limit anywhere: none from VPA',
  );
});

t.test('before the template carries the override VPA is told nothing, neither it nor what was applied', async (t) => {
  for (const override of [{ request: '300Mi', limit: '400Mi' }, { request: '300Mi' }, { limit: '400Mi' }]) {
    t.equal(saidOf(container({ override, applied: mi(224, 368) })), undefined);
  }
  const half = container({ override: { request: '256Mi', limit: '400Mi' }, applied: mi(224, 368) });
  t.equal(saidOf(half), undefined, 'nor while one side of it is missing');
});

t.test('what the API server and VPA add is no difference; what somebody changed is', async (t) => {
  const wanted = vpaOf(owner, 'orders', [applied], undefined, NOW) ?? {};
  const changed = (path: string, value: Json): JsonObject => {
    const copy = structuredClone(wanted);
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    Object.assign(asObject(at(copy, ...keys)) ?? {}, { [last]: value });
    return copy;
  };
  const same = (path: string, value: Json) => saysTheSame(wanted, changed(path, value));
  t.ok(same('metadata.uid', 'x'));
  t.ok(same('metadata.managedFields', []));
  t.ok(same('metadata.labels.team', 'shop'));
  t.notOk(same('metadata.labels', {}));
  t.notOk(same('spec.updatePolicy.updateMode', 'Off'));
  t.notOk(same('spec.recommenders', []));
  t.notOk(same('spec.resourcePolicy.containerPolicies', [{ containerName: '*', mode: 'Off' }]));
  t.notOk(same('status', null));
});
