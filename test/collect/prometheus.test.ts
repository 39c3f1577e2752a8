import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import {
  createPrometheus,
  PrometheusError,
  type PrometheusOptions,
  type QueryResult,
  type Told,
} from '../../src/collect/prometheus.ts';
import type { Json } from '../../src/domain/json.ts';
import { playPrometheus, sendJson, sendText, vector } from './played-prometheus.ts';

const NOW = Date.parse('2026-01-31T10:00:00.500Z');
const TIMEOUT_MS = 5_000;

const PATIENT = new AbortController().signal;

/** A client that waits next to nothing between its attempts. */
function clientOf(url: string, more: Partial<PrometheusOptions> = {}) {
  const prometheus = createPrometheus({
    ...{ url, timeoutMs: TIMEOUT_MS, params: {}, access: async () => ({ headers: {} }), firstWaitMs: 1 },
    ...more,
  });
  return { query: (promql = 'up', signal = PATIENT) => prometheus.query(promql, NOW, signal) };
}

/** What a query gives when Prometheus answers so. */
async function asked(t: Test, answer: (response: ServerResponse) => void): Promise<QueryResult> {
  const server = await playPrometheus((_question, response) => answer(response));
  t.teardown(server.close);
  return clientOf(server.url).query();
}

/** The error of a query that Prometheus answers so. */
async function refused(t: Test, answer: (response: ServerResponse) => void): Promise<PrometheusError> {
  const error = await asked(t, answer).then(
    (result) => t.fail('it was taken for an answer', { result }),
    (reason) => reason,
  );
  t.ok(error instanceof PrometheusError);
  t.notMatch(error.message, /[\n\r\t]/, 'one line');
  return error;
}

t.test('a query is a form, with one fixed time, below whatever path the URL has', async (t) => {
  const server = await playPrometheus((_question, response) => sendJson(response, vector([])));
  t.teardown(server.close);
  const promql = 'max_over_time(m{a=~"x|y"}[10m]) > 0';
  await clientOf(`${server.url}/select/0/prometheus`, { params: { dedup: 'true', query: 'mine' } }).query(promql);
  const [question] = server.questions;
  t.match(question, {
    method: 'POST',
    path: '/select/0/prometheus/api/v1/query',
    contentType: 'application/x-www-form-urlencoded',
  });
  t.strictSame(Object.fromEntries(question?.form ?? []), {
    ...{ dedup: 'true', query: promql, time: '1769853600.5', timeout: '5000ms', stats: 'true' },
  });
});

t.test('rows are labels and a number', async (t) => {
  const labels = { namespace: 'shop', workload: 'orders', container: 'function' };
  const result = await asked(t, (response) => sendJson(response, vector([[labels, '188743680']])));
  t.strictSame(result, { rows: [{ labels, value: 188_743_680, at: 1_769_853_600 }], partial: false });
});

t.test('a matrix is rows of several moments', async (t) => {
  const values = [
    [10, '1'],
    [20, 'NaN'],
    [30, '0'],
  ];
  const result = await asked(t, (response) =>
    sendJson(response, { status: 'success', data: { resultType: 'matrix', result: [{ metric: { a: 'b' }, values }] } }),
  );
  t.strictSame(result.rows, [
    { labels: { a: 'b' }, value: 1, at: 10 },
    { labels: { a: 'b' }, value: 0, at: 30 },
  ]);
});

t.test('values that are no amount of anything are dropped', async (t) => {
  const values = ['NaN', '+Inf', '-Inf', '-1', '', 'x', '1e8'];
  const result = await asked(t, (response) =>
    sendJson(response, vector(values.map((value) => [{ container: value }, value]))),
  );
  t.strictSame(result, { rows: [{ labels: { container: '1e8' }, value: 1e8, at: 1_769_853_600 }], partial: false });
});

t.test('nothing found is an answer without rows', async (t) => {
  t.strictSame(await asked(t, (response) => sendJson(response, vector([]))), { rows: [], partial: false });
});

t.test('an answer that says of itself that it lacks something is partial; a remark on the query is not', async (t) => {
  const partial = async (more: object) =>
    (await asked(t, (response) => sendJson(response, vector([[{}, 1]], more)))).partial;
  t.equal(await partial({ warnings: ['a store did not answer'] }), true, 'Thanos');
  t.equal(await partial({ isPartial: true }), true, 'VictoriaMetrics');
  t.equal(await partial({ warnings: [] }), false);
  t.equal(await partial({ isPartial: false }), false);
  t.equal(await partial({ infos: ['PromQL info: metric might not be a counter'] }), false);
});

t.test('rows that are none make the answer partial', async (t) => {
  const result = await asked(t, (response) =>
    sendJson(response, { status: 'success', data: { result: [null, 'x', { value: [0, '1'] }] } }),
  );
  t.strictSame(result, { rows: [], partial: true });
});

