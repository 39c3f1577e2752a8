import t from 'tap';
import { fateOf, hintFor } from '../../src/collect/refusals.ts';

/** What servers say when one query was too much for them: Prometheus, Mimir, Thanos, VictoriaMetrics, a proxy. */
const TOO_MUCH: [number, string][] = [
  [422, 'query processing would load too many samples into memory in query execution'],
  [422, 'expanding series: context deadline exceeded'],
  [503, 'query timed out in expression evaluation'],
  [422, 'the query exceeded the maximum number of chunks (limit: 2000000 chunks) (err-mimir-max-chunks-per-query)'],
  [422, 'the query exceeded the maximum number of series (err-mimir-max-series-per-query)'],
  [400, 'too long query; got 20000 bytes; cannot exceed `-search.maxQueryLen=16384` bytes'],
  [422, 'cannot process more than 1000000000 samples; possible solutions: increase -search.maxSamplesPerQuery'],
  [500, 'expanding series: proxy Series(): exceeded series limit'],
  [413, ''],
  [414, ''],
];

t.test('too much for the server is asked in parts', async (t) => {
  for (const [status, words] of TOO_MUCH) t.equal(fateOf(status, words), 'too-much', `${status} ${words}`);
});

t.test('a server that is busy is asked again', async (t) => {
  for (const status of [429, 499, 500, 502, 503, 504]) t.equal(fateOf(status, ''), 'busy', String(status));
  t.equal(fateOf(429, 'too many requests'), 'busy');
});

t.test('what somebody has to change first is not asked again', async (t) => {
  for (const status of [200, 400, 401, 403, 404, 422]) t.equal(fateOf(status, ''), 'refused', String(status));
  t.equal(fateOf(400, 'invalid parameter "query": 1:5: parse error'), 'refused');
  t.equal(fateOf(422, 'the query time range exceeds the limit (err-mimir-max-total-query-length)'), 'refused');
  t.equal(fateOf(401, 'too many samples'), 'refused', 'the status comes first');
});

t.test('and the person is told where to look', async (t) => {
  t.match(hintFor(401), 'OPRC_CRM_PROM_TOKEN_FILE');
  t.match(hintFor(404), 'check the path of OPRC_CRM_PROM_URL');
  t.equal(hintFor(422), '');
});
