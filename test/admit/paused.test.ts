/** The pause takes applied values out of force, and nothing else. */
import t from 'tap';
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
  OWN_ACCOUNT,
  update,
} from './objects.ts';

const manifest = deployment([container('function', '256Mi', '512Mi')]);
const PAUSED = { 'tuning.oaas.io/paused': 'true' };
const pausedObject = edited(manifest, ({ metadata }) => {
  metadata.annotations = PAUSED;
});
const request = (object: typeof manifest, more = {}) =>
  update(
    edited(object, ({ metadata }) => {
      metadata.annotations = { ...metadata.annotations, 'tuning.oaas.io/rollout': 'next', ...more };
    }),
    object,
    { username: OWN_ACCOUNT },
  );

t.test('a workload, its record or its namespace', async (t) => {
  t.strictSame(memory(created(manifest, applied())), { function: '224Mi/336Mi' });
  t.strictSame(memory(created(pausedObject, applied())), { function: '256Mi/512Mi' });
  t.strictSame(memory(created(manifest, applied('224Mi', '336Mi', { paused: true }))), { function: '256Mi/512Mi' });
  t.strictSame(memory(created(manifest, applied(), { namespacePaused: true })), { function: '256Mi/512Mi' });
});

t.test('overrides stay in force', async (t) => {
  const record = applied('224Mi', '336Mi', { paused: true, overrides: { function: { limit: '900Mi' } } });
  t.strictSame(memory(created(pausedObject, record, { namespacePaused: true })), { function: '256Mi/900Mi' });
});

t.test('the pause itself changes nothing that runs; the next template change gives the manifest back', async (t) => {
  const live = created(manifest, applied());
  const paused = edited(live, ({ metadata }) => {
    Object.assign(metadata.annotations, PAUSED);
  });
  const kept = admit(update(paused, live), context(applied())).object;
  t.strictSame(memory(kept), { function: '224Mi/336Mi' });
  const restarted = edited(kept, ({ spec }) => {
    spec.template.metadata.annotations = { restartedAt: 'now' };
  });
  t.strictSame(memory(admit(update(restarted, kept), context(applied())).object), { function: '256Mi/512Mi' });
});

t.test('a request for a rollout brings applied values, and where none are in force it is only metadata', async (t) => {
  const live = created(manifest, applied('300Mi', '400Mi'));
  t.strictSame(memory(admit(request(live), context(applied())).object), { function: '224Mi/336Mi' });
  const off = [applied('224Mi', '336Mi', { enforce: false }), applied('224Mi', '336Mi', { paused: true })];
  for (const record of off)
    t.strictSame(memory(admit(request(live), context(record)).object), { function: '300Mi/400Mi' });
  const asked = admit(request(live), context(applied(), { namespacePaused: true }));
  t.strictSame(memory(asked.object), { function: '300Mi/400Mi' });
  t.strictSame(memory(admit(create(live), context(off[0])).object), { function: '256Mi/512Mi' });
});
