/** Our own rules in a replay: the same functions as in the worker, fed with what Prometheus would say. */
import t from 'tap';
import { ours } from '../../src/replay/ours.ts';
import { replay } from '../../src/replay/replay.ts';
import { RULES, rulesFrom } from '../recommend/rules.ts';
import { mi, minutely, said, steadyFor } from './samples.ts';

const policy = ours('ours', RULES, 60);

t.test('without a manifest nothing is set before there is enough data, then what the rules say', async (t) => {
  const run = said(policy.begin({}), minutely(steadyFor(40, 200)));
  t.strictSame(run[0], {});
  // avg 200Mi × 1.5 = 300Mi, rounded up to 304Mi; × 1.5 = 456Mi, rounded up to 464Mi.
  t.strictSame(run.at(-1), mi(304, 464));
});

t.test('steps and cooldown hold a fall back: 30% at once, the next half an hour later', async (t) => {
  const run = said(policy.begin(mi(512, 1024)), minutely(steadyFor(120, 100)), mi(512, 1024));
  const values = [...new Set(run.map(({ request = 0, limit = 0 }) => `${request / 2 ** 20}/${limit / 2 ** 20}`))];
  t.strictSame(values.slice(0, 3), ['512/1024', '368/720', '272/512']);
});

t.test('a kill is heard in the same cycle and answered at once, 30% a step', async (t) => {
  const run = [...steadyFor(60, 100), ...steadyFor(10, 300)];
  // 240Mi was the limit: 304Mi at the next sample.
  t.equal(replay(minutely(run), policy, mi(160, 240)).kills, 1);
  t.equal(replay(minutely([...run, ...steadyFor(10, 390)]), policy, mi(160, 240)).kills, 2);
});

t.test('a cooldown that is longer acts later', async (t) => {
  const samples = minutely(steadyFor(120, 100));
  const changes = (env: Record<string, string>) =>
    replay(samples, ours('ours', rulesFrom(env), 60), mi(1024, 2048)).changes;
  t.ok(changes({}) > changes({ OPRC_CRM_COOLDOWN_SECS: '7200' }));
});
