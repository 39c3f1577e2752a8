/** Switching tuning off restarts nothing; the next change of the template gives the manifest's values back. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Tuning } from '../../src/domain/record.ts';
import { APPLIED_ANNOTATION } from '../../src/domain/workload.ts';
import {
  admit,
  applied,
  container,
  context,
  create,
  created,
  deployment,
  edited,
  memory,
  reapplied,
  remembered,
  service,
  tuning,
  update,
} from './objects.ts';

const workloads: [string, (containers: JsonObject[], podSpec?: JsonObject) => JsonObject][] = [
  ['Deployment', deployment],
  ['Knative Service', service],
];
const closed = { gates: { enforcement: false, enabledByDefault: true } };
const switches: [string, Tuning | undefined, object][] = [
  ['enabled: false', applied('400Mi', '800Mi', { enabled: false }), {}],
  ['enforce: false', applied('400Mi', '800Mi', { enforce: false }), {}],
  ['the gate closed', applied('400Mi', '800Mi'), closed],
  ['the record gone', undefined, {}],
];

for (const [kind, workload] of workloads) {
  for (const [off, record, more] of switches) {
    const manifest = workload([container('function', '256Mi', '512Mi')]);
    const live = created(manifest, applied());
    const now = context(record, more);

    t.test(`${off}: a ${kind} keeps what runs while its template stays`, async (t) => {
      const annotated = edited(live, (o) => (o.metadata.annotations.team = 'a'));
      t.strictSame(admit(update(annotated, live), now).operations, []);
      t.strictSame(admit(update(reapplied(manifest, live), live), now).object, live);
      t.strictSame(admit(update(manifest, live), now).object, live, 'replaced, without our annotation');
    });

    t.test(`${off}: the next change of a ${kind}'s template gives the manifest's values back`, async (t) => {
      for (const base of [live, reapplied(manifest, live), manifest]) {
        const next = edited(base, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
        const { object } = admit(update(next, live), now);
        t.strictSame(memory(object), { function: '256Mi/512Mi' });
        t.strictSame(remembered(object), undefined, 'and takes our annotation away');
      }
    });

    t.test(`${off}: a ${kind} whose manifest names no memory has none again`, async (t) => {
      const bare = workload([container('function')]);
      const next = edited(
        created(bare, applied()),
        (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'),
      );
      const { object, reason, warnings } = admit(update(next, created(bare, applied())), now);
      t.strictSame(memory(object), { function: '-/-' });
      t.equal(reason, 'given-back');
      t.match(warnings, [/function memory 224Mi\/336Mi -> none\/none \(request\/limit, back to the manifest's\)/]);
    });
  }
}

const manifest = deployment([container('function', '256Mi', '512Mi')]);
const live = created(manifest, applied());

t.test('an override that is taken away gives back its field at the next change of the template', async (t) => {
  const overridden = created(manifest, applied('224Mi', '336Mi', { overrides: { function: { limit: '1Gi' } } }));
  const annotated = edited(overridden, (o) => (o.metadata.annotations.team = 'a'));
  t.strictSame(admit(update(annotated, overridden), context(applied())).operations, []);
  const next = edited(overridden, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
  t.strictSame(memory(admit(update(next, overridden), context(applied())).object), { function: '224Mi/336Mi' });
  t.strictSame(memory(admit(update(next, overridden), context(tuning())).object), { function: '256Mi/512Mi' });
});

t.test('an override of one field gives the other field back', async (t) => {
  const next = edited(live, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
  const { object } = admit(update(next, live), context(tuning({ overrides: { function: { request: '300Mi' } } })));
  t.strictSame(memory(object), { function: '300Mi/512Mi' });
});

t.test('a workload copied with our annotation to a place without the record gets the manifest’s values', async (t) => {
  const { object, reason } = admit(create(live), context(undefined));
  t.strictSame(memory(object), { function: '256Mi/512Mi' });
  t.equal(reason, 'given-back');
  t.strictSame(remembered(object), undefined);
});

t.test('a record that is not known, and no annotation, is nothing to act on', async (t) => {
  t.equal(admit(update(manifest, manifest), context(undefined)).reason, 'unknown-record');
});

t.test('a value that somebody changed after us is theirs, and is not taken back', async (t) => {
  const edit = edited(live, (o) => (o.spec.template.spec.containers[0].resources.limits.memory = '2Gi'));
  const { object } = admit(update(edit, live), context(tuning()));
  t.strictSame(memory(object), { function: '256Mi/2Gi' });
});

t.test('an annotation that cannot be read is replaced or removed, never obeyed', async (t) => {
  for (const text of ['', 'x', '[]', '7', 'null', '{"function":7}', '{"function":{"request":{"set":1,"was":2}}}']) {
    const odd = edited(manifest, (o) => (o.metadata.annotations = { [APPLIED_ANNOTATION]: text }));
    t.strictSame(admit(create(odd), context(tuning())).object.metadata, {
      ...(manifest.metadata as object),
      annotations: {},
    });
    t.match(remembered(admit(create(odd), context(applied())).object), { function: { request: { was: '256Mi' } } });
  }
});

t.test(
  'pod-level memory added to a tuned workload: the manifest comes back, with no value of ours beside it',
  async (t) => {
    const live = created(deployment([container('function')]), applied());
    const next = edited(live, (o) => {
      o.spec.template.spec.resources = { requests: { memory: '100Mi' }, limits: { memory: '128Mi' } };
    });
    const { object, reason } = admit(update(next, live), context(applied()));
    t.equal(reason, 'pod-level-memory');
    t.strictSame(memory(object), { function: '-/-' });
  },
);

t.test(
  'a manifest that is refused by itself is not given back into a deploy that is about something else',
  async (t) => {
    const live = created(deployment([container('function', '1Gi', '512Mi')]), applied());
    t.strictSame(memory(live), { function: '224Mi/336Mi' });
    const next = edited(live, (o) => (o.spec.template.metadata.labels.version = '2'));
    t.strictSame(memory(admit(update(next, live), context(tuning({ enabled: false }))).object), {
      function: '224Mi/336Mi',
    });
  },
);

t.test('garbage that somebody wrote into our annotation is never given back', async (t) => {
  const book = '{"function":{"limit":{"set":"512Mi","was":"garbage"}}}';
  const object = edited(deployment([container('function', '256Mi', '512Mi')]), (o) => {
    o.metadata.annotations = { 'tuning.oaas.io/applied': book };
  });
  t.strictSame(memory(admit(create(object), context(tuning())).object), { function: '256Mi/512Mi' });
});
