/** What Knative accepts of several settings together, and within a cluster's bounds; single values: `record/knative-wishes`. */
import t from 'tap';
import type { Json } from '../../src/domain/json.ts';
import { OWN_BOUNDS, readBounds, refusals } from '../../src/domain/knative-rules.ts';
import { AUTOSCALING, dashed, settingsOf, spelledIn } from '../../src/domain/scaling-settings.ts';

const settings = (says: { [key: string]: Json }) =>
  new Map(
    Object.entries(says).map(([key, value]) => [key === 'containerConcurrency' ? key : AUTOSCALING + key, value]),
  );
/** The names of what is refused, without their prefix. */
const refused = (says: { [key: string]: Json }, bounds = OWN_BOUNDS) =>
  [...refusals(settings(says), bounds).keys()].map((key) => key.replace(AUTOSCALING, ''));
const bounds = (defaults: Record<string, string>, autoscaler: Record<string, string> = {}) =>
  readBounds({ defaults, autoscaler });

t.test('a cluster that says nothing has the bounds of Knative itself; nonsense counts as nothing', async (t) => {
  t.strictSame(OWN_BOUNDS, {
    mostConcurrency: 1000,
    unlimitedConcurrency: true,
    mostScale: 0,
    zeroInitialScale: false,
    autoscalerClass: 'kpa.autoscaling.knative.dev',
  });
  const nonsense = { 'container-concurrency-max-limit': 'many', 'allow-container-concurrency-zero': 'perhaps' };
  t.strictSame(bounds(nonsense, { 'max-scale-limit': '-1', 'pod-autoscaler-class': '' }), OWN_BOUNDS);
});

t.test('yes and no are spelled as Go reads them', async (t) => {
  for (const no of ['false', 'False', '0', 'f']) {
    t.equal(bounds({ 'allow-container-concurrency-zero': no }).unlimitedConcurrency, false, no);
  }
  for (const yes of ['true', 'TRUE', '1', 'T']) {
    t.equal(bounds({}, { 'allow-zero-initial-scale': yes }).zeroInitialScale, true, yes);
  }
});

t.test('the hard limit is within those of the cluster', async (t) => {
  const strict = bounds({ 'container-concurrency-max-limit': '50', 'allow-container-concurrency-zero': 'false' });
  for (const hard of [0, 1000]) t.strictSame(refused({ containerConcurrency: hard }), []);
  for (const hard of [-1, 1001, 1.5, '5', true]) {
    t.strictSame(refused({ containerConcurrency: hard }), ['containerConcurrency'], String(hard));
  }
  for (const hard of [1, 50]) t.strictSame(refused({ containerConcurrency: hard }, strict), []);
  for (const hard of [0, 51]) t.strictSame(refused({ containerConcurrency: hard }, strict), ['containerConcurrency']);
});

t.test('scales fit each other, and the cluster', async (t) => {
  t.strictSame(refused({ 'min-scale': '3', 'max-scale': '3' }), []);
  t.strictSame(refused({ 'min-scale': '4', 'max-scale': '0' }), [], 'no maximum');
  t.strictSame(refused({ 'min-scale': '4', maxScale: '3' }), ['maxScale', 'min-scale']);
  const most = bounds({}, { 'max-scale-limit': '10' });
  t.strictSame(refused({ 'max-scale': '10' }, most), []);
  t.strictSame(refused({}, most), [], 'the cluster has its own default then');
  for (const max of ['0', '11']) t.strictSame(refused({ 'max-scale': max }, most), ['max-scale']);
  t.strictSame(refused({ 'initial-scale': '0' }), ['initial-scale']);
  t.strictSame(refused({ 'initial-scale': '0' }, bounds({}, { 'allow-zero-initial-scale': 'true' })), []);
  t.strictSame(refused({ 'activation-scale': '3', 'min-scale': '3', 'max-scale': '3' }), []);
  t.strictSame(refused({ 'activation-scale': '3', 'min-scale': '4' }), ['activation-scale', 'min-scale']);
  t.strictSame(refused({ 'activation-scale': '3', 'max-scale': '2' }), ['activation-scale', 'max-scale']);
});

t.test('a metric is one that the class knows', async (t) => {
  for (const metric of ['concurrency', 'rps']) t.strictSame(refused({ metric }), []);
  t.strictSame(refused({ metric: 'cpu' }), ['metric']);
  t.strictSame(refused({ metric: 'cpu', class: 'hpa.autoscaling.knative.dev' }), []);
  t.strictSame(refused({ metric: 'cpu', class: 'own.example.com' }), []);
  t.strictSame(refused({ metric: 'cpu' }, bounds({}, { 'pod-autoscaler-class': 'hpa.autoscaling.knative.dev' })), []);
  const kpa = { class: 'kpa.autoscaling.knative.dev' };
  t.strictSame(refused({ ...kpa, 'metric-aggregation-algorithm': 'linear' }), []);
  t.strictSame(refused({ ...kpa, metricAggregationAlgorithm: 'mine' }), ['metricAggregationAlgorithm', 'class']);
  t.strictSame(refused({ metricAggregationAlgorithm: 'mine' }), []);
});

t.test('of two spellings the one that does not count is not judged', async (t) => {
  t.strictSame(refused({ targetBurstCapacity: 'x', 'target-burst-capacity': '1' }), []);
  t.strictSame(refused({ targetBurstCapacity: 'x' }), ['targetBurstCapacity']);
  const [name, camel] = [`${AUTOSCALING}target-burst-capacity`, `${AUTOSCALING}targetBurstCapacity`];
  t.strictSame([dashed(camel), dashed(name), dashed('target')], [name, name, 'target']);
  t.equal(spelledIn(new Map([[camel, '1']]), name), camel);
  t.equal(spelledIn(new Map(), name), name);
});

t.test('annotations are text', async (t) => {
  t.strictSame(refused({ target: 5 }), ['target']);
  t.strictSame(refused({ unknown: {} }), ['unknown']);
});

t.test('whatever a template holds, its settings can be read', async (t) => {
  for (const template of [undefined, null, 7, {}, { metadata: null, spec: [] }, { metadata: { annotations: 'x' } }]) {
    t.equal(settingsOf({ spec: { template } }).size, 0);
  }
  const annotations = { [`${AUTOSCALING}target`]: '5', [`${AUTOSCALING}class`]: null, other: 'x' };
  const template = { metadata: { annotations }, spec: { containerConcurrency: 0 } };
  t.strictSame(
    [...settingsOf({ spec: { template } })],
    [
      ['containerConcurrency', 0],
      [`${AUTOSCALING}target`, '5'],
    ],
  );
});
