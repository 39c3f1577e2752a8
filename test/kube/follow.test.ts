import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { until } from '../cluster/until.ts';
import { followed } from './followed.ts';
import { page, stored } from './played-api-server.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

t.test('a list in pages fills the sink at once, and a watch goes on from there', async (t) => {
  const { server, told } = await followed(t);
  const first = await server.next();
  t.match(first, { method: 'GET', path: '/apis/oaas.io/v1alpha1/deploymentrecords', query: { limit: '500' } });
  t.notOk(first.query.continue);
  first.reply(page([stored('a', '1'), stored('b', '2')], '10', 'more/=?'));
  const second = await server.next();
  t.equal(second.query.continue, 'more/=?');
  second.reply(page([stored('c', '3')], '10'));
  t.equal(await told(), 'replace a,b,c');
  const watch = await server.next();
  t.match(watch.query, { watch: 'true', resourceVersion: '10', allowWatchBookmarks: 'true' });
  watch.event('ADDED', stored('d', '11'));
  watch.event('MODIFIED', stored('a', '12'));
  watch.event('DELETED', stored('b', '13'));
  t.strictSame([await told(), await told(), await told()], ['set d', 'set a', 'delete b']);
});

t.test('a watch that ends is followed by the next one, from the last event or bookmark', async (t) => {
  const { server, told, lines } = await followed(t);
  (await server.next()).reply(page([], '10'));
  const first = await server.next();
  first.event('ADDED', stored('a', '11'));
  first.event('BOOKMARK', { kind: 'DeploymentRecord', metadata: { resourceVersion: '25' } });
  first.end();
  t.strictSame([await told(), await told()], ['replace ', 'set a'], 'a bookmark is no object');
  const second = await server.next();
  t.equal(second.query.resourceVersion, '25');
  second.end();
  t.equal((await server.next()).query.resourceVersion, '25', 'nothing happened');
  t.strictSame(
    lines.filter(({ level }) => level > 30),
    [],
    'the end of a watch is nothing to warn of',
  );
});

t.test('each answer confirms that the sink is current: a list, a watch that opens, an event, a bookmark', async (t) => {
  const { server, told, confirmations } = await followed(t);
  const list = await server.next();
  t.equal(confirmations(), 0);
  list.reply(page([], '10'));
  const watch = await server.next();
  t.equal(confirmations(), 1);
  watch.event('BOOKMARK', { metadata: { resourceVersion: '11' } });
  watch.event('ADDED', stored('a', '12'));
  await told();
  t.equal(await told(), 'set a');
  watch.end();
  const next = await server.next();
  t.equal(confirmations(), 4, 'list, opened, bookmark, event');
  next.refuse(500, 'not now');
  await server.next();
  t.equal(confirmations(), 4, 'a refusal confirms nothing');
});

t.test('a version that is too old leads to a new list, told in the stream or as the status', async (t) => {
  const { server, told } = await followed(t);
  (await server.next()).reply(page([stored('a', '1')], '10'));
  (await server.next()).event('ERROR', { kind: 'Status', code: 410, message: 'too old resource version: 10 (99)' });
  const second = await server.next();
  t.notOk(second.query.watch);
  second.reply(page([stored('b', '98')], '99'));
  (await server.next()).refuse(410, 'too old');
  const third = await server.next();
  t.notOk(third.query.watch);
  third.reply(page([stored('c', '199')], '200'));
  t.equal((await server.next()).query.resourceVersion, '200');
  t.strictSame([await told(), await told(), await told()], ['replace a', 'replace b', 'replace c']);
});

t.test('a continue token that expires between two pages leads to a new list', async (t) => {
  const { server, told } = await followed(t);
  (await server.next()).reply(page([stored('a', '1')], '10', 'next'));
  (await server.next()).refuse(410, 'The provided continue parameter is too old');
  const again = await server.next();
  t.notOk(again.query.continue);
  again.reply(page([stored('b', '1')], '20'));
  t.equal(await told(), 'replace b');
});

