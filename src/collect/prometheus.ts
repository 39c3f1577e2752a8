/**
 * Instant queries against Prometheus' HTTP API (or whatever speaks it). Values that mean nothing are dropped here, and
 * an answer that says of itself that it lacks something is marked: it must not lower anything.
 */
import { fetch } from 'undici';
import { asObject, at, type JsonObject } from '../domain/json.ts';
import { reason } from '../log.ts';

export type Row = { labels: Readonly<Record<string, string>>; value: number };
export type QueryResult = { rows: Row[]; partial: boolean };

export type Prometheus = {
  /**
   * @param now evaluation time, milliseconds since the epoch
   * @throws {PrometheusError}
   */
  query(promql: string, now: number): Promise<QueryResult>;
};

/** Thrown when a query has no usable answer; the message is for the record's reader. */
export class PrometheusError extends Error {
  /** HTTP status; 0 when there was no answer */
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.name = 'PrometheusError';
    this.status = status;
  }
}

/** @param url base URL, with a path prefix if there is one, and a user and password if they are asked for */
export function createPrometheus(url: string, timeoutMs: number): Prometheus {
  const { place, headers } = endpoint(url);
  return {
    async query(promql, now) {
      const body = new URLSearchParams({ query: promql, time: String(now / 1000), timeout: `${timeoutMs}ms` });
      const { status, text } = await post(place, headers, body, timeoutMs);
      const json = parse(text);
      if (status === 200 && json?.status === 'success') return readResult(json);
      const said = at(json, 'error');
      if (status === 200 && said === undefined) {
        throw new PrometheusError('Prometheus answered HTTP 200, but not as Prometheus does', status);
      }
      // A proxy's page changes with each request (ids, times); a record's status must not.
      const words = said === undefined ? '' : `: ${excerpt(said)}`;
      throw new PrometheusError(`Prometheus refused a query: HTTP ${status}${words}`, status);
    },
  };
}

/** The password stays out of `place`, which messages name; fetch would not take it there either. */
function endpoint(base: string): { place: string; headers: Record<string, string> } {
  const url = new URL(`${base}/api/v1/query`);
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  url.username = '';
  url.password = '';
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  return { place: url.href, headers: user || password ? { authorization: `Basic ${basic}` } : {} };
}

/** One line of what was said, which may be a page of a proxy. */
function excerpt(said: unknown): string {
  return String(said).slice(0, 200).replaceAll(/\s+/g, ' ').trim();
}

async function post(
  url: string,
  headers: Record<string, string>,
  body: URLSearchParams,
  timeoutMs: number,
): Promise<{ status: number; text: string }> {
  try {
    // A little longer than the server's own timeout, so that it can say what happened.
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(timeoutMs + 2_000),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    // "fetch failed" says nothing; its cause does.
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new PrometheusError(`Prometheus does not answer at ${url}: ${reason(cause)}`, 0);
  }
}

/** Prometheus says 503 in plain text while it starts and stops. */
function parse(text: string): JsonObject | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function readResult(json: JsonObject): QueryResult {
  const result = at(json, 'data', 'result');
  if (!Array.isArray(result)) throw new PrometheusError('Prometheus answered without a result', 200);
  const rows: Row[] = [];
  let partial = json.isPartial === true || (Array.isArray(json.warnings) && json.warnings.length > 0);
  for (const entry of result) {
    const labels = asObject(at(entry, 'metric'));
    const value = Number(at(entry, 'value', 1));
    if (!labels) partial = true;
    // NaN, ±Inf, zero and less are no amount of memory; nothing measured is not the same as nothing used.
    else if (Number.isFinite(value) && value > 0) rows.push({ labels: labels as Record<string, string>, value });
  }
  return { rows, partial };
}
