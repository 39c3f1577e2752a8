/** What a record says tuning has changed: what the manifests would have, beside what runs. */
import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus, Outcome } from '../../src/domain/record.ts';
import { explain } from '../../src/record/explain.ts';
import { isNews } from '../../src/record/news.ts';
import { balanceOf, type Compared } from '../../src/record/outcome.ts';
import { previousStatus } from '../../src/record/read-back.ts';
import type { Report } from '../../src/record/report.ts';
import { memoryStatus } from '../../src/record/status.ts';
import { decided, measured, values } from '../recommend/looks.ts';
import { MINUTE, NOW, RULES } from '../recommend/rules.ts';
import { found, readBack, recordOf, report } from './records.ts';

const SINCE = '2026-01-31T10:00:00.000Z';

/** A container whose manifest says 512Mi/1Gi, that runs with 368Mi/720Mi, and uses 110Mi on average. */
const tuned = (...[finding = {}, rest = {}]: Parameters<typeof found>) =>
  found(
    { applied: decided(368, 720), changes: [], ...finding },
    { current: values(368, 720), manifest: values(512, 1024), ...rest },
  );
const statusOf = (says: Partial<Report>, previous?: MemoryStatus, now = NOW) =>
  memoryStatus(report({ enforced: true, ...says }), 'orders', previous, [], now);
const outcome = (says: Partial<Report>, previous?: MemoryStatus, now = NOW) => statusOf(says, previous, now).outcome;

t.test('the manifest beside what runs, in one sentence that a reader can do again', async (t) => {
  t.strictSame(outcome({ containers: [tuned()] }), {
    since: SINCE,
    before: { request: '512Mi', limit: '1Gi', over_request: 0.785 },
    after: { request: '368Mi', limit: '720Mi', over_request: 0.701 },
    summary: 'request 512Mi -> 368Mi, limit 1Gi -> 720Mi, over-request 78.5% -> 70.1%',
  });
});

t.test('sums of one pod of each workload', async (t) => {
  const others = [tuned({}, { name: 'odgm' }), tuned({}, { workload: 'Deployment/search' })];
  t.match(outcome({ containers: [tuned(), ...others] }), {
    before: { request: '1536Mi', limit: '3Gi', over_request: 0.785 },
    after: { request: '1104Mi', limit: '2160Mi', over_request: 0.701 },
  });
});

t.test('none before values of ours run: recommended is not changed, and applied is not there yet', async (t) => {
  t.equal(outcome({ containers: [found()] }), undefined);
  t.equal(outcome({ containers: [found({ applied: decided(224, 368) })] }), undefined, 'still as in the manifest');
  t.ok(outcome({ containers: [tuned()] }));
  t.equal(outcome({ containers: [tuned({ applied: undefined } as never)] }), undefined, 'left over, not in force');
  t.equal(outcome({ enabled: false, containers: [] }), undefined);
});

t.test('it began once, and goes on through restarts, a taken-back value and a Prometheus that is away', async (t) => {
  const first = statusOf({ containers: [tuned()] });
  t.equal(outcome({ containers: [tuned()] }, first, NOW + 60 * MINUTE)?.since, SINCE);
  const back = tuned({}, { current: values(512, 1024) });
  t.match(outcome({ containers: [back] }, first, NOW + MINUTE), { since: SINCE, after: { request: '512Mi' } });
  t.strictSame(outcome({ trouble: 'Prometheus does not answer', containers: [] }, first, NOW + MINUTE), first.outcome);
});

t.test('what a person fixed is not our doing, side by side', async (t) => {
  const fixed = (override: object) => outcome({ containers: [tuned({}, { override })] });
  t.match(fixed({ request: '1Gi' }), { summary: 'limit 1Gi -> 720Mi' });
  t.match(fixed({ limit: '2Gi' }), { summary: 'request 512Mi -> 368Mi, over-request 78.5% -> 70.1%' });
  t.equal(fixed({ request: '1Gi', limit: '2Gi' }), undefined);
});

t.test('a side that the manifest leaves open cannot be compared, and more than before is said, too', async (t) => {
  const open = tuned({}, { manifest: { request: 100 * Mi } });
  t.match(outcome({ containers: [open] }), { summary: 'request 100Mi -> 368Mi, over-request -10% -> 70.1%' });
  t.notOk(outcome({ containers: [open] })?.before.limit);
});

t.test('usage that is not known makes no ratio', async (t) => {
  const unseen = outcome({ containers: [tuned({ observed: undefined } as never)] });
  t.equal(unseen?.summary, 'request 512Mi -> 368Mi, limit 1Gi -> 720Mi');
});

