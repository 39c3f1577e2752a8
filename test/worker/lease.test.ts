/** The election, with a clock that the test moves: who may work when, and never two at once. */
import t from 'tap';
import { ApiError } from '../../src/kube/api.ts';
import type { Lease, LeaseClient, StoredLease } from '../../src/kube/lease.ts';
import { createElection, stand } from '../../src/worker/lease.ts';
import { listenedLog } from '../serve/log-lines.ts';

/** A Lease as the API server keeps it: a write over another version than the one that stands is refused. */
function playLease() {
  let stored: StoredLease | undefined;
  let version = 0;
  let cut = false;
  const conflict = () => new ApiError('renew', { code: 409, message: 'changed' });
  const write = (lease: Lease) => {
    version += 1;
    stored = { ...lease, version: String(version) };
  };
  const refuse = (code: number) => Object.assign(conflict(), { code });
  const client: LeaseClient = {
    async read() {
      if (cut) throw new Error('cut off');
      return stored && { ...stored };
    },
    async create(lease) {
      if (stored) throw refuse(409);
      write(lease);
    },
    async replace(lease, expected) {
      if (cut) throw new Error('cut off');
      if (stored?.version !== expected) throw refuse(409);
      write(lease);
    },
  };
  /** The same API server, from a place whose connection can be cut. */
  const elsewhere = () => {
    let away = false;
    const guard = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A) => {
        if (away) throw new Error('cut off');
        return call(...args);
      };
    };
    const seen: LeaseClient = {
      read: guard(client.read),
      create: guard(client.create),
      replace: guard(client.replace),
    };
    return { client: seen, cut: (now: boolean) => (away = now) };
  };
  return { client, elsewhere, stored: () => stored, outage: (now: boolean) => (cut = now), write };
}

/** Two replicas with clocks of their own that start at different times and run alike. */
function twoReplicas() {
  const lease = playLease();
  let now = 0;
  const replica = (name: string, offset: number) => {
    const place = lease.elsewhere();
    const clock = () => now + offset;
    const election = createElection(name, place.client, clock);
    return { ...election, cut: place.cut, leads: () => clock() < election.leadsUntil() };
  };
  const [a, b] = [replica('a', 0), replica('b', 5_000_000)];
  /** Time passes in steps of the retry; both look each time, as far as they can. Who led at each step. */
  const pass = async (seconds: number) => {
    const led: string[] = [];
    for (let step = 0; step < seconds; step += 1) {
      now += 1_000;
      if (now % 2_000 === 0) for (const one of [a, b]) await one.attempt().catch(() => {});
      led.push([a.leads() ? 'a' : '', b.leads() ? 'b' : ''].join(''));
    }
    return led;
  };
  return { lease, a, b, pass };
}

t.test('the first who asks holds the lease, and keeps it as long as it asks', async (t) => {
  const { a, b, pass, lease } = twoReplicas();
  await a.attempt();
  await b.attempt();
  t.strictSame([a.leads(), b.leads()], [true, false]);
  t.strictSame(new Set(await pass(120)), new Set(['a']));
  t.match(lease.stored(), { holder: 'a', durationSeconds: 15, transitions: 0 });
  t.match(lease.stored()?.renewTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, "what Go's MicroTime reads");
});

t.test('released, it is taken at the next look', async (t) => {
  const { a, b, lease } = twoReplicas();
  await a.attempt();
  await b.attempt();
  const releasing = a.release();
  t.notOk(a.leads(), 'it has stopped before the lease is free');
  await releasing;
  t.match(lease.stored(), { holder: '', durationSeconds: 1 });
  await b.attempt();
  t.ok(b.leads());
  t.match(lease.stored(), { holder: 'b', transitions: 1 });
  await a.attempt();
  t.notOk(a.leads());
});

t.test('who released takes it no more', async (t) => {
  const { a, lease } = twoReplicas();
  await a.attempt();
  await a.release();
  await a.attempt();
  t.notOk(a.leads());
  t.equal(lease.stored()?.holder, '');
});

