import t from 'tap';
import { Gi, Mi } from '../../src/domain/quantity.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { drawExplanation, explain, type Running } from '../../src/record/explain.ts';
import { steady, values } from '../recommend/looks.ts';
import { rulesFrom } from '../recommend/rules.ts';
import { live, memoryOfRecord, moment } from './lives.ts';
import { recordOf } from './records.ts';

const SEED = { usage: steady(110, 180, 210) };
const orders = () => live(values(256, 512), [moment(SEED)]);

/** `function` of `Deployment/orders` as it stands in the cluster. */
const runs = (memory: Running['memory'], wanted = memory, because = 'applied'): Running[] => [
  { workload: 'Deployment/orders', container: 'function', memory, wanted, because },
];
const drawn = (record: RecordResource, running?: Running[]) =>
  drawExplanation(explain(record, running, rulesFrom)).split('\n');
/** The lines with a cross, without the cross. */
const crosses = (record: RecordResource, running?: Running[]) =>
  drawn(record, running).flatMap((line) => (line.includes('✗ ') ? [line.trim().replace(/^✗ (\w+) +/, '$1 ')] : []));

t.test('each number with what it was made from, the rule that decided, the bounds, and what runs', async (t) => {
  t.same(drawn(orders(), runs({ request: '256Mi', limit: '512Mi' }, { request: '224Mi', limit: '368Mi' })), [
    'shop/orders Enforcing, observed at 2026-01-31T10:31:00.000Z',
    '',
    'Deployment/orders function',
    '  ✓ observed     average 110Mi, p95 180Mi, max 210Mi over 6h',
    '  ✓ recommended  224Mi/336Mi since 2026-01-31T10:31:00.000Z',
    '                 from average 110Mi, p95 180Mi, max 210Mi, running 256Mi/512Mi',
    '                 p95-based with 20% headroom: 216Mi, 324Mi',
    '                 rounded to 224Mi and 336Mi',
    '  ✓ applied      224Mi/368Mi since 2026-01-31T10:31:00.000Z',
    '                 from average 110Mi, p95 180Mi, max 210Mi, running 256Mi/512Mi',
    '                 applied 224Mi/368Mi towards 224Mi/336Mi',
    '                 at most 30% a step, limit from 512Mi',
    '  ✓ source       applied',
    '  ✗ runs         256Mi/512Mi (applied): 224Mi/368Mi waits for a change of the pod template',
    '',
    'kubectl get',
    '  ✓ request      224Mi',
    '  ✓ limit        368Mi',
    '',
    'History',
    '  ✓ recommended  Deployment/orders function 256Mi/512Mi -> 224Mi/336Mi at 2026-01-31T10:31:00.000Z',
    '  ✓ applied      Deployment/orders function 256Mi/512Mi -> 224Mi/368Mi at 2026-01-31T10:31:00.000Z',
    '',
    '1 line does not match: see ✗.',
  ]);
});

t.test('rolled out, every number matches', async (t) => {
  const record = live(values(256, 512), [moment(SEED), moment({ ...SEED, minutes: 1 })]);
  t.same(crosses(record, runs({ request: '224Mi', limit: '368Mi' })), []);
  t.equal(drawn(record, runs({ request: '224Mi', limit: '368Mi' })).at(-1), 'Every number is explained, and matches.');
});

t.test('the settings of a decision are named, and a later change of them does not unsettle it', async (t) => {
  const rules = rulesFrom({ OPRC_CRM_STEP_PERCENT: '50', OPRC_CRM_LIMIT_MAX_FACTOR: '1.75' });
  const record = live(values(256, 512), [
    moment({ ...SEED, rules }),
    moment({ ...SEED, minutes: 1, rolledOut: false }),
  ]);
  t.same(crosses(record, runs({ request: '256Mi', limit: '512Mi' })), []);
  t.match(drawn(record).join('\n'), 'running 256Mi/512Mi, OPRC_CRM_STEP_PERCENT=50, OPRC_CRM_LIMIT_MAX_FACTOR=1.75');
});

t.test('everything that bounded a decision is named beside it', async (t) => {
  const usage = { ...steady(110, 180, 210), oomLimit: 512 * Mi };
  const bounded = moment({ usage, range: { max: 320 * Mi }, override: { limit: '300Mi' } });
  const lines = drawn(live({ limit: 512 * Mi }, [moment(SEED), { ...bounded, rolledOut: false }])).join('\n');
  t.match(lines, 'override -/300Mi, recommended before 336Mi/336Mi, applied before 368Mi/368Mi, OOM killed at 512Mi');
  t.match(lines, 'LimitRange {"max":"320Mi"}');
});

t.test('doubtful data is told with its reason, and decides the same again', async (t) => {
  const few = {
    short: { avg: 1, p95: 1, max: Gi, samples: 3 },
    long: { avg: 1, p95: 1, max: Gi, samples: 3 },
    partial: false,
  };
  const record = live(values(64, 128), [moment({ usage: few })]);
  t.match(drawn(record).join('\n'), 'doubt: only 3 of the 20 samples that 10m hold');
  t.same(crosses(record, runs({ request: '64Mi', limit: '128Mi' })), []);
});

