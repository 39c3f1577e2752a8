import t from 'tap';
import type { Json } from '../../src/domain/json.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { checkRecord, readTuning } from '../../src/record/wishes.ts';
import { withAnnotation, withKnativeOverrides } from './records.ts';

const PATH = 'spec.nfr.knative_tuning.overrides';
const words = (record: RecordResource) => checkRecord(record).map(({ field, message }) => `${field} ${message}`);
const says = (key: string, allowed: string, value: string) =>
  `${PATH}.annotations autoscaling.knative.dev/${key} must be ${allowed}, was "${value}"`;

t.test('containerConcurrency is a whole number between 0 (unlimited) and 1000', async (t) => {
  for (const value of [0, 1, 1000]) t.same(words(withKnativeOverrides({ containerConcurrency: value })), []);
  for (const value of [-1, 1001, 1.5, '10', true, []] as Json[]) {
    t.same(words(withKnativeOverrides({ containerConcurrency: value })), [
      `${PATH}.containerConcurrency must be a whole number between 0 and 1000, was ${JSON.stringify(value)}`,
    ]);
  }
});

t.test('nothing said is nothing wrong', async (t) => {
  for (const value of [undefined, null, {}, { containerConcurrency: null, annotations: null }] as Json[]) {
    t.same(words(withKnativeOverrides(value)), []);
  }
});

t.test('what should be an object and is not, is named', async (t) => {
  t.same(words(withKnativeOverrides([])), [`${PATH} must be an object, was []`]);
  t.same(words(withKnativeOverrides({ annotations: 'target' })), [
    `${PATH}.annotations must be an object, was "target"`,
  ]);
  for (const name of ['', 'a b', '-a', 'a/b', 'x'.repeat(64)]) {
    t.match(words(withAnnotation(name, '1')), [/keys must be a name after autoscaling.knative.dev/], name);
  }
  t.same(words(withAnnotation('x'.repeat(63), '1')), [], 'what Knative may know one day');
});

t.test('an annotation is text under the autoscaling prefix', async (t) => {
  t.same(words(withKnativeOverrides({ annotations: { target: '5' } })), [
    `${PATH}.annotations keys must begin with autoscaling.knative.dev/, was "target"`,
  ]);
  t.same(words(withAnnotation('target', 5)), [
    `${PATH}.annotations autoscaling.knative.dev/target must be a string, was 5`,
  ]);
  t.same(words(withAnnotation('target', null)), [
    `${PATH}.annotations autoscaling.knative.dev/target must be a string, was null`,
  ]);
});

t.test('each annotation is judged at its bounds as Knative judges it', async (t) => {
  const rules: [keys: string[], allowed: string[], refused: string[], words: string][] = [
    [
      ['target'],
      ['0.01', '.5', '1', '200', '+7', '1.', '1e2', '1E-2'],
      ['0.009', '0', '-1', 'ten', '', ' 1', '.'],
      'a number of at least 0.01',
    ],
    [
      ['target-utilization-percentage', 'targetUtilizationPercentage'],
      ['1', '100', '70.5'],
      ['0.99', '100.1', '70%'],
      'a number between 1 and 100',
    ],
    [
      ['target-burst-capacity', 'targetBurstCapacity'],
      ['-1', '0', '200'],
      ['-0.5', '-2', 'x'],
      'a number of at least 0, or -1',
    ],
    [
      ['min-scale', 'minScale', 'max-scale', 'maxScale', 'initial-scale', 'initialScale'],
      ['0', '1', '999999999'],
      ['-1', '1.5', '', 'x'],
      'a whole number of at least 0',
    ],
    [['activation-scale'], ['2', '9'], ['1', '0', '2.0'], 'a whole number of at least 2'],
    [['panic-window-percentage', 'panicWindowPercentage'], ['1', '100'], ['0.9', '101'], 'a number between 1 and 100'],
    [
      ['panic-threshold-percentage', 'panicThresholdPercentage'],
      ['110', '1000'],
      ['109.9', '1001'],
      'a number between 110 and 1000',
    ],
    [
      ['window'],
      ['6s', '1h', '1m30s', '0.5m', '60000ms', '59m60s'],
      ['5s', '3601s', '6500ms', '6.5s', '60', '1d', '', '-10s', '1h1s', '0'],
      'a duration between 6s and 1h in whole seconds',
    ],
    [
      ['scale-down-delay', 'scaleDownDelay'],
      ['0', '0s', '1h'],
      ['1.5s', '61m'],
      'a duration between 0s and 1h in whole seconds',
    ],
    [
      ['scale-to-zero-pod-retention-period', 'scaleToZeroPodRetentionPeriod'],
      ['0', '1.5s', '1h'],
      ['61m', 'x'],
      'a duration between 0s and 1h',
    ],
    [['metric'], ['concurrency', 'rps', 'cpu'], [''], 'the name of a metric'],
    [
      ['class'],
      ['kpa.autoscaling.knative.dev', 'hpa.autoscaling.knative.dev', 'mine.example.com'],
      ['vpa.autoscaling.knative.dev', '.knative.dev'],
      'kpa.autoscaling.knative.dev or hpa.autoscaling.knative.dev',
    ],
  ];
  for (const [keys, allowed, refused, allowedWords] of rules) {
    for (const key of keys) {
      for (const value of allowed) t.same(words(withAnnotation(key, value)), [], `${key}: ${value}`);
      for (const value of refused) t.same(words(withAnnotation(key, value)), [says(key, allowedWords, value)]);
    }
  }
});

t.test('one wrong annotation does not hide the next, nor a wrong concurrency', async (t) => {
  const record = withKnativeOverrides({
    containerConcurrency: 1001,
    annotations: { 'autoscaling.knative.dev/target': '0', other: 'x', 'autoscaling.knative.dev/minScale': '1' },
  });
  t.equal(words(record).length, 3);
});

t.test('what can be meant is read, and what cannot is left out', async (t) => {
  const read = (overrides: Json) => {
    const { containerConcurrency, annotations } = readTuning(withKnativeOverrides(overrides)).concurrency.overrides;
    return { containerConcurrency, annotations: { ...annotations } };
  };
  const target = { 'autoscaling.knative.dev/target': '70' };
  t.same(read({ containerConcurrency: 0, annotations: { ...target, target: '5' } }), {
    containerConcurrency: 0,
    annotations: target,
  });
  t.same(read({ containerConcurrency: 1001, annotations: 'target' }), {
    containerConcurrency: undefined,
    annotations: {},
  });
});
