import t from 'tap';
import { createPausedNamespaces } from '../../src/store/paused-namespaces.ts';

const namespace = (name: string, paused?: string) => ({
  metadata: { name, ...(paused !== undefined && { annotations: { 'tuning.oaas.io/paused': paused } }) },
});

t.test('which namespaces are paused, from the first list on', async (t) => {
  const namespaces = createPausedNamespaces();
  t.equal(namespaces.ready(), false);
  namespaces.replace([namespace('a', 'true'), namespace('b'), namespace('c', 'false')]);
  t.equal(namespaces.ready(), true);
  t.strictSame(['a', 'b', 'c', 'd'].map(namespaces.has), [true, false, false, false]);
  namespaces.set(namespace('a'));
  namespaces.set(namespace('b', 'true'));
  t.strictSame(['a', 'b'].map(namespaces.has), [false, true]);
  namespaces.delete(namespace('b', 'true'));
  t.equal(namespaces.has('b'), false);
  namespaces.set(namespace('a', 'true'));
  namespaces.replace([]);
  t.equal(namespaces.has('a'), false, 'what is not in a list is gone');
});
