/** What is different about a Knative Service: we are asked before Knative has defaulted it, and again after. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import {
  admit,
  applied,
  container,
  context,
  create,
  created,
  edited,
  memory,
  reapplied,
  remembered,
  service,
  tuning,
  update,
} from './objects.ts';

/** What Knative's webhook makes of a Service (knative/serving `revision_defaults.go`, knative/pkg `roundTripPatch`). */
function defaulted(object: JsonObject, name = 'user-container'): JsonObject {
  return edited(object, (o) => {
    const { template } = o.spec;
    template.metadata = { creationTimestamp: null, ...template.metadata };
    template.spec = { containerConcurrency: 0, timeoutSeconds: 300, enableServiceLinks: false, ...template.spec };
    for (const [index, one] of template.spec.containers.entries()) {
      if (one.env) one.env = [{ name: 'A' }];
      for (const list of ['args', 'volumeMounts']) if (one[list]?.length === 0) delete one[list];
      one.name ||= template.spec.containers.length > 1 ? `${name}-${index}` : name;
      one.resources ??= {};
      if (one.resources.requests?.cpu === '1000m') one.resources.requests.cpu = '1';
      const { successThreshold, ...probe } = one.readinessProbe ?? {};
      if (template.spec.containers.length === 1 || one.ports) {
        one.readinessProbe = {
          ...(probe.httpGet ? {} : { tcpSocket: { port: 0 } }),
          ...probe,
          successThreshold: successThreshold ?? 1,
        };
      }
      for (const mount of one.volumeMounts ?? []) mount.readOnly = true;
    }
    o.metadata.annotations = { ...o.metadata.annotations, 'serving.knative.dev/creator': 'ann' };
    o.spec.traffic = [{ latestRevision: true, percent: 100 }];
  });
}

const manifests: Record<string, JsonObject> = {
  'a plain one': service([container('function', '256Mi', '512Mi')]),
  'one that names no container': service([{ image: 'registry/function:1' }]),
  'one with a probe and a mount': service([
    container('function', '256Mi', '512Mi', {
      readinessProbe: { httpGet: { path: '/healthz' } },
      volumeMounts: [{ name: 'config', mountPath: '/config' }],
    }),
  ]),
  'one that writes a thousand millicores': edited(service([container('function', '256Mi', '512Mi')]), (o) => {
    o.spec.template.spec.containers[0].resources.requests.cpu = '1000m';
  }),
  'one with an empty variable and empty lists': service([
    container('function', '256Mi', '512Mi', { env: [{ name: 'A', value: '' }], args: [], volumeMounts: [] }),
  ]),
  'one with template annotations': edited(service([container('function', '256Mi', '512Mi')]), (o) => {
    o.spec.template.metadata = { annotations: { 'autoscaling.knative.dev/target': '10' } };
  }),
};

