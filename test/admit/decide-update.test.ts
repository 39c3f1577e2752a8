/** What an UPDATE gets (design, "What an admission does"): nothing restarts unless a rollout happens anyway. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { ROLLOUT_ANNOTATION } from '../../src/domain/workload.ts';
import {
  admit,
  applied,
  container,
  context,
  created,
  deployment,
  edited,
  memory,
  OWN_ACCOUNT,
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
/** The worker has decided on other values since the workload was admitted. */
const movedOn = applied('400Mi', '800Mi');

for (const [kind, workload] of workloads) {
  const manifest = workload([container('function', '256Mi', '512Mi')]);
  const live = created(manifest, applied('224Mi', '336Mi'));

  // biome-ignore lint/suspicious/noExplicitAny: an edit reaches deep into plain JSON
  const metadataEdits: Record<string, (object: any) => void> = {
    annotated: (o) => (o.metadata.annotations.team = 'a'),
    labelled: (o) => (o.metadata.labels.team = 'a'),
    'given a finalizer': (o) => (o.metadata.finalizers = ['a/b']),
    'given an owner': (o) => (o.metadata.ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'a' }]),
    scaled: (o) => (o.spec.replicas = 5),
    paused: (o) => (o.spec.paused = true),
    'written by its controller': (o) => (o.metadata.annotations['deployment.kubernetes.io/revision'] = '2'),
    'not changed at all': () => {},
  };
  for (const [what, edit] of Object.entries(metadataEdits)) {
    t.test(`a ${kind} that is ${what} keeps the values that run`, async (t) => {
      const { operations, warnings, reason } = admit(update(edited(live, edit), live), context(movedOn));
      t.strictSame(operations, []);
      t.strictSame(warnings, []);
      t.equal(reason, 'as-it-is');
    });
  }

  t.test(`the same manifest applied again to a ${kind} gives the old object, annotation and all`, async (t) => {
    const { object, reason } = admit(update(reapplied(manifest, live), live), context(movedOn));
    t.strictSame(object, live);
    t.equal(reason, 'kept');
  });

  t.test(`kubectl replace of a ${kind}, which drops our annotation, gives the old object too`, async (t) => {
    const { object, reason } = admit(update(manifest, live), context(movedOn));
    t.strictSame(object, live);
    t.equal(reason, 'kept');
  });

  t.test(`a ${kind} reviewed a second time remembers what its author has just written under our values`, async (t) => {
    const now = context(applied('224Mi', '336Mi'));
    const next = reapplied(workload([container('function', '300Mi', '600Mi')]), live);
    const { object } = admit(update(next, live), now);
    const book = {
      function: { request: { set: '224Mi', was: '300Mi' }, limit: { set: '336Mi', was: '600Mi' } },
    };
    t.strictSame(remembered(object), book);
    t.strictSame(
      admit(update(object, live), now).operations,
      [],
      'reinvoked, because another webhook changed the object',
    );
  });

  t.test(`a ${kind} whose other fields change gets the values of today`, async (t) => {
    const next = edited(
      reapplied(manifest, live),
      (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'),
    );
    const { object, reason } = admit(update(next, live), context(movedOn));
    t.strictSame(memory(object), { function: '400Mi/800Mi' });
    t.equal(reason, 'injected');
    t.strictSame(remembered(object), {
      function: { request: { set: '400Mi', was: '256Mi' }, limit: { set: '800Mi', was: '512Mi' } },
    });
  });

  t.test(`kubectl edit of a ${kind}, which shows our values, still remembers the manifest’s`, async (t) => {
    const next = edited(
      live,
      (o) => (o.spec.template.metadata = { ...o.spec.template.metadata, annotations: { a: 'b' } }),
    );
    const { object } = admit(update(next, live), context(movedOn));
    t.strictSame(memory(object), { function: '400Mi/800Mi' });
    t.strictSame(remembered(object), {
      function: { request: { set: '400Mi', was: '256Mi' }, limit: { set: '800Mi', was: '512Mi' } },
    });
  });

  t.test(`memory that a person edits in a ${kind}'s manifest is a change of the template`, async (t) => {
    const next = edited(
      reapplied(manifest, live),
      (o) => (o.spec.template.spec.containers[0].resources.limits.memory = '700Mi'),
    );
    const { object } = admit(update(next, live), context(movedOn));
    t.strictSame(memory(object), { function: '400Mi/800Mi' });
    t.match(remembered(object), { function: { limit: { was: '700Mi' } } });
    t.strictSame(memory(admit(update(next, live), context(tuning())).object), { function: '256Mi/700Mi' });
  });

  t.test(`cpu that a person edits in a ${kind}'s manifest is a change of the template`, async (t) => {
    const next = edited(
      reapplied(manifest, live),
      (o) => (o.spec.template.spec.containers[0].resources.requests.cpu = '1'),
    );
    t.strictSame(memory(admit(update(next, live), context(movedOn)).object), { function: '400Mi/800Mi' });
  });

  t.test(`containers of a ${kind} that are added, removed, renamed or reordered are a change`, async (t) => {
    const two = workload([container('function', '256Mi', '512Mi'), container('odgm', '64Mi', '64Mi')]);
    const liveTwo = created(two, applied());
    const next = (containers: JsonObject[]) =>
      admit(update(reapplied(workload(containers), liveTwo), liveTwo), context(movedOn));
    const [fn, odgm] = [container('function', '256Mi', '512Mi'), container('odgm', '64Mi', '64Mi')];
    t.strictSame(memory(next([fn, odgm]).object), { function: '224Mi/336Mi', odgm: '64Mi/64Mi' }, 'neither');
    t.strictSame(memory(next([odgm, fn]).object), { function: '400Mi/800Mi', odgm: '64Mi/64Mi' }, 'reordered');
    t.strictSame(memory(next([fn]).object), { function: '400Mi/800Mi' }, 'removed');
    t.match(memory(next([fn, odgm, container('third')]).object), { function: '400Mi/800Mi', third: '-/-' }, 'added');
    const renamed = next([container('renamed', '256Mi', '512Mi'), odgm]);
    t.strictSame(memory(renamed.object), { renamed: '256Mi/512Mi', odgm: '64Mi/64Mi' });
    t.strictSame(remembered(renamed.object), undefined, 'a container that is gone is forgotten');
  });

  t.test(`a rollout request by the worker brings a ${kind} today's values`, async (t) => {
    const asked = edited(live, (o) => (o.metadata.annotations[ROLLOUT_ANNOTATION] = 'd1'));
    const own = admit(update(asked, live, { username: OWN_ACCOUNT }), context(movedOn));
    t.strictSame(memory(own.object), { function: '400Mi/800Mi' });
    t.equal(own.reason, 'injected');
    const again = edited(asked, (o) => (o.metadata.annotations.team = 'a'));
    const same = admit(update(again, asked, { username: OWN_ACCOUNT }), context(movedOn));
    t.strictSame(same.operations, [], 'a request that was there before asks for nothing');
  });

  t.test(`a rollout request by anybody else is only metadata of a ${kind}`, async (t) => {
    const asked = edited(live, (o) => (o.metadata.annotations[ROLLOUT_ANNOTATION] = 'd1'));
    t.strictSame(admit(update(asked, live, { username: 'ann' }), context(movedOn)).operations, []);
    const nobody = context(movedOn, { ownAccount: undefined });
    for (const username of ['', 'undefined', OWN_ACCOUNT]) {
      t.strictSame(admit(update(asked, live, { username }), nobody).operations, [], 'no own account is configured');
    }
    const gone = edited(asked, (o) => delete o.metadata.annotations[ROLLOUT_ANNOTATION]);
    t.strictSame(admit(update(gone, asked, { username: OWN_ACCOUNT }), context(movedOn)).operations, [], 'taken away');
  });

  t.test(`an override reaches a ${kind} with any update, and changes nothing else`, async (t) => {
    const record = applied('400Mi', '800Mi', { overrides: { function: { limit: '512Mi' } } });
    const annotated = edited(live, (o) => (o.metadata.annotations.team = 'a'));
    const { object, reason } = admit(update(annotated, live), context(record));
    t.strictSame(memory(object), { function: '224Mi/512Mi' });
    t.equal(reason, 'injected');
    t.strictSame(remembered(object), { function: { request: { set: '224Mi', was: '256Mi' } } });
  });

  t.test(`an override that does not fit the applied value that runs in a ${kind} wins over it`, async (t) => {
    const record = applied('400Mi', '800Mi', { overrides: { function: { request: '500Mi' } } });
    const annotated = edited(live, (o) => (o.metadata.annotations.team = 'a'));
    const { object } = admit(update(annotated, live), context(record));
    t.strictSame(memory(object), { function: '500Mi/512Mi' });
  });

  t.test(`an override that nothing makes acceptable leaves what runs in a ${kind}`, async (t) => {
    const record = applied('400Mi', '800Mi', { overrides: { function: { request: '1Gi' } } });
    const annotated = edited(live, (o) => (o.metadata.annotations.team = 'a'));
    t.strictSame(admit(update(annotated, live), context(record)).operations, []);
    t.strictSame(admit(update(reapplied(manifest, live), live), context(record)).object, live);
  });

  t.test(`while the store is not ready a ${kind} keeps what runs, as long as its template stays`, async (t) => {
    const starting = context(undefined, { storeReady: false });
    t.strictSame(admit(update(reapplied(manifest, live), live), starting).object, live);
    const next = edited(
      reapplied(manifest, live),
      (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'),
    );
    const changed = admit(update(next, live), starting);
    t.strictSame(changed.operations, []);
    t.equal(changed.reason, 'store-not-ready');
    const untouched = workload([container('function', '256Mi', '512Mi')]);
    t.equal(admit(update(untouched, untouched), starting).reason, 'store-not-ready');
  });

  t.test(`a ${kind} that ran before the tuner came is left alone until its template changes`, async (t) => {
    const annotated = edited(manifest, (o) => (o.metadata.annotations = { team: 'a' }));
    t.strictSame(admit(update(annotated, manifest), context(movedOn)).operations, []);
    const next = edited(manifest, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
    t.strictSame(memory(admit(update(next, manifest), context(movedOn)).object), { function: '400Mi/800Mi' });
  });
}

t.test('an override does not enter a pod whose memory is bounded as a whole', async (t) => {
  const manifest = deployment([container('function', '256Mi', '512Mi')], { resources: { limits: { memory: '1Gi' } } });
  const record = tuning({ overrides: { function: { limit: '2Gi' } } });
  const annotated = edited(manifest, (o) => (o.metadata.annotations = { team: 'a' }));
  const { operations } = admit(update(annotated, manifest), context(record));
  t.strictSame(operations, [], 'as it would not on a create');
});

t.test('an update without an old object is treated as a change', async (t) => {
  const manifest = deployment([container('function', '256Mi', '512Mi')]);
  t.strictSame(memory(admit(update(manifest, undefined), context(movedOn)).object), { function: '400Mi/800Mi' });
});

t.test('a manifest that names only the request does not end up below it with our limit', async (t) => {
  // Applied again, the request is the manifest's while the limit that we added stays: nobody owns it.
  const manifest = deployment([container('function', '512Mi')]);
  const live = created(manifest, applied('224Mi', '336Mi'));
  const half = edited(live, (o) => {
    o.spec.template.spec.containers[0].resources.requests.memory = '512Mi';
    o.spec.template.spec.containers[0].image = 'registry/function:2';
  });
  const off = admit(update(half, live), context(tuning()));
  t.strictSame(memory(off.object), { function: '512Mi/-' }, 'switched off');
  const impossible = admit(update(half, live), context(tuning({ overrides: { function: { limit: '100Mi' } } })));
  t.strictSame(memory(impossible.object), { function: '512Mi/-' }, 'the override cannot be, the manifest can');
  const pod = (object: JsonObject) =>
    edited(object, (o) => (o.spec.template.spec.resources = { limits: { memory: '1Gi' } }));
  const bounded = admit(update(pod(half), live), context(applied()));
  t.strictSame(memory(bounded.object), { function: '512Mi/-' }, 'pod-level memory appeared');
});

t.test('an edit of our annotation rolls nothing and loses nothing', async (t) => {
  const live = created(deployment([container('function', '256Mi', '512Mi')]), applied());
  for (const text of ['{}', '{"other":{}}', 'nonsense', '{"function":{"request":{"set":"224Mi","was":"1Gi"}}}']) {
    const next = edited(live, (o) => (o.metadata.annotations['tuning.oaas.io/applied'] = text));
    const { object } = admit(update(next, live), context(applied('400Mi', '600Mi')));
    t.strictSame(memory(object), { function: '224Mi/336Mi' }, text);
    t.strictSame(remembered(object), remembered(live), text);
  }
});
