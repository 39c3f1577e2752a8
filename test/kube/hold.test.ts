import t, { type Test } from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { createApi, type ResourceType } from '../../src/kube/api.ts';
import { type Holder, holdLists } from '../../src/kube/hold.ts';
import { until } from '../cluster/until.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { type Asked, type PlayedApiServer, page, playApiServer, stored } from './played-api-server.ts';

const RECORDS: ResourceType = { group: 'oaas.io', version: 'v1alpha1', plural: 'deploymentrecords' };
const LIMIT_RANGES: ResourceType = { group: '', version: 'v1', plural: 'limitranges' };

type Holding = { api: Holder };

async function holding(
  t: Test,
): Promise<Holding & { server: PlayedApiServer; lines: { msg: string; what?: unknown }[] }> {
  const server = await playApiServer();
  const { log, lines } = listenedLog('debug');
  const holder = holdLists(server.config, createApi(server.config), log);
  t.teardown(async () => {
    holder.letGo();
    await server.close();
  });
  return { api: holder, server, lines: lines as never };
}

const names = (items: JsonObject[]) => items.map(({ metadata }) => (metadata as JsonObject).name).join();

/** What is held after some events: they come when they come. */
const heldIs = ({ api }: Holding, wanted: string) =>
  until(`the list to be ${wanted}`, async () => names((await api.list(RECORDS)).items) === wanted);

/** Lists once; the server then holds the watch that follows. */
async function listed(holder: Holding, server: PlayedApiServer, items: JsonObject[], version: string): Promise<Asked> {
  const list = holder.api.list(RECORDS);
  const asked = await server.next();
  if (asked.query.watch !== undefined) throw new Error('a watch came where a list was due');
  asked.reply(page(items, version));
  await list;
  const watch = await server.next();
  if (watch.query.watch === undefined) throw new Error('a list came where a watch was due');
  return watch;
}

t.test('a list is read once; what changes from its version on comes by a watch', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1'), stored('b', '2')], '10');
  t.equal(watch.path, '/apis/oaas.io/v1alpha1/deploymentrecords');
  t.match(watch.query, { resourceVersion: '10', allowWatchBookmarks: 'true' });
  t.equal(watch.query.labelSelector, undefined);
  watch.event('ADDED', stored('c', '11'));
  watch.event('DELETED', stored('a', '12'));
  watch.event('MODIFIED', { ...stored('b', '13'), spec: { changed: true } });
  await until('the change', async () => (await holder.api.list(RECORDS)).items[0]?.spec);
  const { items, resourceVersion } = await holder.api.list(RECORDS);
  t.equal(names(items), 'b,c');
  t.match(items[0], { spec: { changed: true } });
  t.equal(resourceVersion, '13');
});

t.test('what comes by the watch is slimmed as what comes by the list', async (t) => {
  const holder = await holding(t);
  const fat = (name: string, version: string) => {
    const one = stored(name, version);
    return { ...one, metadata: { ...(one.metadata as JsonObject), managedFields: [{ manager: 'kubectl' }] } };
  };
  const watch = await listed(holder, holder.server, [fat('a', '1')], '10');
  watch.event('ADDED', fat('b', '11'));
  await heldIs(holder, 'a,b');
  const { items } = await holder.api.list(RECORDS);
  t.notMatch(items[0], { metadata: { managedFields: [] } });
  t.notMatch(items[1], { metadata: { managedFields: [] } });
});

t.test('what was given out before stays as it was: a cycle reads one state of the cluster', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  const { items } = await holder.api.list(RECORDS);
  watch.event('DELETED', stored('a', '11'));
  await heldIs(holder, '');
  t.equal(names(items), 'a');
});

