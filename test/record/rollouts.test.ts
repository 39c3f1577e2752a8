/** A workload's entry from one look at the cluster to the next. */
import t from 'tap';
import type { RolloutStatus } from '../../src/domain/record.ts';
import { asks, followRollout, gaveUp, waits } from '../../src/record/rollouts.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';

const iso = (at: number) => new Date(at).toISOString();
const ORDERS = 'Deployment/orders';
const nothing: RolloutStatus = { workload: ORDERS, state: 'Done' };
const still = { rolling: false };

t.test('from the decision to the end of the rollout', async (t) => {
  const asked = asks(nothing, NOW, false, NOW);
  t.same(asked, { workload: ORDERS, state: 'Requested', id: iso(NOW), tries: 1 });
  const rolling = followRollout(asked, false, { rolling: true }, NOW + MINUTE);
  t.same(rolling, { workload: ORDERS, state: 'Rolling', id: iso(NOW), at: iso(NOW) });
  const done = followRollout(rolling, false, still, NOW + 2 * MINUTE);
  t.same(done, { workload: ORDERS, state: 'Done', id: iso(NOW), at: iso(NOW) });
  t.same(followRollout(done, false, { rolling: true }, NOW + 3 * MINUTE), done, "a person's rollout is none of ours");
});

t.test('values that do not come are asked for three times, and then no more', async (t) => {
  let entry = nothing;
  for (const tries of [1, 2, 3]) {
    entry = asks(followRollout(entry, true, still, NOW), NOW, true, NOW + tries * MINUTE);
    t.match(entry, { state: 'Requested', tries, id: iso(NOW + tries * MINUTE) });
  }
  entry = asks(followRollout(entry, true, still, NOW), NOW, true, NOW + 4 * MINUTE);
  t.match(entry, { state: 'Failed', tries: 3, id: iso(NOW + 3 * MINUTE) });
  t.match(entry.message, /check that the API server calls the webhook/);
  t.equal(gaveUp(entry, NOW), true);
  t.equal(gaveUp(entry, NOW + 4 * MINUTE), false, 'a new decision starts anew');
  t.match(asks(entry, NOW + 5 * MINUTE, true, NOW + 5 * MINUTE), { state: 'Requested', tries: 1 });
  t.match(followRollout(entry, false, still, NOW + 6 * MINUTE), { state: 'Done', at: iso(NOW + 6 * MINUTE) });
});

t.test('a request that never arrived points to the right instead', async (t) => {
  const third: RolloutStatus = { ...nothing, state: 'Requested', id: iso(NOW), tries: 3 };
  t.match(asks(third, NOW, false, NOW).message, /did not reach it/);
});

t.test('waiting keeps what was, and says why in words', async (t) => {
  const entry: RolloutStatus = { workload: ORDERS, state: 'Done', id: iso(NOW), at: iso(NOW) };
  t.match(waits(entry, 'cooldown'), { state: 'Waiting', reason: 'cooldown', at: iso(NOW), message: /too recent/ });
  t.match(waits(entry, 'hpa-on-memory', 'orders-hpa').message, /: orders-hpa$/);
});

t.test('values that came with somebody’s change run since it was seen; a pause lifted is no rollout', async (t) => {
  const came = followRollout(waits(nothing, 'next-template-change'), false, still, NOW);
  t.same(came, { workload: ORDERS, state: 'Done', at: iso(NOW) });
  t.same(followRollout(waits(nothing, 'paused'), false, still, NOW), nothing);
});

t.test('pods that do not become available are a failure, once it is over a rollout like another', async (t) => {
  const rolling: RolloutStatus = { workload: ORDERS, state: 'Rolling', id: iso(NOW), at: iso(NOW) };
  const broken = { rolling: true, unavailable: 'not available (ProgressDeadlineExceeded)' };
  const failed = followRollout(rolling, false, broken, NOW + MINUTE);
  t.match(failed, { state: 'Failed', message: /ProgressDeadlineExceeded/ });
  t.match(followRollout(failed, false, still, NOW + MINUTE), { state: 'Done', at: iso(NOW) });
});
