import t from 'tap';
import { OUTCOMES } from '../../src/domain/reasons.ts';

t.test(
  'each way in which an admission can end has a word that fits a metric label, and says what it means',
  async (t) => {
    for (const [reason, { means }] of Object.entries(OUTCOMES)) {
      t.match(reason, /^[a-z]+(-[a-z]+)*$/);
      t.ok(means.length > 10 && !means.endsWith('.'), `${reason}: ${means}`);
    }
  },
);

t.test('the words are a closed set with four results', async (t) => {
  const results = new Set(Object.values(OUTCOMES).map(({ result }) => result));
  t.same([...results].sort(), ['changed', 'error', 'skipped', 'unchanged']);
});