t.test('a number that somebody changed is named, with the one that it should be', async (t) => {
  const tampered = orders();
  const [container] = memoryOfRecord(tampered).containers;
  Object.assign(container?.applied as object, { limit: '1Gi' });
  t.same(crosses(tampered, runs({ request: '256Mi', limit: '512Mi' })), [
    'applied 224Mi/1Gi since 2026-01-31T10:31:00.000Z: by its evidence it is 224Mi/368Mi',
    'limit 368Mi: its containers say 1Gi',
  ]);
});

t.test('an override has to be the one in the spec, to the letter', async (t) => {
  const record = live(values(256, 512), [moment({ ...SEED, override: { request: '300Mi', limit: '0.5Gi' } })]);
  t.same(crosses(record, runs({ request: '256Mi', limit: '512Mi' })), []);
  Object.assign(memoryOfRecord(record).containers[0]?.override as object, { limit: '512Mi' });
  t.same(crosses(record, runs({ request: '256Mi', limit: '512Mi' })), [
    'override 300Mi/512Mi: spec.nfr.memory_tuning.overrides says 300Mi/0.5Gi',
    'limit 0.5Gi: its containers say 512Mi',
  ]);
});

t.test('a decision without evidence cannot be explained, and that is said', async (t) => {
  const record = orders();
  delete memoryOfRecord(record).evidence;
  const wrong = crosses(record, runs({ request: '256Mi', limit: '512Mi' }));
  t.equal(wrong.length, 4, 'both decisions, and both lines of the history');
  t.match(wrong[0], 'the status keeps no evidence of this decision');
});

t.test('evidence under settings that cannot be is named', async (t) => {
  const record = orders();
  for (const one of memoryOfRecord(record).evidence ?? []) one.settings = { OPRC_CRM_STEP_PERCENT: '0' };
  t.match(crosses(record)[0], 'its evidence cannot be read: OPRC_CRM_STEP_PERCENT: "0" is not a whole number');
});

t.test('a workload that changed since the status was written, or is gone, is told', async (t) => {
  t.match(crosses(orders(), runs({ request: '1Gi', limit: '1Gi' })), [/^runs 1Gi\/1Gi: the status saw 256Mi\/512Mi/]);
  t.match(crosses(orders(), []), [/^runs -: the workload or the container is gone/]);
});

t.test('a limit alone is also the request, as pods get it', async (t) => {
  const record = live({ request: 512 * Mi, limit: 512 * Mi }, [moment({ ...SEED, enforced: false })]);
  t.same(crosses(record, runs({ limit: '512Mi' })), []);
});

t.test('what a template leaves open its pods may have from a LimitRange', async (t) => {
  const record = live(values(256, 512), [moment({ ...SEED, enforced: false })]);
  t.same(crosses(record, runs({ request: '256Mi' })), []);
  t.match(crosses(record, runs({ request: '300Mi' })), [/^runs 300Mi\/-: the status saw 256Mi\/512Mi/]);
});

t.test('through a VerticalPodAutoscaler applied values reach pods, and no template', async (t) => {
  t.match(crosses(orders()), [/^last seen/]);
  const { wrong } = explain(orders(), undefined, rulesFrom, true);
  t.equal(wrong, 0);
});

t.test('of the record alone: what was seen last, and whether it is what the record says', async (t) => {
  t.match(crosses(orders()), [/^last seen +256Mi\/512Mi: applied says 224Mi\/368Mi, which waits/]);
  t.same(crosses(live(values(256, 512), [moment({ ...SEED, enforced: false })])), []);
});

t.test('an override reaches a workload of a record that is not tuned, and is explained too', async (t) => {
  const memory = { request: '300Mi', limit: '600Mi' };
  const off = recordOf({ memory_tuning: { overrides: { function: memory } } }, { phase: 'Disabled', workloads: 1 });
  t.match(drawn(off, runs(memory, memory, 'override')).join('\n'), '✓ runs         300Mi/600Mi (override)');
});

t.test('a record that was never looked at has nothing to explain', async (t) => {
  t.match(crosses(recordOf({})), [/oaas-tuner has written nothing into this record yet/]);
});

t.test(
  'after more changes than the history holds, all that it holds and all that stands is still explained',
  async (t) => {
    // Every look asks for a quarter more: each is a decision.
    const looks = Array.from({ length: 14 }, (_, count) => moment({ usage: steady(100, 100 * 1.25 ** count, 2000) }));
    const record = live(values(256, 512), looks);
    const { history, evidence = [] } = memoryOfRecord(record);
    t.equal(history.length, 10);
    t.same(
      crosses(record).filter((line) => !line.startsWith('last seen')),
      [],
    );
    t.ok(evidence.length <= history.length + 2, 'and no more is kept than they need');
  },
);

t.test('a decision that stands is explained when its line has long left the history', async (t) => {
  const record = orders();
  memoryOfRecord(record).history = [];
  const lines = drawn(record).join('\n');
  t.match(lines, '✓ recommended  224Mi/336Mi');
  t.match(lines, '✓ applied      224Mi/368Mi');
});

t.test('a decision of the adaptive rules is decided again by them, from the status alone', async (t) => {
  const rules = rulesFrom({ OPRC_CRM_MEMORY_RULES: 'adaptive' });
  const record = live(values(256, 512), [moment({ ...SEED, rules }), moment({ ...SEED, rules, minutes: 1 })]);
  const lines = drawn(record);
  t.same(crosses(record), []);
  t.match(lines.join('\n'), 'OPRC_CRM_MEMORY_RULES=adaptive');
  t.match(lines.join('\n'), '✓ recommended  192Mi/736Mi');
});
