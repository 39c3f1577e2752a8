/** The end of a replica: the API server keeps its connections and must not lose a call on any of them. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import t from 'tap';
import { request } from 'undici';
import { startApp } from '../../src/app.ts';
import { readSettings } from '../../src/settings.ts';
import { createRecordStore, type RecordStore } from '../../src/store/records.ts';
import { until } from '../cluster/until.ts';
import { listenedLog } from './log-lines.ts';
import { clientOf, record, review, serve } from './served.ts';

async function start(tlsDir: string, records = [record()]) {
  const read = readSettings({
    OAAS_TUNER_HOST: '127.0.0.1',
    OAAS_TUNER_PORT: '0',
    OAAS_TUNER_METRICS_PORT: '0',
    OAAS_TUNER_TLS_DIR: tlsDir,
    OPRC_CRM_PROFILE: 'full',
  });
  if ('problems' in read) throw new Error(read.problems.join());
  let store: RecordStore = createRecordStore();
  const stopped: string[] = [];
  const app = await startApp(read.settings, listenedLog().log, async (opened, namespaces) => {
    store = opened;
    namespaces.replace([]);
    return {
      workerMetrics: () => 'of_the_worker 1\n',
      stop: async () => {
        stopped.push('edges');
      },
    };
  });
  const fill = () => store.replace(records);
  const ops = async (path: string) => {
    const { statusCode, body } = await request(`http://127.0.0.1:${app.opsPort}${path}`);
    return `${statusCode} ${await body.text()}`;
  };
  const client = clientOf(app.reviewsPort, readFileSync(join(tlsDir, 'ca.crt'), 'utf8'), 1);
  return { app, fill, ops, client, stopped, store: () => store };
}

t.test('a replica is ready when the records have been listed, and not any more when it stops', async (t) => {
  const { app, fill, ops, client } = await start(t.testdir());
  t.teardown(() => client.close());
  t.equal(await ops('/readyz'), '503 not ready: the records have not been listed yet\n');
  t.equal(await ops('/livez'), '200 ok\n');
  fill();
  t.equal(await ops('/readyz'), '200 ok\n');
  const stopping = app.stop(8);
  t.equal(await ops('/readyz'), '503 not ready: stopping\n');
  t.equal(await ops('/livez'), '200 ok\n', 'or the kubelet would kill it while it drains');
  t.match(await ops('/metrics'), /^200 .*oaas_tuner_store_records 1\n.*of_the_worker 1\n/s);
  await stopping;
});

t.test('a client on a kept connection sees no error and no 503 while the replica drains', async (t) => {
  const { app, fill, client, stopped } = await start(t.testdir());
  t.teardown(() => client.close());
  fill();
  const kept = await client.post('/mutate', review());
  t.not(kept.headers.connection, 'close', 'before, connections are kept');
  // Each comes by a new connection, and a handshake takes a while where many want the machine.
  const stopping = app.stop(8);
  for (let count = 0; count < 8; count += 1) {
    const { status, headers, body } = await client.post('/mutate', review());
    if (status !== 200 || headers.connection !== 'close' || !body.response.patch) t.same({ status, headers, body }, {});
  }
  t.strictSame(stopped, [], 'the store is kept current until the end');
  await stopping;
  t.strictSame(stopped, ['edges']);
  await t.rejects(client.post('/mutate', review()), { code: 'ECONNREFUSED' });
});

t.test('a review that is being answered at the very end is answered', async (t) => {
  const { app, fill, client, store } = await start(t.testdir(), []);
  t.teardown(() => client.close());
  fill();
  const begun = new Promise<void>((resolve) => {
    const { waitFor } = store();
    store().waitFor = (...wanted) => {
      resolve();
      return waitFor(...wanted);
    };
  });
  const answer = client.post('/mutate', review());
  await begun;
  const stopping = app.stop(0);
  const { status, body } = await answer;
  t.strictSame([status, body.response.allowed], [200, true]);
  await stopping;
});

t.test('a review whose sending had begun before the end is answered, and not with a 503', async (t) => {
  const served = await serve();
  t.teardown(() => served.close());
  const arrived = once(served.server.app.server, 'secureConnection');
  const socket = connect({ port: served.port, host: 'localhost', ca: served.ca });
  const [accepted] = await arrived;
  const body = JSON.stringify(review());
  socket.write('POST /mutate HTTP/1.1\r\nhost: localhost\r\n');
  await until('the first half to arrive', () => accepted.bytesRead > 0, { everyMs: 1 });
  served.server.drain();
  const closed = served.server.app.close();
  socket.write(`content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  const answer = await text(socket);
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(answer, /connection: close\r\n/);
  await closed;
});
