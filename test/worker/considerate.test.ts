import t from 'tap';
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import { considerate } from '../../src/worker/considerate.ts';
import { type PlayedCluster, playCluster, record, refused } from './played-cluster.ts';

const MEMORY: MemoryStatus = { phase: 'NoData', message: 'x', workloads: 0, containers: [], history: [] };
const NEWS = { type: 'Normal' as const, reason: 'Recommended' as const, message: 'more' };

/** Writes to a cluster by a clock that only sleeping moves; what was slept is kept, in milliseconds. */
function slowly(played: PlayedCluster, more: { perSecond?: number; burst?: number } = {}) {
  let now = 0;
  const slept: number[] = [];
  const cluster = considerate(played, {
    perSecond: more.perSecond ?? 1e9,
    events: { burst: more.burst ?? 5, perSecond: 10 },
    clock: () => now,
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
      now += milliseconds;
    },
  });
  const pass = (milliseconds: number) => {
    now += milliseconds;
  };
  return { cluster, slept, pass, now: () => now };
}

/** The record as it was read, before what happens next. */
async function read(played: PlayedCluster): Promise<RecordResource> {
  const [orders] = await played.records();
  return orders as RecordResource;
}

t.test('writes and Events begin no faster than the rate, whoever asks for them', async (t) => {
  const played = playCluster([record('orders')], []);
  const { cluster, now } = slowly(played, { perSecond: 100, burst: 100 });
  const orders = await read(played);
  for (let count = 0; count < 26; count += 1) await cluster.emit(orders, NEWS);
  t.equal(played.events.length, 26);
  t.ok(Math.abs(now() - 250) < 1, `${now()} ms for 25 intervals of 10 ms`);
});

t.test('a server that asks for patience gets it, for as long as it says, but not for ever', async (t) => {
  for (const code of [429, 503]) {
    const played = playCluster([record('orders')], []);
    const { writeStatus } = played;
    const answers = [refused(code, 'too many requests', 3), refused(code, 'again', 86_400)];
    played.writeStatus = async (one, memory) => {
      const refusal = answers.shift();
      if (refusal) throw refusal;
      await writeStatus(one, memory);
    };
    const { cluster, slept } = slowly(played);
    await cluster.writeStatus(await read(played), MEMORY);
    t.strictSame(slept.map(Math.round), [3000, 10_000]);
    t.strictSame(played.writes, ['orders']);
  }
});

t.test('a VerticalPodAutoscaler is written and removed with the same patience', async (t) => {
  const played = playCluster([], []);
  const { writeVpa, removeVpa } = played;
  const answers = [refused(429, 'too many requests', 3), undefined, refused(503, 'again')];
  const unless = async (write: () => Promise<void>) => {
    const refusal = answers.shift();
    if (refusal) throw refusal;
    await write();
  };
  played.writeVpa = (vpa) => unless(() => writeVpa(vpa));
  played.removeVpa = (vpa) => unless(() => removeVpa(vpa));
  const { cluster, slept } = slowly(played);
  await cluster.writeVpa({ metadata: { name: 'x' } });
  await cluster.removeVpa({ metadata: { name: 'x' } });
  t.strictSame(played.writes, ['x', '-x']);
  t.strictSame(slept.map(Math.round).filter(Boolean), [3000, 1000]);
});

t.test('after the third refusal it is left, and any other error is no matter of patience', async (t) => {
  const played = playCluster([record('orders')], []);
  const { cluster, slept } = slowly(played);
  let tries = 0;
  const always = (code: number) => async () => {
    tries += 1;
    throw refused(code, 'no');
  };
  played.emit = always(429);
  const [orders, { cluster: again }] = [await read(played), slowly(played)];
  await t.rejects(again.emit(orders, NEWS), { code: 429 });
  t.equal(tries, 3);
  played.writeStatus = always(500);
  await t.rejects(slowly(played).cluster.writeStatus(orders, MEMORY), { code: 500 });
  t.equal(tries, 4);
  t.strictSame(slept, []);
  t.ok(cluster);
});

t.test('a record that somebody else has written elsewhere is written at its new version', async (t) => {
  const played = playCluster([record('orders')], []);
  const orders = await read(played);
  const conditions = [{ type: 'Ready' }];
  played.amend('orders', ({ spec, status }) => ({
    spec: { ...spec, nfr: { ...(spec?.nfr as object) }, replicas: 3 },
    status: { ...status, conditions },
  }));
  await slowly(played).cluster.writeStatus(orders, MEMORY);
  t.strictSame(played.writes, ['orders']);
  t.match(played.status('orders'), MEMORY);
  t.match((await read(played)).status, { conditions }, 'and keeps what they wrote');
});

t.test('where that was what the decision is made from, it is not written', async (t) => {
  const changes: [string, (one: RecordResource) => object][] = [
    ['the wishes', () => ({ spec: { nfr: { memory_tuning: { enforce: true } } } })],
    ['our status', () => ({ status: { nfr_recommendations: { memory: { ...MEMORY, message: 'a newer leader' } } } })],
    ['the record itself', ({ metadata }) => ({ metadata: { ...metadata, uid: 'another' } })],
  ];
  for (const [what, change] of changes) {
    const played = playCluster([record('orders')], []);
    const orders = await read(played);
    played.amend('orders', change);
    await t.rejects(slowly(played).cluster.writeStatus(orders, MEMORY), { code: 409 }, what);
    t.strictSame(played.writes, []);
  }
});

t.test('somebody who writes all the time is not raced for ever', async (t) => {
  const played = playCluster([record('orders')], []);
  const orders = await read(played);
  const { reread } = played;
  let reads = 0;
  const busy = {
    ...played,
    reread: async (one: RecordResource) => {
      const found = await reread(one);
      reads += 1;
      played.amend('orders', () => ({}));
      return found;
    },
  };
  played.amend('orders', () => ({}));
  await t.rejects(slowly(busy).cluster.writeStatus(orders, MEMORY), { code: 409 });
  t.equal(reads, 2);
});

t.test('a record that is gone when it is read again is a 404', async (t) => {
  const played = playCluster([record('orders')], []);
  const orders = await read(played);
  played.amend('orders', () => ({}));
  played.reread = async () => {
    throw refused(404, 'not found');
  };
  await t.rejects(slowly(played).cluster.writeStatus(orders, MEMORY), { code: 404 });
});

t.test('a flood of Events is cut off, and a few a second go again after it', async (t) => {
  const played = playCluster([record('orders')], []);
  const { cluster, pass } = slowly(played, { burst: 5 });
  const orders = await read(played);
  for (let count = 0; count < 20; count += 1) await cluster.emit(orders, NEWS);
  t.equal(played.events.length, 5);
  pass(200);
  for (let count = 0; count < 20; count += 1) await cluster.emit(orders, NEWS);
  t.equal(played.events.length, 7);
  pass(3_600_000);
  for (let count = 0; count < 20; count += 1) await cluster.emit(orders, NEWS);
  t.equal(played.events.length, 12, 'a quiet hour saves up no more than one burst');
});