t.test('a broken connection is taken up again where it broke', async (t) => {
  const { server, told, line } = await followed(t);
  (await server.next()).reset();
  t.match(await line('cannot follow the API server'), { what: 'deploymentrecords.oaas.io', error: /\S/ });
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  watch.event('ADDED', stored('a', '11'));
  t.strictSame([await told(), await told()], ['replace ', 'set a']);
  watch.reset();
  const again = await server.next();
  t.match(again.query, { watch: 'true', resourceVersion: '11' });
  again.reset();
  t.match((await server.next()).query, { watch: 'true', resourceVersion: '11' });
});

t.test('a server that fails a watch is listed anew: it may have been restored to an earlier time', async (t) => {
  const { server, told } = await followed(t);
  (await server.next()).reply(page([stored('a', '900')], '1000'));
  (await server.next()).refuse(504, 'Too large resource version: 1000, current: 20');
  const list = await server.next();
  t.notOk(list.query.watch);
  list.reply(page([stored('a', '15')], '20'));
  (await server.next()).event('ERROR', { kind: 'Status', code: 500, message: 'etcd event received with PrevKv=nil' });
  const second = await server.next();
  t.notOk(second.query.watch);
  second.reply(page([], '30'));
  t.strictSame([await told(), await told(), await told()], ['replace a', 'replace a', 'replace ']);
});

t.test('a server that refuses is asked more and more seldom, and as usual again once it answers', async (t) => {
  const { server, line, told } = await followed(t);
  for (const [status, message, waits] of [
    [500, 'etcd is slow', 250],
    [403, 'deploymentrecords.oaas.io is forbidden', 500],
    [404, 'the server could not find the requested resource', 1000],
  ] as const) {
    (await server.next()).refuse(status, message);
    const { error, retryMs } = await line('cannot follow the API server');
    t.strictSame([error, retryMs], [`list deploymentrecords.oaas.io: ${message} (HTTP ${status})`, waits]);
  }
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  watch.event('ADDED', stored('a', '11'));
  await told();
  await told();
  watch.reset();
  t.equal((await line('cannot follow the API server')).retryMs, 250);
});

t.test('a watch that is closed at once again and again is no busy loop', async (t) => {
  const { server } = await followed(t);
  (await server.next()).reply(page([], '10'));
  (await server.next()).end();
  const started = performance.now();
  for (let count = 0; count < 4; count += 1) (await server.next()).end();
  const took = performance.now() - started;
  t.ok(took > 900, `four more watches within ${took} ms`);
});

t.test('a sink that throws is filled anew, and the log says why', async (t) => {
  const { server, told, sink, line } = await followed(t);
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  const { set, replace } = sink;
  sink.set = () => {
    throw new Error('a defect');
  };
  watch.event('ADDED', stored('a', '11'));
  t.match(await line('cannot follow the API server'), { error: 'a defect' });
  await watch.closed;
  const list = await server.next();
  t.notOk(list.query.watch);
  sink.replace = () => {
    throw new Error('another defect');
  };
  list.reply(page([stored('a', '11')], '12'));
  t.match(await line('cannot follow the API server'), { error: 'another defect' });
  Object.assign(sink, { set, replace });
  (await server.next()).reply(page([stored('a', '11')], '13'));
  t.strictSame([await told(), await told()], ['replace ', 'replace a']);
});

t.test('lines that are no events are passed over', async (t) => {
  const { server, told } = await followed(t);
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  watch.event('ADDED', 'not an object' as never);
  watch.event('SOMETHING', stored('b', '11'));
  watch.event('ADDED', stored('c', '12'));
  t.strictSame([await told(), await told()], ['replace ', 'set c']);
});

t.test('a list is let go when the sink has it, however long the watch lasts', async (t) => {
  const { server, told, sink } = await followed(t);
  let listed: WeakRef<object> | undefined;
  const { replace } = sink;
  sink.replace = (items) => {
    listed = new WeakRef(items);
    replace(items);
  };
  (await server.next()).reply(page([stored('a', '9')], '10'));
  t.equal(await told(), 'replace a');
  (await server.next()).event('ADDED', stored('b', '11'));
  t.equal(await told(), 'set b');
  // Beyond the turn in which it was dereferenced.
  await until('the list to be collected', () => {
    collectGarbage();
    return listed?.deref() === undefined;
  });
  t.pass();
});
