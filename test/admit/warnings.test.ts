/** What `kubectl apply` prints. */
import t from 'tap';
import { subjectOf } from '../../src/admit/warnings.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Tuning } from '../../src/domain/record.ts';
import {
  admit,
  applied,
  container,
  context,
  create,
  created,
  deployment,
  edited,
  reapplied,
  service,
  tuning,
  update,
} from './objects.ts';

const manifest = deployment([container('function', '256Mi', '512Mi')]);
const warnings = (record: Tuning | undefined, object = manifest) => admit(create(object), context(record)).warnings;

t.test('an injection says which container, from what, to what', async (t) => {
  t.strictSame(warnings(applied()), [
    'oaas-tuner: function memory 256Mi/512Mi -> 224Mi/336Mi (request/limit, applied in record orders)',
  ]);
  t.strictSame(warnings(applied(), deployment([container('function')])), [
    'oaas-tuner: function memory none/none -> 224Mi/336Mi (request/limit, applied in record orders)',
  ]);
});

t.test('values that are kept say what the manifest had asked for', async (t) => {
  const live = created(manifest, applied());
  const again = admit(update(reapplied(manifest, live), live), context(applied('400Mi', '800Mi')));
  t.strictSame(again.warnings, [
    'oaas-tuner: function memory stays 224Mi/336Mi, not 256Mi/512Mi: the pod template did not change',
  ]);
});

t.test('a workload whose record is missing says so when it is created or labelled, not at each update', async (t) => {
  t.strictSame(warnings(undefined), [
    'oaas-tuner: no record "orders" in namespace shop: memory stays as in the manifest',
  ]);
  const labelled = edited(manifest, (o) => (o.metadata.labels.team = 'a'));
  t.strictSame(admit(update(labelled, manifest), context(undefined)).warnings, []);
  const owned = edited(manifest, (o) => (o.metadata.labels['oaas.io/owner'] = 'oders'));
  t.strictSame(admit(update(owned, manifest), context(undefined)).warnings, [
    'oaas-tuner: no record "oders" in namespace shop: memory stays as in the manifest',
  ]);
});

t.test('a template that names its revision says why nothing happens, if the record wanted something', async (t) => {
  const named = edited(service([container('function')]), (o) => (o.spec.template.metadata = { name: 'orders-v1' }));
  t.match(warnings(applied(), named), [/names its revision.*memory and concurrency stay as in the manifest/]);
  t.strictSame(warnings(tuning(), named), []);
});

t.test('each container that is held back says why', async (t) => {
  const bounded = deployment([container('function', '256Mi', '512Mi')], { resources: { limits: { memory: '1Gi' } } });
  t.strictSame(warnings(applied(), bounded), [
    'oaas-tuner: function memory left alone (pod-level-memory): the pod sets memory for all its containers together (`spec.resources`)',
  ]);
});

const problem = (field: string, severity: 'error' | 'warning' = 'error') =>
  ({ field, message: 'must be a positive quantity such as 256Mi or 1Gi, was "lots"', severity }) as const;

t.test('a wish that cannot be meant is named, when something is decided', async (t) => {
  const record = applied('224Mi', '336Mi', {
    problems: [problem('overrides[function].limit'), problem('x', 'warning')],
  });
  t.strictSame(warnings(record).slice(1), [
    'oaas-tuner: record orders: overrides[function].limit must be a positive quantity such as 256Mi or 1Gi, was "lots"; ignored',
    'oaas-tuner: record orders: x must be a positive quantity such as 256Mi or 1Gi, was "lots"',
  ]);
  const live = created(manifest, record);
  const labelled = edited(live, (o) => (o.metadata.labels.team = 'a'));
  t.strictSame(admit(update(labelled, live), context(record)).warnings, [], 'not at each label');
});

t.test('a second call about the same apply says nothing about what is already done', async (t) => {
  const live = created(manifest, applied());
  t.strictSame(admit(create(live), context(applied())).warnings, []);
  const other = edited(live, (o) => (o.spec.template.spec.containers[0].image = 'b'));
  t.strictSame(admit(update(other, live), context(applied())).warnings, []);
});

const CONTROL = /\p{Cc}/u;

function isDelivered(t: typeof import('tap').default, lines: string[]) {
  t.ok(lines.length <= 10, 'at most ten lines');
  t.ok(
    lines.every((line) => [...line].length <= 256),
    'none is cut',
  );
  t.ok(lines.reduce((sum, line) => sum + [...line].length, 0) <= 4096, 'all of them fit');
  t.notOk(
    lines.some((line) => CONTROL.test(line)),
    'none is dropped for a control character',
  );
}

t.test('thirty containers end in a line that counts the rest', async (t) => {
  const containers = Array.from({ length: 30 }, (_, index) => container(`c${index}`, '256Mi', '512Mi'));
  const overrides = Object.fromEntries(containers.map(({ name }) => [name, { request: '100Mi' }]));
  const lines = warnings(tuning({ overrides }), deployment(containers));
  isDelivered(t as never, lines);
  t.equal(lines.length, 10);
  t.equal(lines.at(-1), 'oaas-tuner: and 21 more like these');
});

t.test('whatever the names and values are, the server delivers every line', async (t) => {
  const odd = ['\n', '\t\u0000\u007f\u0085', 'x'.repeat(5000), '😀'.repeat(5000), '\ud800', 'a"b\\c', '\u2028'];
  for (const text of odd) {
    const containers = Array.from({ length: 12 }, (_, index) => container(`${text}${index}`, text as Json, '512Mi'));
    const overrides = Object.fromEntries(containers.map(({ name }) => [name, { request: '100Mi' }]));
    isDelivered(t as never, warnings(tuning({ overrides }), service(containers)));
    const owner = edited(manifest, (o) => (o.metadata.labels['oaas.io/owner'] = text));
    isDelivered(t as never, warnings(undefined, owner));
    const record = applied('224Mi', '336Mi', { name: text, problems: Array.from({ length: 50 }, () => problem(text)) });
    isDelivered(t as never, warnings(record));
  }
});

t.test('a log line names the workload, whatever the object lacks', async (t) => {
  t.strictSame(subjectOf(create(manifest)), { kind: 'Deployment', namespace: 'shop', name: 'orders' });
  t.strictSame(subjectOf(create(service([]))), { kind: 'KnativeService', namespace: 'shop', name: 'orders' });
  t.strictSame(subjectOf(create(undefined)), { kind: 'other', namespace: 'shop', name: '' });
  const generated = edited(manifest, (o) => (o.metadata = { generateName: 'orders-' }));
  t.equal(subjectOf(create(generated)).name, 'orders-');
  const hostile: JsonObject = { kind: { toString: 1, valueOf: 1 }, metadata: { name: { toString: 1, valueOf: 1 } } };
  t.strictSame(subjectOf(create(hostile)), { kind: 'other', namespace: 'shop', name: '' });
});
