import t from 'tap';
import type { Problem } from '../../src/domain/record.ts';
import { memoryStatus } from '../../src/record/status.ts';
import { NOW } from '../recommend/rules.ts';
import { found, report } from './records.ts';

const phase = (says: Parameters<typeof report>[0]) => {
  const status = memoryStatus(report(says), 'orders', undefined, [], NOW);
  return [status.phase, status.message];
};
const bad: Problem = { field: 'spec.nfr.x', message: 'must be y, was z', severity: 'error' };
const unmeasured = { observed: undefined } as never;
const fitting = { recommended: undefined } as never;

t.test('tuning that is off says how to switch it on, whatever else there is', async (t) => {
  t.same(phase({ enabled: false, problems: [bad], trouble: 'x' }), [
    'Disabled',
    'Memory tuning is off; spec.nfr.memory_tuning.enabled: true switches it on.',
  ]);
});

t.test('a wish that cannot be meant degrades the record, and the message quotes it', async (t) => {
  t.same(phase({ problems: [bad], trouble: 'x' }), [
    'Degraded',
    'spec.nfr.x must be y, was z; it is ignored until it is corrected. x.',
  ]);
  t.match(phase({ problems: [bad, bad, bad] })[1], /corrected \(and 2 more\)\.$/);
});

t.test('a warning degrades nothing', async (t) => {
  t.equal(phase({ problems: [{ ...bad, severity: 'warning' }] })[0], 'Recommending');
});

t.test('trouble with Prometheus degrades the record while the last recommendations stand', async (t) => {
  t.same(phase({ trouble: 'Prometheus does not answer' }), [
    'Degraded',
    'Prometheus does not answer; the last recommendations stand.',
  ]);
});

t.test('a record without workloads names the label that is missing', async (t) => {
  t.same(phase({ workloads: 0, containers: [] }), [
    'NoData',
    'No Deployment or Knative Service here carries the label oaas.io/owner: orders.',
  ]);
});

t.test('a record without any samples says so', async (t) => {
  t.same(phase({ containers: [found(unmeasured), found(unmeasured)] }), [
    'NoData',
    'Prometheus has no recent memory samples of these containers.',
  ]);
});

t.test('values that fit are only observed', async (t) => {
  t.same(phase({ containers: [found(fitting)] }), ['Observing', 'The current values fit what is used.']);
});

t.test('recommendations are counted, and the message says what lets them be applied', async (t) => {
  t.same(phase({ containers: [found(), found(fitting)] }), [
    'Recommending',
    'There are recommendations for 1 of 2 containers; spec.nfr.memory_tuning.enforce: true lets them be applied.',
  ]);
});

t.test('an enforced record is Enforcing', async (t) => {
  t.equal(phase({ enforced: true })[0], 'Enforcing');
});

t.test('containers without samples are counted in every other phase', async (t) => {
  for (const says of [{}, { enforced: true }, { containers: [found(fitting)] }]) {
    const { containers = [found()] } = report(says);
    t.match(
      phase({ ...says, containers: [...containers, found(unmeasured)] })[1],
      / 1 of 2 containers have no samples/,
    );
  }
});
