/** What a review may be: too large, cut off, deep, of a thousand containers, sent by somebody who takes his time. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { container, deployment, edited } from '../admit/objects.ts';
import { until } from '../cluster/until.ts';
import { orders, review } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { flood, IN_TIME_MS, keepsItsPromise, type Running, run, timed } from './running.ts';

const MiB = 1024 * 1024;

async function ready(t: Test, execArgv: string[] = []): Promise<Running> {
  const cluster = await playCluster(t);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig }, execArgv });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  return tuner;
}

const update = (object: JsonObject, oldObject: JsonObject) => review(object, { operation: 'UPDATE', oldObject });

/** Objects inside one another, `depth` of them, as text: nothing in JavaScript would print them. */
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const filled = (mebibytes: number) => edited(orders, ({ spec }) => (spec.filling = 'x'.repeat(mebibytes * MiB)));

const BAD: Record<string, { body: () => string; status?: number; says: RegExp }> = {
  'of 8 MiB': { body: () => JSON.stringify(update(filled(4), filled(4))), status: 413, says: /too large/ },
  'cut off': { body: () => JSON.stringify(review()).slice(0, -20), says: /not valid JSON/ },
  'not JSON': { body: () => '<xml/>', says: /not valid JSON/ },
  empty: { body: () => '', says: /empty/ },
  'with a __proto__': {
    body: () => JSON.stringify(review()).replace('"spec"', '"__proto__"'),
    says: /not valid JSON/,
  },
  'of another version': {
    body: () => JSON.stringify({ ...review(), apiVersion: 'admission.k8s.io/v2' }),
    says: /admission\.k8s\.io\/v2/,
  },
  'deep and no review': { body: () => nested(500_000), says: /AdmissionReview/ },
};

t.test('what is no review is refused at once, which the API server takes as "go on without"', async (t) => {
  const tuner = await ready(t);
  for (const [how, { body, status = 400, says }] of Object.entries(BAD)) {
    const text = body();
    // Who is refused while he is still sending may see the connection close before he reads why.
    const cutOff = ({ code }: { code?: string }) => ({
      status: ['EPIPE', 'ECONNRESET'].includes(code ?? '') ? 413 : 0,
    });
    const { reply, ms } = await timed(() => tuner.client.post('/mutate', text).catch(cutOff));
    t.equal(reply.status, status, how);
    t.ok(ms < IN_TIME_MS, `${how}: ${ms.toFixed()} ms`);
    await tuner.line('not answered', (line) => line.status === status && says.test(String(line.error)));
  }
  const counted = 'oaas_tuner_admissions_total{kind="other",operation="other",result="error",reason="bad-review"}';
  t.equal(await tuner.metric(counted), Object.keys(BAD).length);
  await keepsItsPromise(t, tuner, 'right');
});

const many = (count: number, name: (index: number) => string) =>
  deployment(Array.from({ length: count }, (_, index) => container(name(index), '256Mi', '512Mi')));
const tiny = (count: number) => deployment(Array.from({ length: count }, (_, index) => ({ name: `${index}` })));
const deep = (object: JsonObject, depth: number) =>
  JSON.stringify(review(edited(object, ({ spec }) => (spec.template.spec.deep = 'HERE')))).replace(
    '"HERE"',
    nested(depth),
  );
const deepUpdate = (depth: number) =>
  JSON.stringify(
    update(
      edited(orders, ({ spec }) => (spec.template.spec.deep = 'HERE')),
      edited(orders, ({ spec }) => (spec.template.spec.deep = 'HERE')),
    ),
  ).replaceAll('"HERE"', nested(depth));

/** Each could be in a manifest that a person may write; the API server judges it only after us. */
const ODD: Record<string, { body: () => string; object?: JsonObject; patched: boolean }> = {
  'of nearly 7 MiB': { body: () => JSON.stringify(update(filled(3.4), filled(3.4))), patched: true },
  'without a spec': { body: () => JSON.stringify(review(edited(orders, (o) => delete o.spec))), patched: false },
  'without an object': { body: () => JSON.stringify(review(null)), patched: false },
  deep: { body: () => deep(orders, 9_000), patched: true },
  // Too deep to compare: an error of ours, and still no error of theirs.
  'deep on both sides': { body: () => deepUpdate(9_000), patched: false },
  'of 20,000 containers of one name': {
    body: () => JSON.stringify(review(many(20_000, () => 'function'))),
    patched: false,
  },
  'of 20,000 containers': { body: () => JSON.stringify(review(many(20_000, (index) => `c-${index}`))), patched: false },
  'updated with 10,000 containers': {
    body: () =>
      JSON.stringify(
        update(
          many(10_000, (index) => `c-${index}`),
          many(10_000, (index) => `c-${9_999 - index}`),
        ),
      ),
    patched: false,
  },
  'of 100,000 tiny containers': { body: () => JSON.stringify(review(tiny(100_000))), patched: false },
};

