import fc from 'fast-check';
import t from 'tap';
import { isIn } from '../../src/replay/part.ts';

t.test('each container is in one part and stays there; both have many', async (t) => {
  const law = fc.property(fc.string(), (name) => isIn('all', name) && isIn('tuning', name) !== isIn('kept-back', name));
  fc.assert(law);
  const names = Array.from({ length: 1000 }, (_, index) => `container-${index}`);
  const kept = names.filter((name) => isIn('kept-back', name)).length;
  t.ok(kept > 400 && kept < 600, String(kept));
  t.ok(isIn('tuning', '2e6ae913') && isIn('kept-back', 'c26bb102'), 'as it was when the rules were tuned');
});