t.test('two types, and two selections of one, are each a list of their own, watched with that selection', async (t) => {
  const { api, server } = await holding(t);
  for (const [type, selector, path] of [
    [RECORDS, undefined, '/apis/oaas.io/v1alpha1/deploymentrecords'],
    [RECORDS, 'team=a', '/apis/oaas.io/v1alpha1/deploymentrecords'],
    [LIMIT_RANGES, undefined, '/api/v1/limitranges'],
  ] as const) {
    const list = api.list(type, selector);
    const asked = await server.next();
    t.match(asked, { path });
    asked.reply(page([stored(`of ${selector}`, '1')], '10'));
    await list;
    const watch = await server.next();
    t.match(watch, { path, query: { watch: 'true' } });
    t.equal(watch.query.labelSelector, selector);
    watch.open();
  }
  t.equal(names((await api.list(RECORDS)).items), 'of undefined');
  t.equal(names((await api.list(RECORDS, 'team=a')).items), 'of team=a');
});

t.test(
  'the server is asked to end each watch before the library takes it for dead; the next goes on from there',
  async (t) => {
    const holder = await holding(t);
    const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
    t.equal(watch.query.timeoutSeconds, '25');
    watch.event('BOOKMARK', { metadata: { resourceVersion: '40' } });
    watch.end();
    const next = await holder.server.next();
    t.match(next.query, { watch: 'true', resourceVersion: '40' });
    next.event('ADDED', stored('b', '41'));
    await heldIs(holder, 'a,b');
  },
);

const ENDS: [string, (watch: Asked) => void][] = [
  ['whose version is too old, in the stream,', (watch) => watch.event('ERROR', { code: 410, message: 'too old' })],
  ['whose version is too old, at once,', (watch) => watch.refuse(410, 'too old')],
  ['that is refused', (watch) => watch.refuse(403, 'you may not watch')],
  ['that is broken', (watch) => watch.reset()],
  [
    'that somebody between us ends at once',
    (watch) => {
      watch.open();
      watch.end();
    },
  ],
  ['whose server is overwhelmed', (watch) => watch.refuse(429, 'too many requests')],
];
for (const [how, end] of ENDS) {
  t.test(`after a watch ${how} the next call lists anew, and watches again`, async (t) => {
    const holder = await holding(t);
    end(await listed(holder, holder.server, [stored('a', '1')], '10'));
    await until('the log to say so', () => holder.lines.some(({ msg }) => msg.startsWith('not held')));
    t.match(
      holder.lines,
      [{ level: 20, what: 'deploymentrecords.oaas.io' }],
      'nothing to warn of: the cycle says what is wrong',
    );
    const watch = await listed(holder, holder.server, [stored('b', '20')], '20');
    t.equal(watch.query.resourceVersion, '20');
    t.equal(names((await holder.api.list(RECORDS)).items), 'b');
  });
}

t.test('after a watch that is silent for half a minute the next call lists anew', async (t) => {
  const timer = globalThis.setTimeout;
  // The library's half minute, in a twentieth of a second.
  const hasty = (call: () => void, ms?: number) => timer(call, ms === 30_000 ? 50 : ms);
  t.intercept(globalThis, 'setTimeout', { value: hasty });
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  watch.open();
  await watch.closed;
  await until('the log to say so', () => holder.lines.length > 0);
  t.match(holder.lines, [{ error: 'nothing came for half a minute' }]);
  await listed(holder, holder.server, [stored('b', '20')], '20');
});

/** A status is written; the server says that it is of this version now. */
async function written({ api }: Holding, server: PlayedApiServer, name: string, version: string): Promise<void> {
  const write = api.applyStatus(RECORDS, 'shop', name, {});
  (await server.next()).reply(stored(name, version));
  t.equal(await write, version);
}

t.test('a list shows what we wrote ourselves: it waits a moment for the watch to bring it', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  await written(holder, holder.server, 'a', '11');
  const list = holder.api.list(RECORDS);
  watch.event('MODIFIED', { ...stored('a', '11'), status: { written: true } });
  t.match((await list).items, [{ status: { written: true } }]);
  t.match((await holder.api.list(RECORDS)).items, [{ status: { written: true } }], 'and asks nothing');
});

