import fc from 'fast-check';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { ContainerStatus, Decision, HistoryEntry, MemoryStatus } from '../../src/domain/record.ts';
import { isNews } from '../../src/record/news.ts';
import { findContainer, previousStatus, readDecision } from '../../src/record/read-back.ts';
import { memoryStatus, newsOf } from '../../src/record/status.ts';
import { decided, measured } from '../recommend/looks.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import { found, readBack, report } from './records.ts';

const AT = '2026-01-31T10:00:00.000Z';
const status = (says: Parameters<typeof report>[0] = {}, previous?: MemoryStatus, now = NOW) =>
  memoryStatus(report(says), 'orders', previous, newsOf(report(says), previous, now), now);
const container = (...given: Parameters<typeof found>) => status({ containers: [found(...given)] }).containers[0];

t.test('a container is shown as in the requirement: current, observed, recommended, rationale', async (t) => {
  t.same(container(), {
    name: 'function',
    workload: 'Deployment/orders',
    current: { request: '256Mi', limit: '512Mi' },
    observed: { ws_avg: '110Mi', ws_p95: '180Mi', ws_max: '210Mi', window: '6h' },
    recommended: { request: '224Mi', limit: '336Mi', at: AT },
    source: 'recommendation',
    rationale: 'p95-based; all of it',
  });
});

t.test('the source is the highest rung that has a value', async (t) => {
  const applied = decided(224, 368);
  t.equal(container({ applied }, { override: { limit: '1Gi' } })?.source, 'override');
  t.equal(container({ applied })?.source, 'applied');
  t.equal(container()?.source, 'recommendation');
  t.equal(container({ recommended: undefined } as never)?.source, 'manifest');
});

t.test('what nobody set is absent, and so is what was not observed', async (t) => {
  const unset = container({ observed: undefined } as never, { current: { request: 100 * Mi } });
  t.same(unset?.current, { request: '100Mi' });
  t.notOk(unset && 'observed' in unset);
});

t.test('each new decision is an entry of the history, with its own reason', async (t) => {
  const changes = [
    { change: 'recommended' as const, rationale: 'because of p95' },
    { change: 'applied' as const, rationale: 'one step' },
  ];
  const { history } = status({ containers: [found({ applied: decided(224, 368), changes })] });
  const entry = { at: AT, workload: 'Deployment/orders', container: 'function' };
  const from = { request: '256Mi', limit: '512Mi' };
  t.same(history, [
    { ...entry, change: 'recommended', from, to: { request: '224Mi', limit: '336Mi' }, rationale: 'because of p95' },
    { ...entry, change: 'applied', from, to: { request: '224Mi', limit: '368Mi' }, rationale: 'one step' },
  ]);
});

t.test('an entry says what the value was before: what stood, and the first time what ran', async (t) => {
  const first = status();
  t.same(first.history[0]?.from, { request: '256Mi', limit: '512Mi' });
  const second = status({ containers: [found({ recommended: decided(320, 480) })] }, first);
  t.same(second.history[0]?.from, { request: '224Mi', limit: '336Mi' });
  const unset = status({ containers: [found({}, { current: {} })] });
  t.notOk(unset.history[0]?.from, 'nothing ran that anybody had set');
});

t.test('the history holds the last 10 changes, newest first', async (t) => {
  let previous: MemoryStatus | undefined;
  for (let count = 1; count <= 12; count += 1) {
    previous = status({ containers: [found({ recommended: decided(count, 100) })] }, previous, NOW + count * MINUTE);
  }
  t.same(
    previous?.history.map(({ to }) => to.request),
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map((count) => `${count}Mi`),
  );
});

t.test('a look that decided nothing adds nothing to the history', async (t) => {
  const first = status();
  t.same(status({ containers: [found({ changes: [] })] }, first).history, first.history);
});

t.test('when usage could not be read, the containers of the last status stay', async (t) => {
  const first = status();
  const troubled = status({ trouble: 'Prometheus does not answer', containers: [] }, first);
  t.same(troubled.containers, first.containers);
  t.same([troubled.request, troubled.limit], ['224Mi', '336Mi']);
  t.same(status({ trouble: 'x', enabled: false, containers: [] }, first).containers, [], 'unless tuning is off');
});

t.test('the columns of kubectl get show the value in force, else the one recommended, else what runs', async (t) => {
  const columns = (...given: Parameters<typeof found>) => {
    const { request, limit } = status({ containers: [found(...given)] });
    return [request, limit];
  };
  const applied = decided(224, 368);
  t.same(columns({ applied }, { override: { limit: '1Gi' } }), ['224Mi', '1Gi']);
  t.same(columns({ applied }), ['224Mi', '368Mi']);
  t.same(columns(), ['224Mi', '336Mi']);
  t.same(columns({ recommended: undefined } as never), ['256Mi', '512Mi']);
  t.same(columns({ recommended: undefined } as never, { current: {} }), [undefined, undefined]);
});