for (const [what, manifest] of Object.entries(manifests)) {
  const first = admit(create(manifest), context(applied()));
  const live = defaulted(first.object);

  t.test(`${what}: Knative's defaults do not undo what was injected, and we have nothing to add`, async (t) => {
    t.strictSame(Object.values(memory(first.object)), ['224Mi/336Mi']);
    const second = admit(create(live), context(applied()));
    t.strictSame(second.operations, []);
    t.strictSame(second.warnings, []);
  });

  t.test(`${what}: applied again, without Knative's defaults, it keeps the values that run`, async (t) => {
    const again = admit(update(reapplied(manifest, live), live), context(applied('400Mi', '800Mi')));
    t.strictSame(Object.values(memory(again.object)), ['224Mi/336Mi']);
    t.strictSame(remembered(again.object), remembered(live));
    const second = admit(update(defaulted(again.object), live), context(applied('400Mi', '800Mi')));
    t.strictSame(second.operations, []);
    t.strictSame(second.warnings, []);
  });

  t.test(`${what}: a new image brings today's values, in the first call and in the second`, async (t) => {
    const next = edited(
      reapplied(manifest, live),
      (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'),
    );
    const changed = admit(update(next, live), context(applied('400Mi', '800Mi')));
    t.strictSame(Object.values(memory(changed.object)), ['400Mi/800Mi']);
    t.strictSame(admit(update(defaulted(changed.object), live), context(applied('400Mi', '800Mi'))).operations, []);
  });
}

t.test('a cluster that names lone containers otherwise keeps values and annotation too', async (t) => {
  const manifest = service([{ image: 'registry/function:1' }]);
  const record = tuning({ overrides: { orders: { request: '200Mi', limit: '300Mi' } } });
  const live = admit(create(defaulted(manifest, 'orders')), context(record)).object;
  t.strictSame(memory(live), { orders: '200Mi/300Mi' });
  const again = admit(update(reapplied(manifest, live), live), context(tuning()));
  t.strictSame(Object.values(memory(again.object)), ['200Mi/300Mi']);
  t.strictSame(remembered(again.object), remembered(live));
  t.strictSame(admit(update(defaulted(again.object, 'orders'), live), context(tuning())).operations, []);
});

t.test('several containers without names keep their values through both calls', async (t) => {
  const manifest = service([{ image: 'a', ports: [{ containerPort: 8080 }] }, { image: 'b' }]);
  const record = tuning({
    overrides: { 'user-container-0': { request: '200Mi' }, 'user-container-1': { request: '100Mi' } },
  });
  const first = admit(create(manifest), context(record));
  const live = admit(create(defaulted(first.object)), context(record)).object;
  t.strictSame(memory(live), { 'user-container-0': '200Mi/-', 'user-container-1': '100Mi/-' });
  const again = admit(update(reapplied(manifest, live), live), context(tuning()));
  const second = admit(update(defaulted(again.object), live), context(tuning()));
  t.strictSame(memory(second.object), memory(live));
});

t.test('security defaults that Knative filled in are no change of the template', async (t) => {
  const manifest = service([container('function', '256Mi', '512Mi')]);
  const live = edited(defaulted(created(manifest, applied())), (o) => {
    o.spec.template.spec.containers[0].securityContext = { runAsNonRoot: true, allowPrivilegeEscalation: false };
  });
  const again = admit(update(reapplied(manifest, live), live), context(applied('400Mi', '800Mi')));
  t.strictSame(memory(again.object), { function: '224Mi/336Mi' });
});

t.test('a template that names its revision is never touched', async (t) => {
  const named = (name: string) =>
    edited(service([container('function', '256Mi', '512Mi')]), (o) => (o.spec.template.metadata = { name }));
  for (const request of [
    create(named('orders-v1')),
    update(named('orders-v1'), named('orders-v1')),
    update(named('orders-v2'), named('orders-v1')),
    update(named('orders-v1'), created(service([container('function', '256Mi', '512Mi')]), applied())),
  ]) {
    const { operations, reason } = admit(request, context(applied()));
    t.strictSame(operations, []);
    t.equal(reason, 'named-revision');
  }
  t.equal(admit(create(named('')), context(applied())).reason, 'injected', 'an empty name is none');
});

t.test('a Service that sends no containers, as the OaaS scaler does, is left alone', async (t) => {
  const partial = edited(service([]), (o) => (o.spec = { template: { metadata: { annotations: { a: '1' } } } }));
  t.equal(admit(update(partial, partial), context(applied())).reason, 'no-containers');
});

t.test('autoscaling annotations and containerConcurrency that change bring the values of today', async (t) => {
  const manifest = service([container('function', '256Mi', '512Mi')]);
  const live = defaulted(created(manifest, applied()));
  const edits = [
    // biome-ignore lint/suspicious/noExplicitAny: an edit reaches deep into plain JSON
    (o: any) => (o.spec.template.metadata = { annotations: { 'autoscaling.knative.dev/target': '5' } }),
    // biome-ignore lint/suspicious/noExplicitAny: an edit reaches deep into plain JSON
    (o: any) => (o.spec.template.spec.containerConcurrency = 7),
  ];
  for (const edit of edits) {
    const next = edited(reapplied(manifest, live), edit);
    t.strictSame(memory(admit(update(next, live), context(applied('400Mi', '800Mi'))).object), {
      function: '400Mi/800Mi',
    });
  }
});
