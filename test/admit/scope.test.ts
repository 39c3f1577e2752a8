import t, { type Test as TapTest } from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { admit, applied, container, context, create, deployment, edited, service, tuning, update } from './objects.ts';

const manifest = deployment([container('function', '256Mi', '512Mi')]);

function owned(owner: JsonObject): JsonObject {
  return edited(manifest, (o) => (o.metadata.ownerReferences = [{ uid: 'u', name: 'n', ...owner }]));
}

/** Every skip: no patch, no warning, the object as it came. */
function isSkipped(t: TapTest, request: ReturnType<typeof create>, reason: string) {
  const admitted = admit(request, context(applied()));
  t.equal(admitted.reason, reason);
  t.strictSame(admitted.operations, []);
  t.strictSame(admitted.warnings, []);
}

t.test('a Deployment and a Knative Service with the owner label are ours', async (t) => {
  for (const object of [manifest, service([container('function', '256Mi', '512Mi')])]) {
    t.equal(admit(create(object), context(applied())).reason, 'injected');
  }
});

t.test('other kinds are left alone', async (t) => {
  for (const [apiVersion, kind] of [
    ['v1', 'Service'],
    ['apps/v1', 'StatefulSet'],
    ['apps/v1', 'ReplicaSet'],
    ['serving.knative.dev/v1', 'Revision'],
    ['serving.knative.dev/v1', 'Configuration'],
    ['extensions/v1beta1', 'Deployment'],
    ['argoproj.io/v1alpha1', 'Deployment'],
  ]) {
    isSkipped(t, create({ ...manifest, apiVersion, kind } as JsonObject), 'not-a-workload');
  }
});

t.test('only creates and updates of the object itself are answered with a patch', async (t) => {
  for (const operation of ['DELETE', 'CONNECT', '', 'create']) {
    isSkipped(t, create(manifest, { operation }), 'not-a-workload');
  }
  for (const subResource of ['status', 'scale']) {
    isSkipped(t, update(manifest, manifest, { subResource }), 'not-a-workload');
  }
});

t.test('without the label nothing happens, also where the old object had it', async (t) => {
  const unlabelled = edited(manifest, (o) => delete o.metadata.labels['oaas.io/owner']);
  isSkipped(t, create(unlabelled), 'no-label');
  isSkipped(t, update(unlabelled, manifest), 'no-label');
  for (const value of ['', null, 7, {}]) {
    isSkipped(t, create(edited(manifest, (o) => (o.metadata.labels['oaas.io/owner'] = value))), 'no-label');
  }
});

t.test('an object that is being deleted is left alone', async (t) => {
  const dying = edited(manifest, (o) => (o.metadata.deletionTimestamp = '2026-01-31T10:00:00Z'));
  isSkipped(t, update(dying, manifest), 'being-deleted');
  const alive = edited(manifest, (o) => (o.metadata.deletionTimestamp = null));
  t.equal(admit(create(alive), context(applied())).reason, 'injected');
});

t.test('kube-system and the tuner itself are off limits', async (t) => {
  isSkipped(t, create(manifest, { namespace: 'kube-system' }), 'off-limits');
  const tuner = edited(manifest, (o) => (o.metadata.labels['app.kubernetes.io/name'] = 'oaas-tuner'));
  isSkipped(t, create(tuner), 'off-limits');
});

t.test('what another controller controls is left alone', async (t) => {
  isSkipped(
    t,
    create(owned({ apiVersion: 'serving.knative.dev/v1', kind: 'Revision', controller: true })),
    'controlled',
  );
  isSkipped(t, create(owned({ apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', controller: true })), 'controlled');
});

t.test("what the record's own kind controls is ours, in every version of it", async (t) => {
  for (const version of ['v1alpha1', 'v1']) {
    const owner = { apiVersion: `oaas.io/${version}`, kind: 'DeploymentRecord', controller: true };
    t.equal(admit(create(owned(owner)), context(applied())).reason, 'injected');
  }
  const renamed = owned({ apiVersion: 'oaas.io/v1alpha1', kind: 'ClassRuntime', controller: true });
  isSkipped(t, create(renamed), 'controlled');
  const settings = context(applied(), { record: { group: 'oaas.io', kind: 'ClassRuntime' } });
  t.equal(admit(create(renamed), settings).reason, 'injected');
});

t.test('an owner that does not control, or cannot be read, hinders nothing', async (t) => {
  for (const owner of [{ apiVersion: 'v1', kind: 'ConfigMap' }, { kind: 'Revision', controller: false }, {}]) {
    t.equal(admit(create(owned(owner)), context(applied())).reason, 'injected');
  }
  for (const ownerReferences of [null, 'x', [null, 7, []]]) {
    const odd = edited(manifest, (o) => (o.metadata.ownerReferences = ownerReferences));
    t.equal(admit(create(odd), context(applied())).reason, 'injected');
  }
});

t.test('an object without a pod template, or with none of its parts, is left alone', async (t) => {
  for (const spec of [undefined, null, {}, { template: null }, { template: { spec: {} } }, 'x', []]) {
    isSkipped(t, create({ ...manifest, spec } as JsonObject), 'no-containers');
  }
  for (const containers of [null, {}, [], [null], ['x'], [{}]]) {
    const odd = edited(manifest, (o) => (o.spec.template.spec.containers = containers));
    isSkipped(t, create(odd), 'no-containers');
  }
});

t.test('a thousand containers are a workload, one more is none', async (t) => {
  const workload = (count: number) =>
    deployment(Array.from({ length: count }, (_, index) => container(`c-${index}`, '256Mi', '512Mi')));
  const now = context(tuning({ overrides: { 'c-7': { request: '300Mi' } } }));
  t.equal(admit(create(workload(1_000)), now).reason, 'injected');
  t.equal(admit(create(workload(1_001)), now).reason, 'too-many-containers');
});