t.test('kills: counted over the same time on both sides; the last count stands until the next', async (t) => {
  const counted = statusOf({ containers: [tuned()], kills: { before: 3, after: 0, overSeconds: 26 * 3600 } });
  t.match(counted.outcome, {
    ...{ before: { kills: 3 }, after: { kills: 0 }, kills_over: '26h' },
    summary: /, OOM kills 3 -> 0 in 26h$/,
  });
  t.match(outcome({ containers: [tuned()] }, counted), {
    before: { kills: 3 },
    after: { kills: 0 },
    kills_over: '26h',
  });
  t.notMatch(outcome({ containers: [tuned()] })?.summary, 'kills', 'not known is not none');
});

t.test('news is a value or a kill, not a ratio that drifts or time that passes', async (t) => {
  const kills = { before: 3, after: 0, overSeconds: 3600 };
  const first = statusOf({ containers: [tuned()], kills });
  const news = (says: Partial<Report>) =>
    isNews(statusOf({ containers: [tuned()], kills, ...says }, first, NOW + MINUTE), first);
  t.equal(news({}), false);
  t.equal(news({ kills: { ...kills, overSeconds: 7200 } }), false);
  t.equal(news({ containers: [tuned({ observed: measured(112, 180, 210) })] }), false);
  t.equal(news({ kills: { ...kills, after: 1 } }), true);
  t.equal(news({ containers: [tuned({}, { manifest: values(640, 1024) })] }), true, 'the manifest has changed');
});

t.test('through VPA the template keeps the values of the manifest, and pods have what was applied', async (t) => {
  const throughVpa = tuned({}, { current: values(512, 1024) });
  t.match(outcome({ vpa: 'served', containers: [throughVpa] }), { after: { request: '368Mi', limit: '720Mi' } });
});

t.test('explain adds up again, and finds a sum that somebody changed', async (t) => {
  const status = statusOf({ containers: [tuned()] });
  const lines = (memory: MemoryStatus) =>
    explain(recordOf({}, readBack(memory)), undefined, () => RULES).sections.find(({ title }) => title === 'Outcome')
      ?.lines;
  t.match(lines(status), [
    { name: 'before', value: '512Mi/1Gi' },
    { name: 'after', value: '368Mi/720Mi' },
    { name: 'since', value: SINCE, details: [/^request 512Mi/] },
  ]);
  t.strictSame(
    lines(status)?.filter(({ wrong }) => wrong),
    [],
  );
  const { outcome } = status as { outcome: Outcome };
  const embellished = { ...status, outcome: { ...outcome, before: { ...outcome.before, request: '2Gi' } } };
  t.match(lines(embellished)?.[0], { wrong: 'its containers say 512Mi/1Gi' });
});

t.test('whatever stands in the status, the next outcome can be made', async (t) => {
  const strange = fc.oneof(fc.jsonValue(), fc.constant({ toString: 1 }));
  const side = fc.oneof(strange, fc.record({ request: strange, kills: strange }));
  const before = fc.oneof(strange, fc.record({ since: strange, before: side, after: side, kills_over: strange }));
  const law = fc.property(before, (outcome) => {
    const memory = { ...readBack(statusOf({ containers: [tuned()] })), outcome: outcome as never };
    const previous = previousStatus({ nfr_recommendations: { memory } });
    const next = statusOf({ containers: [tuned()] }, previous);
    isNews(next, previous);
    explain(recordOf({}, memory), undefined, () => RULES);
    return next.outcome?.before.request === '512Mi' && !Number.isNaN(Date.parse(next.outcome.since));
  });
  fc.assert(law, { seed: 20260131, numRuns: 1000 });
  t.pass();
});

t.test('laws of the sums: order does not matter, and what is saved adds up', async (t) => {
  const bytes = fc.option(fc.integer({ min: 1, max: 4096 }), { nil: undefined });
  const pair = fc.record({ request: bytes, limit: bytes });
  const fixed = fc.record({ request: fc.option(fc.constant(1), { nil: undefined }) });
  const container = fc.record({ manifest: pair, runs: pair, fixed, used: bytes, pods: fc.integer({ min: 0, max: 9 }) });
  const saved = (some: unknown[]) => {
    const { before, after } = balanceOf(some as Compared[]);
    return (before.limit ?? 0) - (after.limit ?? 0);
  };
  const law = fc.property(fc.array(container), fc.array(container), (some, more) => {
    const together = saved([...some, ...more]);
    return together === saved(some) + saved(more) && together === saved([...more, ...some]);
  });
  fc.assert(law, { seed: 20260131, numRuns: 500 });
  t.pass();
});
