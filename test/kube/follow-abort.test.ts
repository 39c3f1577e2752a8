/** A process that is told to end must not hang on an API server that does not answer. */
import { getEventListeners } from 'node:events';
import t from 'tap';
import { followed } from './followed.ts';
import { page, stored } from './played-api-server.ts';

t.test('following ends while a list is not answered', async (t) => {
  const { server, abort, ended } = await followed(t);
  await server.next();
  abort.abort();
  await ended;
});

t.test('following ends while a watch is not answered', async (t) => {
  const { server, abort, ended } = await followed(t);
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  abort.abort();
  await ended;
  watch.open();
  await watch.closed;
});

t.test('following ends while a watch is open, and lets go of it', async (t) => {
  const { server, abort, ended, told } = await followed(t);
  (await server.next()).reply(page([], '10'));
  const watch = await server.next();
  watch.event('ADDED', stored('a', '11'));
  t.strictSame([await told(), await told()], ['replace ', 'set a']);
  abort.abort();
  await Promise.all([ended, watch.closed]);
});

t.test('following ends while it waits to try again', async (t) => {
  const { server, abort, ended, line } = await followed(t);
  (await server.next()).refuse(500, 'not now');
  await line('cannot follow the API server');
  abort.abort();
  await ended;
});

t.test('what arrives after the end reaches the sink no more', async (t) => {
  const { server, abort, ended, sink } = await followed(t);
  const list = await server.next();
  abort.abort();
  await ended;
  sink.replace = () => t.fail('replaced');
  list.reply(page([stored('a', '1')], '10'));
  await list.closed;
});

t.test('a watch that ends leaves nothing behind on the signal', async (t) => {
  const { server, abort } = await followed(t);
  (await server.next()).reply(page([], '10'));
  (await server.next()).end();
  const second = await server.next();
  const before = getEventListeners(abort.signal, 'abort').length;
  second.end();
  (await server.next()).end();
  (await server.next()).end();
  await server.next();
  t.equal(getEventListeners(abort.signal, 'abort').length, before);
});
