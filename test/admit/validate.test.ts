/** `POST /validate`: what a person wrote into a record is refused where it is written, in words that help. */
import t from 'tap';
import { validate } from '../../src/admit/validate.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { create, update } from './objects.ts';

function record(memory: Json, knative?: Json): JsonObject {
  const nfr: JsonObject = { memory_tuning: memory };
  if (knative !== undefined) nfr.knative_tuning = { overrides: knative };
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name: 'orders', namespace: 'shop' },
    spec: { nfr },
  };
}

const overriding = (override: Json, name = 'function') => record({ overrides: { [name]: override } });
const PATH = 'spec.nfr.memory_tuning.overrides';

t.test('a record that can be meant is admitted with exactly uid and allowed', async (t) => {
  const good = record(
    {
      enabled: true,
      enforce: false,
      overrides: { function: { request: '256Mi', limit: '1Gi' }, 'orders/function': { limit: '1e9' } },
    },
    { containerConcurrency: 10, annotations: { 'autoscaling.knative.dev/target': '5' } },
  );
  t.strictSame(validate(create(good)), {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: '7f0b2c1e', allowed: true },
  });
});

t.test('a wish that cannot be meant is refused with the field, the value and what is allowed', async (t) => {
  const { response } = validate(create(overriding({ request: '64mi' })));
  t.strictSame(response, {
    uid: '7f0b2c1e',
    allowed: false,
    status: {
      code: 422,
      reason: 'Invalid',
      message: `${PATH}[function].request: Invalid value: must be a positive quantity such as 256Mi or 1Gi, was "64mi"`,
      details: {
        causes: [
          {
            reason: 'FieldValueInvalid',
            field: `${PATH}[function].request`,
            message: 'Invalid value: must be a positive quantity such as 256Mi or 1Gi, was "64mi"',
          },
        ],
      },
    },
  });
});

t.test('every wrong wish is told at once', async (t) => {
  const wrong = record(
    { enabled: 'yes', overrides: { a: { request: '2Gi', limit: '1Gi' }, b: { limit: '0' }, 'A B': {} } },
    { containerConcurrency: 2000, annotations: { other: 'x', 'autoscaling.knative.dev/target': '0' } },
  );
  const { status, allowed } = validate(create(wrong)).response;
  t.equal(allowed, false);
  for (const words of [
    'must be true or false, was "yes"',
    `${PATH}[a]: Invalid value: request must not exceed limit, was request "2Gi" and limit "1Gi"`,
    `${PATH}[b].limit: Invalid value: must be a positive quantity`,
    'keys must be a container name or workload/container, was "A B"',
    'must be a whole number between 0 and 1000, was 2000',
    'keys must begin with autoscaling.knative.dev/, was "other"',
    'autoscaling.knative.dev/target must be a number of at least 0.01, was "0"',
  ]) {
    t.ok(status?.message.includes(words), words);
  }
});

t.test('what was probably not meant is a warning, not a refusal', async (t) => {
  const { response } = validate(create(overriding({ request: '256m' })));
  t.equal(response.allowed, true);
  t.strictSame(response.warnings, [`${PATH}[function].request is below 4Mi, was "256m"`]);
});

t.test('a wrong value that was there before does not block an unrelated edit', async (t) => {
  const old = overriding({ request: 'lots' });
  const unrelated = record({ enforce: true, overrides: { function: { request: 'lots' } } });
  t.equal(validate(update(unrelated, old)).response.allowed, true);
  t.equal(validate(update(overriding({ request: 'more' }), old)).response.allowed, false, 'another wrong value does');
  t.equal(validate(update(old, overriding({ request: '1Gi' }))).response.allowed, false, 'a new wrong value does');
  const second = record({ overrides: { function: { request: 'lots' }, odgm: { request: 'lots' } } });
  const { status } = validate(update(second, old)).response;
  t.match(status?.details, { causes: [{ field: `${PATH}[odgm].request` }] }, 'only what is new is named');
});

t.test('a delete is never refused', async (t) => {
  const wrong = overriding({ request: 'lots' });
  t.equal(validate(create(undefined, { operation: 'DELETE', oldObject: wrong })).response.allowed, true);
  t.equal(validate(create(wrong, { operation: 'CONNECT' })).response.allowed, true);
});

t.test('garbage is either fine or refused with words, and never throws', async (t) => {
  for (const object of [
    undefined,
    {},
    { spec: null },
    { spec: 'x' },
    { spec: { nfr: [] } },
    record(null),
    record([]),
  ]) {
    t.strictSame(validate(create(object as JsonObject)).response, { uid: '7f0b2c1e', allowed: true });
  }
  for (const object of [
    record({ overrides: [] }),
    record({ overrides: 'x' }),
    overriding(null),
    overriding('1Gi'),
    overriding({ request: {} }),
    overriding({ limit: 5 }),
    record({ enabled: {} }),
    record({}, 7),
    record({}, { annotations: [] }),
    record({}, { containerConcurrency: '7' }),
  ]) {
    const { allowed, status } = validate(create(object)).response;
    t.equal(allowed, false, JSON.stringify(object.spec));
    t.equal(status?.code, 422);
    t.match(status?.message, /^spec\.nfr\.\S+: Invalid value: /);
  }
});

t.test('warnings stay within what the server delivers', async (t) => {
  const overrides = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`${'w'.repeat(400)}/c${i}`, { request: '1' }]),
  );
  const { warnings = [] } = validate(create(record({ overrides }))).response;
  t.ok(warnings.length > 0 && warnings.length <= 10);
  t.ok(warnings.every((line) => [...line].length <= 256));
});

t.test('a record nested absurdly deep is refused, not answered with a failure', async (t) => {
  const deep: Json = JSON.parse('['.repeat(10_000) + ']'.repeat(10_000));
  for (const object of [record({ enabled: deep }), record({ overrides: deep }), overriding(deep), record({}, deep)]) {
    const { allowed, status } = validate(create(object)).response;
    t.equal(allowed, false);
    t.ok((status?.message ?? '').length < 1000);
  }
});
