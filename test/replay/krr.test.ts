/** Known answers of KRR's defaults. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { krr, krrProposal } from '../../src/replay/krr.ts';
import { replay } from '../../src/replay/replay.ts';
import { MINUTE, mi, minutely, START, said, steadyFor } from './samples.ts';

t.test('the largest sample and 15% more, in whole Mi, at least 100Mi', async (t) => {
  t.equal(krrProposal(200 * Mi), 230 * Mi);
  t.equal(krrProposal(200 * Mi + 1), 231 * Mi);
  t.equal(krrProposal(10 * Mi), 100 * Mi);
});

t.test(
  'request and limit are the same; nothing before 100 points of 75 s, and then at the next full hour',
  async (t) => {
    const run = said(krr.begin({}), minutely(steadyFor(181, 200)));
    t.strictSame(run[179], {});
    t.strictSame(run[180], mi(230, 230));
    t.strictSame(
      said(krr.begin({}), minutely(steadyFor(121, 200))).at(-1),
      {},
      '97 points after two hours are too few',
    );
  },
);

t.test('a side of the manifest that is off by a fifth is left alone, one by more is not', async (t) => {
  const after = (request: number, limit: number) => {
    const values = mi(request, limit);
    return said(krr.begin(values), minutely(steadyFor(181, 200)), values).at(-1);
  };
  t.strictSame(after(100, 230 / 0.8), mi(230, 230 / 0.8));
  t.strictSame(after(100, 230 / 0.79), mi(230, 230));
  t.strictSame(after(230 / 1.2, 1000), mi(230 / 1.2, 230));
  t.strictSame(after(240, 1000), mi(240, 1000), 'a request of 240Mi with a limit of 230Mi would not be valid');
});

t.test('a peak is forgotten after two weeks, and not before', async (t) => {
  const day = 24 * 60 * MINUTE;
  const life = krr.begin({});
  const early = said(life, minutely([...steadyFor(180, 500), ...steadyFor(60, 200)])).at(-1);
  t.strictSame(early, mi(575, 575));
  const late = (days: number) => life({ at: START + days * day, bytes: 200 * Mi, running: mi(575, 575) });
  t.strictSame(late(14), mi(575, 575));
  t.strictSame(late(15), mi(230, 230));
});

t.test('it never hears of a kill: the next scan takes the limit for the peak', async (t) => {
  const samples = minutely([...steadyFor(181, 200), ...steadyFor(60, 240)]);
  t.match(replay(samples, krr, {}), { kills: 60, changes: 2 });
});
