/** What admission writes into the template of a Knative Service beside memory. */
import t from 'tap';
import type { Context } from '../../src/admit/decide.ts';
import type { Knobs } from '../../src/domain/concurrency.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { readBounds } from '../../src/domain/knative-rules.ts';
import type { Tuning } from '../../src/domain/record.ts';
import {
  admit,
  container,
  context,
  create,
  created,
  deployment,
  edited,
  OWN_ACCOUNT,
  reapplied,
  remembered,
  service,
  tuning,
  update,
} from './objects.ts';

const KEY = 'autoscaling.knative.dev/';

/** A Service as a person writes it: the hard limit and the autoscaling annotations that it names. */
const written = (says: { [key: string]: Json } = {}) =>
  edited(service([container('function')]), ({ spec: { template } }) => {
    const { containerConcurrency, ...annotations } = says;
    if (containerConcurrency !== undefined) template.spec.containerConcurrency = containerConcurrency;
    const keyed = Object.entries(annotations).map(([key, value]) => [KEY + key, value]);
    if (keyed.length > 0) template.metadata = { annotations: Object.fromEntries(keyed) };
  });

/** The same as it stands in an object, without the prefix of the annotations. */
const said = (object: JsonObject): { [key: string]: Json } => {
  // biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
  const { template } = (object as any).spec;
  const annotations = Object.entries(template.metadata?.annotations ?? {}).map(([key, value]) => [
    key.replace(KEY, ''),
    value,
  ]);
  const { containerConcurrency } = template.spec;
  return Object.fromEntries([
    ...(containerConcurrency === undefined ? [] : [['containerConcurrency', containerConcurrency]]),
    ...annotations,
  ]);
};

/** A record with overrides, by the names without their prefix. */
const wishing = (says: { [key: string]: string | number }, more: Partial<Tuning> = {}) => {
  const { containerConcurrency, ...annotations } = says;
  const overrides = {
    ...(containerConcurrency !== undefined && { containerConcurrency: Number(containerConcurrency) }),
    annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [KEY + key, String(value)])),
  };
  return tuning({ concurrency: { overrides, applied: {} }, ...more });
};
const decided = (knobs: Knobs, more: Partial<Tuning> = {}, containerConcurrency?: number) => {
  const overrides = { annotations: {}, ...(containerConcurrency !== undefined && { containerConcurrency }) };
  return tuning({ concurrency: { overrides, applied: { 'KnativeService/orders': knobs } }, ...more });
};

const onCreate = (manifest: JsonObject, record: Tuning, more: Partial<Context> = {}) =>
  said(admit(create(manifest), context(record, more)).object);

t.test('overrides are written to the letter, into the template and nowhere else', async (t) => {
  const record = wishing({ containerConcurrency: 7, target: '+05.50', metric: 'concurrency', window: '1m30s' });
  const { object, operations } = admit(create(written()), context(record));
  t.strictSame(said(object), { containerConcurrency: 7, target: '+05.50', metric: 'concurrency', window: '1m30s' });
  t.strictSame(
    operations.map(({ op, path }) => `${op} ${path}`),
    [
      'add /spec/template/spec/containerConcurrency',
      'add /spec/template/metadata',
      'add /spec/template/metadata/annotations',
      'add /spec/template/metadata/annotations/autoscaling.knative.dev~1target',
      'add /spec/template/metadata/annotations/autoscaling.knative.dev~1metric',
      'add /spec/template/metadata/annotations/autoscaling.knative.dev~1window',
      'add /metadata/annotations',
      'add /metadata/annotations/tuning.oaas.io~1applied',
    ],
  );
});

t.test('an override of 0, which is no limit, is a value like any other', async (t) => {
  t.strictSame(onCreate(written({ containerConcurrency: 10 }), wishing({ containerConcurrency: 0 })), {
    containerConcurrency: 0,
  });
});

t.test('overrides need neither gate nor profile; only `enabled: false` switches them off', async (t) => {
  const closed = { enforcement: false, enabledByDefault: false };
  const wish = { target: '5' };
  t.strictSame(onCreate(written(), wishing(wish, { enforce: false }), { gates: closed }), { target: '5' });
  t.strictSame(onCreate(written(), wishing(wish, { paused: true }), { namespacePaused: true }), { target: '5' });
  t.strictSame(onCreate(written(), wishing(wish, { enabled: false })), {});
});