t.test(
  'the columns name the containers when there are several, and the workloads when there are several',
  async (t) => {
    const named = (...names: string[]) => names.map((name) => found({}, { name }));
    t.equal(status({ containers: named('a', 'b') }).request, 'a=224Mi,b=224Mi');
    t.equal(status({ containers: named('a', 'b', 'c') }).request, 'a=224Mi,b=224Mi,c=224Mi');
    t.equal(status({ containers: named('a', 'b', 'c', 'd', 'e') }).request, 'a=224Mi,b=224Mi,c=224Mi,+2');
    t.equal(status({ workloads: 2, containers: named('a', 'b') }).limit, 'orders/a=336Mi,orders/b=336Mi');
  },
);

t.test('the same findings again are no news', async (t) => {
  const quiet = { containers: [found({ changes: [] })] };
  const first = status(quiet);
  t.equal(isNews(first, undefined), true, 'the first status always is');
  t.equal(isNews(status(quiet, first, NOW + MINUTE), first), false);
  t.equal(isNews(status(quiet, first, NOW + 60 * MINUTE - 1), first), false);
  t.equal(isNews(status(quiet, first, NOW + 60 * MINUTE), first), true, 'after an hour, so that a reader sees life');
});

t.test('a phase, a decision, a source, an override or a current value that changed is news', async (t) => {
  const first = status();
  const news = (says: Parameters<typeof report>[0]) => isNews(status(says, first, NOW + MINUTE), first);
  t.equal(news({}), false);
  t.equal(news({ enforced: true }), true);
  t.equal(news({ workloads: 2 }), true);
  t.equal(news({ containers: [found({ recommended: decided(240, 336) })] }), true);
  t.equal(news({ containers: [found({ recommended: decided(224, 336, NOW + 1) })] }), true);
  t.equal(news({ containers: [found({ applied: decided(224, 368) })] }), true);
  t.equal(news({ containers: [found({}, { override: { request: '1Gi' } })] }), true);
  t.equal(news({ containers: [found({}, { current: {} })] }), true);
  t.equal(news({ containers: [] }), true);
  t.equal(news({ containers: [found(), found({}, { name: 'odgm' })] }), true);
});

t.test('usage that moved by more than 10 % is news, 10 % exactly is not', async (t) => {
  const first = status({ containers: [found({ observed: measured(100, 200, 300) })] });
  const news = (avg: number, p95: number, max: number) =>
    isNews(status({ containers: [found({ observed: measured(avg, p95, max) })] }, first, NOW + MINUTE), first);
  t.equal(news(110, 220, 330), false);
  t.equal(news(90, 180, 270), false);
  t.equal(news(111, 200, 300), true);
  t.equal(news(100, 179, 300), true);
  t.equal(news(100, 200, 331), true);
});

t.test('a status is read back as it was written', async (t) => {
  const written = status();
  t.same(previousStatus({ nfr_recommendations: { memory: readBack(written), replicas: 3 } }), written);
  t.same(readDecision(findContainer(written, 'Deployment/orders', 'function')?.recommended), decided(224, 336));
  t.equal(findContainer(written, 'Deployment/orders', 'odgm'), undefined);
  t.equal(findContainer(written, 'KnativeService/orders', 'function'), undefined);
});

t.test('a status without our part was never ours', async (t) => {
  for (const other of [undefined, null, {}, 'x', { nfr_recommendations: { memory: null } }]) {
    t.equal(previousStatus(other), undefined);
  }
});

t.test('a decision with an unreadable part was never made', async (t) => {
  const whole = { request: '224Mi', limit: '336Mi', at: AT };
  t.same(readDecision(whole), decided(224, 336));
  for (const part of [{ request: '224mi' }, { limit: undefined }, { at: 'yesterday' }, { at: undefined }, { at: {} }]) {
    t.equal(readDecision({ ...whole, ...part } as Decision), undefined, JSON.stringify(part));
  }
  t.equal(readDecision(undefined), undefined);
  t.equal(readDecision(null as never), undefined);
});

t.test('a next status can be made from any last one', async (t) => {
  const strange = fc.oneof(fc.jsonValue(), fc.constant({ toString: 1, valueOf: 1 }), fc.constant('224Mi'));
  const pair = fc.oneof(strange, fc.record({ request: strange, limit: strange, at: strange }));
  const entry = fc.record({
    workload: fc.constantFrom('Deployment/orders', 'x'),
    name: fc.constant('function'),
    recommended: pair,
    applied: pair,
    current: pair,
    observed: fc.oneof(strange, fc.record({ ws_avg: strange })),
  });
  const memory = fc.record({
    observed_at: strange,
    containers: fc.oneof(strange, fc.array(fc.oneof(strange, entry))),
    history: fc.oneof(strange, fc.array(strange)),
  });
  fc.assert(
    fc.property(fc.oneof(strange, memory), fc.boolean(), (kept, troubled) => {
      const previous = previousStatus({ nfr_recommendations: { memory: kept } });
      const last: ContainerStatus | undefined = findContainer(previous, 'Deployment/orders', 'function');
      for (const decision of [last?.recommended, last?.applied]) readDecision(decision);
      const next = status(troubled ? { trouble: 'x', containers: [] } : {}, previous);
      isNews(next, previous);
      const [newest]: (HistoryEntry | undefined)[] = next.history;
      return troubled || newest?.to.request === '224Mi';
    }),
    { seed: 20260131, numRuns: 2000 },
  );
  t.pass();
});
