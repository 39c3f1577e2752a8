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

t.test("the tuner's own namespace pauses all of them", async (t) => {
  const namespaces = createPausedNamespaces('oaas-system');
  namespaces.replace([namespace('a'), namespace('oaas-system', 'true')]);
  t.strictSame(['a', 'new'].map(namespaces.has), [true, true]);
  namespaces.set(namespace('oaas-system'));
  t.strictSame(['a', 'new'].map(namespaces.has), [false, false]);
});