t.test("Prometheus' own refusal reaches the reader in its own words", async (t) => {
  const body = { status: 'error', errorType: 'execution', error: 'query processing would load too many samples' };
  const error = await refused(t, (response) => sendJson(response, body, 422));
  t.equal(error.status, 422);
  t.equal(error.message, 'Prometheus refused a query: HTTP 422: query processing would load too many samples');
});

t.test(
  "what is not in Prometheus' own words is told by its status: a page of a proxy changes with each request",
  async (t) => {
    const starting = await refused(t, (response) => sendText(response, 'Service Unavailable', 503));
    t.strictSame([starting.status, starting.message], [503, 'Prometheus refused a query: HTTP 503']);
    const missing = await refused(t, (response) => sendText(response, '404 page not found\n', 404));
    t.strictSame(
      [missing.status, missing.message],
      [404, 'Prometheus refused a query: HTTP 404 (check the path of OPRC_CRM_PROM_URL)'],
    );
    const page = `<html>\r\n<head>\n\t<title>502 Bad Gateway</title>${'x'.repeat(5000)}`;
    const proxy = await refused(t, (response) => sendText(response, page, 502));
    t.equal(proxy.message, 'Prometheus refused a query: HTTP 502');
  },
);

t.test('what is no answer of Prometheus is told as that, whatever the status says', async (t) => {
  const nonsense: Json[] = [null, [], 'x', {}, { status: 'success' }, { status: 'success', data: { result: {} } }];
  for (const body of nonsense) {
    const { message } = await refused(t, (response) => sendJson(response, body));
    t.match(
      message,
      /^Prometheus answered without a result|^Prometheus answered HTTP 200, but not as/,
      JSON.stringify(body),
    );
  }
  const page = await refused(t, (response) => sendText(response, '<html>please log in</html>', 200));
  t.equal(page.message, 'Prometheus answered HTTP 200, but not as Prometheus does');
});

t.test('who sends us elsewhere is not followed there with our token; the message says what to set', async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const { message } = await refused(t, (response) => {
      response.writeHead(status, { location: 'https://login.example/?state=42' }).end();
    });
    t.equal(
      message,
      `Prometheus refused a query: HTTP ${status} (it leads elsewhere: set OPRC_CRM_PROM_URL to where it answers itself)`,
    );
  }
});

t.test('an answer from another time is none: its windows would not be of now', async (t) => {
  const dated = (minutes: number) => (response: ServerResponse) => {
    response.setHeader('date', new Date(Date.now() + minutes * 60_000).toUTCString());
    sendJson(response, vector([[{}, 1]]));
  };
  for (const minutes of [-60, -3, 3, 60]) {
    const error = await refused(t, dated(minutes));
    t.strictSame(
      [error.fate, error.message],
      ['refused', "Prometheus' clock and ours differ by more than 2 minutes: check the time of both machines"],
      String(minutes),
    );
  }
  for (const minutes of [-1, 0, 1]) t.match(await asked(t, dated(minutes)), { rows: [{ value: 1 }] }, String(minutes));
  const undated = (response: ServerResponse) => {
    response.sendDate = false;
    sendJson(response, vector([[{}, 1]]));
  };
  t.match(await asked(t, undated), { rows: [{ value: 1 }] }, 'who says no time is believed');
});

t.test('a Prometheus that is not there is told with its address and why', async (t) => {
  const gone = await playPrometheus(() => {});
  await gone.close();
  const { port } = new URL(gone.url);
  const error = await clientOf(gone.url)
    .query()
    .catch((reason) => reason);
  t.ok(error instanceof PrometheusError);
  t.equal(error.status, 0);
  t.equal(
    error.message,
    `Prometheus does not answer at ${gone.url}/api/v1/query: connect ECONNREFUSED 127.0.0.1:${port}`,
  );
  // A name with several addresses fails with one error that holds an error for each.
  const byName = clientOf(`http://localhost:${port}`).query();
  await t.rejects(byName, { message: /does not answer at http:\/\/localhost:\d+\/api\/v1\/query: .*ECONNREFUSED/ });
});

t.test('a Prometheus that hangs or breaks off is not waited for', async (t) => {
  const hanging = await playPrometheus(() => {});
  t.teardown(hanging.close);
  // The server's own timeout comes first, ours is 2 s behind: here the server's has passed long ago.
  await t.rejects(clientOf(hanging.url, { timeoutMs: -1_900 }).query(), {
    status: 0,
    fate: 'too-much',
    message: /^Prometheus did not answer a query within -?\d+ s$/,
  });
  t.ok(hanging.questions.length <= 1, 'nor asked the same again');
  await t.rejects(clientOf(hanging.url).query('up', AbortSignal.timeout(50)), {
    fate: 'refused',
    message: 'Prometheus did not answer in time for this cycle',
  });
  const broken = await refused(t, (response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"status":');
    response.destroy();
  });
  t.strictSame([broken.status, /^Prometheus does not answer at .*: [^ ].*$/.test(broken.message)], [0, true]);
});