t.test('applied values reach the template under the gate and with `enforce`, and under no pause', async (t) => {
  const knobs = { target: 8, containerConcurrency: 12, targetBurstCapacity: -1 };
  const all = { containerConcurrency: 12, target: '8', 'target-burst-capacity': '-1' };
  t.strictSame(onCreate(written(), decided(knobs)), all);
  const [on, off] = [
    { enforcement: true, enabledByDefault: false },
    { enforcement: false, enabledByDefault: true },
  ];
  t.strictSame(onCreate(written(), decided(knobs), { gates: on }), {}, 'not enabled by the profile');
  t.strictSame(onCreate(written(), decided(knobs, { enabled: true }), { gates: on }), all);
  t.strictSame(onCreate(written(), decided(knobs), { gates: off }), {}, 'the gate is closed');
  t.strictSame(onCreate(written(), decided(knobs, { enforce: false })), {});
  t.strictSame(onCreate(written(), decided(knobs, { paused: true })), {});
  t.strictSame(onCreate(written(), decided(knobs), { namespacePaused: true }), {});
  const paused = edited(written(), (o) => (o.metadata.annotations = { 'tuning.oaas.io/paused': 'true' }));
  t.strictSame(onCreate(paused, decided(knobs)), {});
});

t.test('an override wins over an applied value, setting by setting', async (t) => {
  const record = decided({ target: 8, containerConcurrency: 12 }, {}, 50);
  t.strictSame(onCreate(written(), record), { containerConcurrency: 50, target: '8' });
});

t.test('a Deployment has no concurrency', async (t) => {
  const manifest = deployment([container('function', '256Mi')]);
  t.strictSame(admit(create(manifest), context(wishing({ target: '5', containerConcurrency: 1 }))).operations, []);
});

t.test(
  'of two spellings the one that is there is written, else the one with dashes, which wins in Knative',
  async (t) => {
    const [dashed, camel] = ['target-burst-capacity', 'targetBurstCapacity'];
    for (const wish of [dashed, camel]) {
      const record = wishing({ [wish]: '5' });
      t.strictSame(onCreate(written(), record), { [dashed]: '5' });
      t.strictSame(onCreate(written({ [dashed]: '1' }), record), { [dashed]: '5' });
      t.strictSame(onCreate(written({ [camel]: '1' }), record), { [camel]: '5' });
      t.strictSame(onCreate(written({ [camel]: '1', [dashed]: '2' }), record), { [camel]: '1', [dashed]: '5' });
    }
    t.strictSame(onCreate(written(), wishing({ [camel]: '1', [dashed]: '2' })), { [dashed]: '2' });
    t.strictSame(onCreate(written({ maxScale: '9' }), wishing({ 'max-scale': '3' })), { maxScale: '3' });
  },
);

t.test(
  'what the manifest had said is remembered, and comes back with the next template once tuning is off',
  async (t) => {
    const manifest = written({
      containerConcurrency: 10,
      targetBurstCapacity: '1',
      class: 'kpa.autoscaling.knative.dev',
    });
    const live = created(manifest, wishing({ containerConcurrency: 7, target: '5', 'target-burst-capacity': '2' }));
    t.strictSame(remembered(live), {
      Concurrency: {
        containerConcurrency: { set: 7, was: 10 },
        [`${KEY}targetBurstCapacity`]: { set: '2', was: '1' },
        [`${KEY}target`]: { set: '5', was: null },
      },
    });
    const labelled = edited(live, (o) => (o.metadata.labels.team = 'a'));
    t.strictSame(said(admit(update(labelled, live), context(tuning())).object), said(live), 'not with a label');
    const restarted = edited(live, (o) => (o.spec.template.metadata.annotations.restarted = 'now'));
    const { object } = admit(update(restarted, live), context(tuning()));
    t.strictSame(said(object), { ...said(manifest), restarted: 'now' });
    t.equal(remembered(object), undefined);
  },
);

t.test('memory and concurrency are kept in one book, each under its own name', async (t) => {
  const manifest = edited(written(), (o) => (o.spec.template.spec.containers[0].name = 'function'));
  const record = wishing({ target: '5' }, { overrides: { function: { request: '300Mi' } } });
  const live = created(manifest, record);
  t.strictSame(remembered(live), {
    function: { request: { set: '300Mi', was: null } },
    Concurrency: { [`${KEY}target`]: { set: '5', was: null } },
  });
  const restarted = edited(live, (o) => (o.spec.template.metadata.labels = { a: 'b' }));
  const onlyMemory = admit(update(restarted, live), context(tuning({ overrides: record.overrides })));
  t.strictSame(remembered(onlyMemory.object), { function: { request: { set: '300Mi', was: null } } });
});

