import t from 'tap';
import { answer } from '../../src/admit/review.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { admit, applied, container, context, create, deployment, edited, freeze, service, tuning } from './objects.ts';

const manifest = deployment([container('function', '256Mi', '512Mi')]);

t.test('an object that stays as it is gets exactly uid and allowed', async (t) => {
  const { review, reason, operations } = answer(create(manifest), context(tuning()));
  t.strictSame(review, {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: '7f0b2c1e', allowed: true },
  });
  t.equal(reason, 'as-it-is');
  t.strictSame(operations, []);
});

t.test('a changed object gets a base64 JSON Patch together with its type', async (t) => {
  const { review, reason, operations } = answer(create(manifest), context(applied()));
  t.strictSame(Object.keys(review.response).sort(), ['allowed', 'patch', 'patchType', 'uid', 'warnings']);
  t.equal(review.response.patchType, 'JSONPatch');
  t.strictSame(JSON.parse(Buffer.from(review.response.patch ?? '', 'base64').toString()), operations);
  t.equal(reason, 'injected');
});

t.test('what is skipped gets neither patch nor patch type', async (t) => {
  for (const object of [undefined, {}, { kind: 'Deployment' }, edited(manifest, (o) => delete o.metadata.labels)]) {
    const { response } = answer(create(object), context(applied())).review;
    t.strictSame(response, { uid: '7f0b2c1e', allowed: true });
  }
});

t.test('a decider that throws still says yes, with one warning and no patch', async (t) => {
  const broken: JsonObject = {
    get apiVersion(): Json {
      throw new Error('a defect');
    },
  };
  const { review, reason, error, operations } = answer(create(broken), context(applied()));
  t.strictSame(review.response, {
    uid: '7f0b2c1e',
    allowed: true,
    warnings: ['oaas-tuner: an internal error; the object was admitted unchanged'],
  });
  t.equal(reason, 'internal-error');
  t.match(error, { message: 'a defect' });
  t.strictSame(operations, []);
});

t.test('a manifest nested ten thousand deep is admitted unchanged', async (t) => {
  const deep = (): Json => JSON.parse('['.repeat(10_000) + ']'.repeat(10_000));
  const object = service([container('function', '256Mi', '512Mi', { env: deep() })]);
  const old = service([container('function', '256Mi', '512Mi', { env: deep() })]);
  const { review, reason } = answer({ ...create(object), operation: 'UPDATE', oldObject: old }, context(applied()));
  t.equal(reason, 'internal-error');
  t.equal(review.response.allowed, true);
  t.equal(review.response.patch, undefined);
  t.equal(review.response.warnings?.length, 1);
});

t.test('a dry run gets the same answer, and so does the same review asked twice', async (t) => {
  const [first, second] = [1, 2].map(() => answer(create(manifest), context(applied())));
  t.strictSame(first?.review, second?.review);
});

t.test('the review and the record are never changed by looking at them', async (t) => {
  const request = create(edited(manifest, (o) => (o.metadata.annotations = { 'tuning.oaas.io/applied': '{}' })));
  const [before, record] = [structuredClone(request), context(applied())];
  const { reason } = admit(freeze(request), freeze(record));
  t.equal(reason, 'injected', 'a write to the frozen inputs would have been an internal error');
  t.strictSame(request, before);
});
