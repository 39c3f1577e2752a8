import fc from 'fast-check';
import t from 'tap';
import { asObject, at } from '../../src/domain/json.ts';

t.test('an object is an object, and nothing else is', async (t) => {
  const object = { a: 1 };
  t.equal(asObject(object), object);
  for (const other of [undefined, null, true, 1, 'text', [], [object]]) t.equal(asObject(other), undefined);
});

t.test('a path is followed through objects and arrays', async (t) => {
  const review = { spec: { containers: [{ name: 'function' }, { name: 'odgm', image: null }] } };
  t.equal(at(review, 'spec', 'containers', 1, 'name'), 'odgm');
  t.equal(at(review, 'spec', 'containers', 1, 'image'), null);
  t.equal(at(review, 'spec', 'containers', 2, 'name'), undefined);
  t.equal(at(review, 'spec', 'containers', 1, 'image', 'tag'), undefined);
  t.equal(at(review), review);
});

t.test('a container may be called like something that every object inherits', async (t) => {
  t.equal(at({}, 'constructor'), undefined);
  t.equal(at({}, '__proto__'), undefined);
  t.equal(at([], 'map'), undefined);
  t.equal(at('text', 'length'), undefined);
  t.equal(at({ constructor: 'mine' }, 'constructor'), 'mine');
});

t.test('looking into anything never throws', async (t) => {
  const key = fc.oneof(fc.string(), fc.nat(), fc.constantFrom('toString', '__proto__', 'length'));
  fc.assert(
    fc.property(fc.anything(), fc.array(key), (value, keys) => {
      at(value, ...keys);
      asObject(value);
    }),
    { seed: 20260131, numRuns: 1000 },
  );
  t.pass();
});