t.test('an update that leaves the template alone leaves what runs alone, overrides aside', async (t) => {
  const manifest = written({ containerConcurrency: 10 });
  const live = created(manifest, decided({ target: 8, containerConcurrency: 12 }));
  const later = decided({ target: 5, containerConcurrency: 6 });
  const labelled = edited(live, (o) => (o.metadata.labels.team = 'a'));
  t.strictSame(admit(update(labelled, live), context(later)).operations, []);
  const again = admit(update(reapplied(manifest, live), live), context(later));
  t.strictSame(said(again.object), said(live), 'the same file again');
  t.strictSame(again.warnings, [
    'oaas-tuner: containerConcurrency stays 12, not 10: the pod template did not change',
    `oaas-tuner: ${KEY}target stays 8, not none: the pod template did not change`,
  ]);
  const replaced = admit(update(manifest, live), context(later));
  t.strictSame([said(replaced.object), remembered(replaced.object)], [said(live), remembered(live)], 'kubectl replace');
  const overridden = admit(update(labelled, live), context(decided({ target: 5 }, {}, 3)));
  t.strictSame(said(overridden.object), { containerConcurrency: 3, target: '8' }, 'an override comes at once');
});

t.test('a template that changes gets what the ladder says now', async (t) => {
  const manifest = written({ containerConcurrency: 10 });
  const live = created(manifest, decided({ target: 8, containerConcurrency: 12 }));
  const next = edited(reapplied(manifest, live), (o) => (o.spec.template.spec.containers[0].image = 'b'));
  const later = decided({ target: 5, containerConcurrency: 6 });
  t.strictSame(said(admit(update(next, live), context(later)).object), { containerConcurrency: 6, target: '5' });
  const own = edited(reapplied(manifest, live), (o) => (o.spec.template.spec.containerConcurrency = 20));
  const { object } = admit(update(own, live), context(later));
  t.strictSame(said(object), { containerConcurrency: 6, target: '5' }, "the author's own change is one, too");
  t.match(remembered(object), { Concurrency: { containerConcurrency: { set: 6, was: 20 } } });
});

t.test('the author takes his limit away: 0 is another value than the one that runs', async (t) => {
  const live = written({ containerConcurrency: 10 });
  const unlimited = written({ containerConcurrency: 0 });
  const { object } = admit(update(unlimited, live), context(wishing({ target: '5' })));
  t.strictSame(said(object), { containerConcurrency: 0, target: '5' });
});

t.test("Knative's default of what the manifest leaves out is no change of it", async (t) => {
  const manifest = written();
  const live = edited(
    created(manifest, decided({ target: 8 })),
    (o) => (o.spec.template.spec.containerConcurrency = 0),
  );
  const { operations } = admit(update(reapplied(manifest, live), live), context(decided({ target: 5 })));
  t.strictSame(
    operations.map(({ path }) => path),
    [
      '/spec/template/metadata',
      '/spec/template/metadata/annotations',
      `/spec/template/metadata/annotations/${KEY.replace('/', '~1')}target`,
    ],
    'the target that runs is kept, and the default is left to Knative',
  );
});

t.test("the worker's own request brings applied concurrency in, anybody else's does not", async (t) => {
  const manifest = written();
  const live = created(manifest, tuning());
  const asked = edited(live, (o) => (o.metadata.annotations = { 'tuning.oaas.io/rollout': 'now' }));
  const record = decided({ target: 8 });
  t.strictSame(said(admit(update(asked, live), context(record)).object), {});
  const by = { username: OWN_ACCOUNT };
  t.strictSame(said(admit(update(asked, live, by), context(record)).object), { target: '8' });
  t.strictSame(said(admit(update(asked, live, by), context(record, { namespacePaused: true })).object), {});
});

t.test('a template that names its revision is never touched', async (t) => {
  const named = edited(written(), (o) => (o.spec.template.metadata = { name: 'orders-one' }));
  const { operations, reason, warnings } = admit(create(named), context(wishing({ target: '5' })));
  t.strictSame([operations, reason], [[], 'named-revision']);
  t.match(warnings, [/names its revision/]);
});