t.test('a watch that does not bring what we wrote is not waited for: the list is read anew', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  watch.event('MODIFIED', stored('a', '11'));
  await written(holder, holder.server, 'a', '12');
  await listed(holder, holder.server, [stored('a', '12')], '12');
  await watch.closed;
  t.match(holder.lines, [{ error: 'what we wrote has not come back' }]);
});

t.test('the latest of our writes counts, in whatever order they are answered', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1'), stored('b', '2')], '10');
  await written(holder, holder.server, 'a', '12');
  await written(holder, holder.server, 'b', '11');
  watch.event('MODIFIED', stored('b', '11'));
  const list = holder.api.list(RECORDS);
  watch.event('MODIFIED', { ...stored('a', '12'), status: { written: true } });
  t.match((await list).items, [{ status: { written: true } }, {}]);
});

t.test(
  'after a write of which nobody knows what became the list is read anew, after a refusal it is not',
  async (t) => {
    const holder = await holding(t);
    const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
    watch.open();
    const write = async (answer: (asked: Asked) => void) => {
      const failed = t.rejects(holder.api.applyStatus(RECORDS, 'shop', 'a', {}));
      answer(await holder.server.next());
      await failed;
    };
    await write((asked) => asked.refuse(409, 'the object has been modified'));
    t.equal(names((await holder.api.list(RECORDS)).items), 'a');
    await write((asked) => asked.refuse(504, 'etcd took too long'));
    await watch.closed;
    const next = await listed(holder, holder.server, [stored('a', '12')], '12');
    next.open();
    await write((asked) => asked.reset());
    await next.closed;
    await listed(holder, holder.server, [stored('a', '13')], '13');
  },
);

t.test('a watch that ends in its time, without even a bookmark, has shown that nothing changed', async (t) => {
  const holder = await holding(t);
  const now = performance.now.bind(performance);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  watch.open();
  t.intercept(performance, 'now', { value: () => now() + 25_000 });
  watch.end();
  const next = await holder.server.next();
  t.match(next.query, { watch: 'true', resourceVersion: '10' });
  t.strictSame(holder.lines, []);
});

t.test('after half an hour the list is read anew, whatever the watch says', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  const now = performance.now.bind(performance);
  t.intercept(performance, 'now', { value: () => now() + 30 * 60_000 });
  watch.event('BOOKMARK', { metadata: { resourceVersion: '40' } });
  watch.end();
  await until('the log to say so', () => holder.lines.length > 0);
  t.match(holder.lines, [{ error: 'it was held for half an hour' }]);
});

t.test('what we wrote of others is not waited for', async (t) => {
  const { api, server } = await holding(t);
  const selected = api.list(RECORDS, 'team=a');
  (await server.next()).reply(page([stored('a', '1')], '10'));
  await selected;
  (await server.next()).open();
  await written({ api }, server, 'b', '11');
  t.equal(names((await api.list(RECORDS, 'team=a')).items), 'a', 'an object that the selection does not hold');
  const others = api.list(LIMIT_RANGES);
  (await server.next()).reply(page([stored('c', '1')], '10'));
  await others;
  (await server.next()).open();
  await written({ api }, server, 'c', '12');
  t.equal(names((await api.list(LIMIT_RANGES)).items), 'c', 'another type');
});

t.test('a list that fails says why, and is not held', async (t) => {
  const holder = await holding(t);
  const list = holder.api.list(RECORDS);
  (await holder.server.next()).refuse(500, 'etcd is slow');
  await t.rejects(list, { code: 500, message: 'list deploymentrecords.oaas.io: etcd is slow (HTTP 500)' });
  await listed(holder, holder.server, [stored('a', '1')], '10');
});

t.test('who lets go watches nothing, and lists anew', async (t) => {
  const holder = await holding(t);
  const watch = await listed(holder, holder.server, [stored('a', '1')], '10');
  watch.open();
  holder.api.letGo();
  await watch.closed;
  t.strictSame(holder.lines, [], 'which is no failure');
  const next = await listed(holder, holder.server, [stored('b', '20')], '20');
  t.equal(next.query.resourceVersion, '20');
  next.event('ADDED', stored('c', '21'));
  await heldIs(holder, 'b,c');
});