t.test('what is a review is answered in time, however odd its object', async (t) => {
  const tuner = await ready(t);
  for (const [how, { body, patched }] of Object.entries(ODD)) {
    const text = body();
    const { reply, ms } = await timed(() => tuner.client.post('/mutate', text));
    t.strictSame([reply.status, reply.body.response?.allowed], [200, true], how);
    t.equal(reply.body.response?.patch !== undefined, patched, `${how}: ${patched ? 'its values' : 'unchanged'}`);
    t.ok(ms < IN_TIME_MS, `${how}: ${ms.toFixed()} ms`);
  }
  await tuner.line('a defect: admitted unchanged', ({ err }) => /call stack/.test(JSON.stringify(err)));
  const defects =
    'oaas_tuner_admissions_total{kind="Deployment",operation="UPDATE",result="error",reason="internal-error"}';
  t.equal(await tuner.metric(defects), 1, 'the one that was too deep');
  await keepsItsPromise(t, tuner, 'right');
});

async function open(t: Test, { reviewsPort }: Running): Promise<TLSSocket> {
  const socket = connect({ port: reviewsPort, host: '127.0.0.1', rejectUnauthorized: false });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

t.test('senders that take their time keep nobody waiting, and are shown out', async (t) => {
  const tuner = await ready(t);
  const started = performance.now();
  const slow = await Promise.all(Array.from({ length: 100 }, () => open(t, tuner)));
  const gone = slow.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)));
  const [head, body] = [
    'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n',
    JSON.stringify(review()),
  ];
  for (const [index, socket] of slow.entries()) {
    if (index % 3 === 0) socket.write(head.slice(0, 20));
    else if (index % 3 === 1) socket.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    else socket.write(`${head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`);
  }
  await keepsItsPromise(t, tuner, 'right');
  await Promise.all(gone);
  t.ok(performance.now() - started < 60_000, 'nobody may hold a connection for ever');
  await tuner.line('a caller got no answer', ({ cause }) => cause === 'too-slow');
  t.equal(await tuner.metric('oaas_tuner_callers_unanswered_total{cause="too-slow"}'), slow.length);
  await keepsItsPromise(t, tuner, 'right');
});

t.test('large reviews, many at once, in a heap as small as the chart gives: the process lives', async (t) => {
  // Half of the chart's memory limit, as V8 takes it by itself inside a container.
  const tuner = await ready(t, ['--max-old-space-size=256']);
  const text = JSON.stringify(update(tiny(100_000), tiny(100_000)));
  const client = tuner.trusting(12);
  // Of one flood on a busy machine it may be that no body is read in time.
  const some = await until('some to be answered', async () => {
    const ends = await flood(client, text);
    t.strictSame(
      ends.filter((end) => ![true, 503, 408, 0].includes(end)),
      [],
    );
    return ends.includes(true);
  });
  t.ok(some);
  await keepsItsPromise(t, tuner, 'right');
});

t.test('more reviews than fit into memory: the next is told at once, and counted', async (t) => {
  const tuner = await ready(t);
  const announced = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${7 * MiB}\r\n\r\n{`;
  const sockets = await Promise.all(Array.from({ length: 5 }, () => open(t, tuner)));
  const answered = sockets.map((socket) => once(socket, 'data'));
  for (const socket of sockets) socket.write(announced);
  t.match(String((await Promise.race(answered))[0]), /^HTTP\/1.1 503 /);
  const counted = 'oaas_tuner_admissions_total{kind="other",operation="other",result="error",reason="too-busy"}';
  t.equal(await tuner.metric(counted), 1);
  await tuner.line('too busy: refused a review');
  await keepsItsPromise(t, tuner, 'right');
  for (const socket of sockets) socket.destroy();
  const [again] = [await open(t, tuner)];
  again.write(`${announced.replace(String(7 * MiB), '1')}`);
  t.match(String((await once(again, 'data'))[0]), /^HTTP\/1.1 400 /, 'there is room again');
});