t.test('what Knative would refuse is not sent; the rest is, and the warning says why', async (t) => {
  const cluster = {
    defaults: { 'container-concurrency-max-limit': '50', 'allow-container-concurrency-zero': 'false' },
    autoscaler: { 'max-scale-limit': '10' },
  };
  const knative = readBounds(cluster);
  const record = wishing({ containerConcurrency: 51, target: '5', 'max-scale': '11', 'initial-scale': '0' });
  const { object, warnings, reason } = admit(create(written()), context(record, { knative }));
  t.strictSame(said(object), { target: '5' });
  t.equal(reason, 'injected');
  t.strictSame(warnings, [
    `oaas-tuner: ${KEY}target none -> 5 (override in record orders)`,
    'oaas-tuner: containerConcurrency 51 left out (refused-by-knative): must be a whole number between 1 and 50',
    `oaas-tuner: ${KEY}max-scale 11 left out (refused-by-knative): must be between 1 and 10 in this cluster`,
    `oaas-tuner: ${KEY}initial-scale 0 left out (refused-by-knative): must be at least 1 in this cluster`,
  ]);
  t.strictSame(onCreate(written(), wishing({ containerConcurrency: 50 }), { knative }), { containerConcurrency: 50 });
  const alone = admit(create(written()), context(wishing({ containerConcurrency: 0 }), { knative }));
  t.strictSame([alone.operations, alone.reason], [[], 'refused-by-knative'], 'the reason is counted');
});

t.test('a wish that does not fit what the manifest says is not sent', async (t) => {
  t.strictSame(onCreate(written({ 'max-scale': '3' }), wishing({ 'min-scale': '4' })), { 'max-scale': '3' });
  t.strictSame(onCreate(written({ 'max-scale': '3' }), wishing({ 'min-scale': '3' })), {
    'max-scale': '3',
    'min-scale': '3',
  });
  t.strictSame(onCreate(written({ class: 'hpa.autoscaling.knative.dev' }), wishing({ metric: 'cpu' })), {
    class: 'hpa.autoscaling.knative.dev',
    metric: 'cpu',
  });
  t.strictSame(onCreate(written(), wishing({ metric: 'cpu' })), {}, 'which only the other class knows');
});

t.test("a manifest that Knative refuses is the author's to repair, and no reason to write nothing", async (t) => {
  const manifest = written({ target: 'ten', containerConcurrency: 2000 });
  t.strictSame(onCreate(manifest, wishing({ 'min-scale': '1' })), {
    containerConcurrency: 2000,
    target: 'ten',
    'min-scale': '1',
  });
  const live = created(manifest, wishing({ containerConcurrency: 10, target: '5' }));
  t.strictSame(said(live), { containerConcurrency: 10, target: '5' });
  const restarted = edited(live, (o) => (o.spec.template.metadata.labels = { a: 'b' }));
  const { object } = admit(update(restarted, live), context(tuning()));
  t.strictSame(said(object), said(live), 'and does not come back in a deploy that is not about it');
});

t.test('applied concurrency is for Services that scale by requests in flight', async (t) => {
  const record = decided({ target: 8, containerConcurrency: 12 });
  for (const other of [{ metric: 'rps' }, { class: 'hpa.autoscaling.knative.dev' }, { class: 'own.example.com' }] as {
    [key: string]: string;
  }[]) {
    const { object, reason, warnings } = admit(create(written(other)), context(record));
    t.strictSame([said(object), reason], [other, 'other-autoscaler']);
    t.match(warnings[0], 'left out (other-autoscaler): it does not scale by requests in flight');
  }
  t.strictSame(onCreate(written({ metric: 'concurrency' }), record), {
    containerConcurrency: 12,
    metric: 'concurrency',
    target: '8',
  });
  const knative = readBounds({ defaults: {}, autoscaler: { 'pod-autoscaler-class': 'hpa.autoscaling.knative.dev' } });
  t.strictSame(onCreate(written(), record, { knative }), {}, "the cluster's class counts where the Service names none");
});

t.test('a template whose metadata is no object is left alone', async (t) => {
  for (const metadata of ['x', [], 7] as Json[]) {
    const strange = edited(written(), (o) => (o.spec.template.metadata = metadata));
    const { operations, reason } = admit(create(strange), context(wishing({ target: '5' })));
    t.strictSame([operations, reason], [[], 'unreadable-value']);
  }
});