t.test('a password in the URL is sent as one, and reaches nobody who reads the record or the log', async (t) => {
  const server = await playPrometheus((question, response) => {
    sendJson(response, vector([[{ authorization: question.authorization }, 1]]));
  });
  const url = server.url.replace('//', '//reader:s%C3%A9cret@');
  const { rows } = await clientOf(url).query();
  t.equal(rows[0]?.labels.authorization, `Basic ${Buffer.from('reader:sécret').toString('base64')}`);
  await server.close();
  const error = await clientOf(url)
    .query()
    .catch((reason) => reason);
  t.match(error.message, `Prometheus does not answer at ${server.url}/api/v1/query: `);
  t.notMatch(error.message, 'cret');
});

/** A server that refuses so often, then answers; and how often it was asked. */
async function refusing(t: Test, times: number, refuse: (response: ServerResponse) => void) {
  let asked = 0;
  const server = await playPrometheus((_question, response) => {
    asked += 1;
    if (asked <= times) refuse(response);
    else sendJson(response, vector([[{}, 1]]));
  });
  t.teardown(server.close);
  return { url: server.url, asked: () => asked };
}

t.test('a busy server, and one that breaks off, is asked again, four times in all', async (t) => {
  for (const status of [429, 499, 500, 502, 503, 504]) {
    const server = await refusing(t, 3, (response) => sendText(response, 'busy', status));
    t.match(await clientOf(server.url).query(), { rows: [{ value: 1 }] }, String(status));
  }
  const breaking = await refusing(t, 3, (response) => response.destroy());
  t.match(await clientOf(breaking.url).query(), { rows: [{ value: 1 }] });
  const busy = await refusing(t, 4, (response) => sendText(response, 'busy', 503));
  await t.rejects(clientOf(busy.url).query(), { name: 'PrometheusError', status: 503, fate: 'busy' });
  t.equal(busy.asked(), 4);
});

t.test('what somebody has to change first, and what is too much, is asked once', async (t) => {
  for (const status of [400, 401, 403, 404, 413, 414, 422]) {
    const server = await refusing(t, 1, (response) => sendText(response, 'no', status));
    await t.rejects(clientOf(server.url).query(), { name: 'PrometheusError', status });
    t.equal(server.asked(), 1, String(status));
  }
});

t.test('a server that says when to come back is heard, unless that is too long for a cycle', async (t) => {
  const soon = await refusing(t, 1, (response) => response.writeHead(429, { 'retry-after': '1' }).end());
  const started = performance.now();
  await clientOf(soon.url).query();
  t.ok(performance.now() - started >= 1_000);
  const late = await refusing(t, 1, (response) => response.writeHead(429, { 'retry-after': '600' }).end());
  await t.rejects(clientOf(late.url).query(), { name: 'PrometheusError', status: 429 });
  t.equal(late.asked(), 1);
});

t.test('waiting ends with the cycle', async (t) => {
  const server = await refusing(t, 100, (response) => sendText(response, 'busy', 503));
  const cycle = new AbortController();
  // Told when the first answer is there: from then on it waits.
  const told = () => setImmediate(() => cycle.abort());
  const query = clientOf(server.url, { firstWaitMs: 60_000, told }).query('up', cycle.signal);
  await t.rejects(query, { name: 'PrometheusError', status: 503 });
  t.equal(server.asked(), 1);
});

t.test('each question is told: how it ended, what it cost, and what Prometheus says that it cost there', async (t) => {
  const told: Told[] = [];
  const stats = { timings: { execTotalTime: 0.25 }, samples: { totalQueryableSamples: 42 } };
  let asked = 0;
  const server = await playPrometheus((_question, response) => {
    asked += 1;
    if (asked === 1) sendText(response, 'busy', 503);
    else {
      const { data } = vector([[{}, 1]]) as { data: object };
      sendJson(response, {
        status: 'success',
        data: { ...data, stats },
        warnings: asked === 2 ? [] : ['a store is gone'],
      });
    }
  });
  t.teardown(server.close);
  const client = clientOf(server.url, { told: (one) => told.push(one) });
  await client.query();
  await client.query();
  t.match(told, [
    { outcome: 'busy', rows: 0, samples: 0, seconds: 0, bytes: 4 },
    { outcome: 'answered', rows: 1, samples: 42, seconds: 0.25 },
    { outcome: 'partial', rows: 1, samples: 42, seconds: 0.25 },
  ]);
});