t.test('cut off, the holder stops before the other starts, and there is never more than one', async (t) => {
  const { a, b, pass } = twoReplicas();
  await a.attempt();
  await b.attempt();
  await pass(4);
  a.cut(true);
  const led = await pass(30);
  t.ok(
    led.every((who) => who.length <= 1),
    led.join(' '),
  );
  const [last, first] = [led.lastIndexOf('a') + 1, led.indexOf('b') + 1];
  t.ok(last <= 10 && first >= 15 && first <= 18, `a worked for ${last} s more, b started after ${first} s`);
  a.cut(false);
  t.strictSame(new Set(await pass(10)), new Set(['b']), 'the one that comes back follows');
});

t.test('with the API server away nobody works; when it is back the old holder goes on', async (t) => {
  const { a, b, pass, lease } = twoReplicas();
  await a.attempt();
  await b.attempt();
  await pass(4);
  lease.outage(true);
  const led = await pass(60);
  t.strictSame(new Set(led.slice(10)), new Set(['']));
  lease.outage(false);
  const after = await pass(4);
  t.ok(after.every((who) => who.length <= 1));
  t.not(after.at(-1), '');
});

t.test("a clock that is wrong by hours changes nothing: only one's own observation counts", async (t) => {
  const { a, b, pass, lease } = twoReplicas();
  await a.attempt();
  const stored = lease.stored();
  if (stored) lease.write({ ...stored, holder: 'other', renewTime: '2001-01-01T00:00:00.000000Z' });
  await b.attempt();
  t.strictSame([a.leads(), b.leads()], [true, false], 'a has not looked yet');
  await a.attempt();
  t.notOk(a.leads(), 'it sees that another holds it');
  const led = await pass(20);
  t.ok(led.findIndex((who) => who !== '') >= 14, 'the lease looked old from the start; it was waited for all the same');
});

t.test('a renewal whose answer comes late counts from when it was asked for', async (t) => {
  let now = 0;
  const lease = playLease();
  const slow: LeaseClient = {
    ...lease.client,
    async create(wanted) {
      await lease.client.create(wanted);
      now += 9_000;
    },
  };
  const election = createElection('a', slow, () => now);
  await election.attempt();
  t.equal(election.leadsUntil(), 10_000);
});

t.test('two that ask at the same moment: one of them gets it', async (t) => {
  const { a, b } = twoReplicas();
  await Promise.all([a.attempt(), b.attempt()]);
  t.equal([a, b].filter((one) => one.leads()).length, 1);
  const [winner, loser] = a.leads() ? [a, b] : [b, a];
  await winner.release();
  await Promise.all([loser.attempt(), loser.attempt()]);
  t.ok(loser.leads());
});

t.test('a release that meets an own renewal on its way is tried again', async (t) => {
  const lease = playLease();
  let meet = true;
  const met: LeaseClient = {
    ...lease.client,
    async replace(wanted, version) {
      const stored = lease.stored();
      if (wanted.holder === '' && meet && stored) lease.write(stored);
      meet = false;
      await lease.client.replace(wanted, version);
    },
  };
  const election = createElection('a', met, () => 0);
  await election.attempt();
  await election.release();
  t.equal(lease.stored()?.holder, '');
});

t.test('a look that hangs holds up no next one, and the log says so', async (t) => {
  const { log, line } = listenedLog();
  const abort = new AbortController();
  let looks = 0;
  const hanging = {
    attempt: async () => {
      looks += 1;
      if (looks === 1) await new Promise(() => {});
    },
    leadsUntil: () => looks,
    release: async () => {},
  };
  const told: number[] = [];
  const heard = Promise.withResolvers<void>();
  const standing = stand(hanging, (until) => told.push(until) === 2 && heard.resolve(), {
    ...{ log, signal: abort.signal, retryMs: 10 },
  });
  t.match(await line('cannot look at the lease'), { error: 'the API server does not answer' });
  await heard.promise;
  t.strictSame(told, [1, 2]);
  abort.abort();
  await standing;
});
