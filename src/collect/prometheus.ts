/**
 * Instant queries against Prometheus' HTTP API (or whatever speaks it). Values that mean nothing are dropped here, and
 * an answer that says of itself that it lacks something is marked: it must not lower anything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch, type Response } from 'undici';
import { asObject, at, type JsonObject } from '../domain/json.ts';
import { reason } from '../log.ts';
import { type Access, AccessError } from './access.ts';
import { type Fate, fateOf, hintFor } from './refusals.ts';

/** A series at one moment (seconds since the epoch): a vector has one row of each series, a matrix many. */
export type Row = { labels: Readonly<Record<string, string>>; value: number; at: number };
export type QueryResult = { rows: Row[]; partial: boolean };

export type Prometheus = {
  /**
   * Tries again where that may help, until the signal aborts.
   *
   * @param now evaluation time, milliseconds since the epoch
   * @throws {PrometheusError}
   */
  query(promql: string, now: number, signal: AbortSignal): Promise<QueryResult>;
};

/** What one question cost, and how it ended; for the metrics. */
export type Told = {
  outcome: 'answered' | 'partial' | Fate;
  rows: number;
  bytes: number;
  /** samples that Prometheus looked at and seconds that it took, where it says so (`stats`) */
  samples: number;
  seconds: number;
};

/** Thrown when a query has no usable answer; the message is for the record's reader. */
export class PrometheusError extends Error {
  /** HTTP status; 0 when there was no answer */
  readonly status: number;
  readonly fate: Fate;
  constructor(message: string, status: number, fate: Fate) {
    super(message);
    this.name = 'PrometheusError';
    this.status = status;
    this.fate = fate;
  }
}

export type PrometheusOptions = {
  /** base URL, with a path prefix if there is one, and a user and password if they are asked for */
  url: string;
  /** how long one query may take */
  timeoutMs: number;
  /** sent with each query, beside those of the API */
  params: Record<string, string>;
  /** headers and TLS, asked for anew for each question */
  access: Access;
  told?(told: Told): void;
  /** the wait before the second attempt; it doubles, and is spread by chance */
  firstWaitMs?: number;
};

const ATTEMPTS = 4;

/** A server that is asked to be left alone for longer than this is left alone until the next cycle. */
const LONGEST_WAIT_MS = 20_000;

/**
 * A clock that is further behind than this would have us lower to what was used then. One that is ahead finds nothing
 * new. In milliseconds.
 */
const CLOCK_TOLERANCE_MS = 120_000;

/** `skewMs`: by how much the server's clock differs from ours, where it tells */
type Answer = { status: number; text: string; retryAfter: string | null; skewMs: number };

export function createPrometheus(options: PrometheusOptions): Prometheus {
  const { timeoutMs, params, told = () => {}, firstWaitMs = 500 } = options;
  const { place, authorization } = endpoint(options.url);

  async function once(promql: string, now: number, signal: AbortSignal): Promise<QueryResult> {
    const query = { query: promql, time: String(now / 1000), timeout: `${timeoutMs}ms`, stats: 'true' };
    const body = new URLSearchParams({ ...params, ...query });
    const cost = { rows: 0, bytes: 0, samples: 0, seconds: 0 };
    try {
      const answer = await post(body, signal);
      cost.bytes = answer.text.length;
      const json = parse(answer.text);
      const stats = at(json, 'data', 'stats');
      cost.seconds = Number(at(stats, 'timings', 'execTotalTime') ?? 0);
      cost.samples = Number(at(stats, 'samples', 'totalQueryableSamples') ?? 0);
      const result = read(answer, json);
      told({ ...cost, outcome: result.partial ? 'partial' : 'answered', rows: result.rows.length });
      return result;
    } catch (error) {
      told({ ...cost, outcome: error instanceof PrometheusError ? error.fate : 'refused' });
      throw error;
    }
  }

  async function post(body: URLSearchParams, signal: AbortSignal): Promise<Answer> {
    // A little longer than the server's own timeout, so that it can say what happened.
    const patience = AbortSignal.timeout(timeoutMs + 2_000);
    try {
      const { headers, dispatcher } = await options.access();
      const response = await fetch(place, {
        method: 'POST',
        headers: { ...authorization, ...headers },
        body,
        // After most redirects a POST is a GET without its query, and whoever it leads to would get our token.
        redirect: 'manual',
        signal: AbortSignal.any([signal, patience]),
        ...(dispatcher && { dispatcher }),
      });
      const said = (header: string) => response.headers.get(header);
      const skewMs = Math.abs(Date.parse(said('date') ?? '') - Date.now()) || 0;
      return { status: response.status, text: await textOf(response), retryAfter: said('retry-after'), skewMs };
    } catch (error) {
      if (error instanceof PrometheusError) throw error;
      if (error instanceof AccessError) throw new PrometheusError(error.message, 0, 'refused');
      if (signal.aborted) throw new PrometheusError(`Prometheus did not answer in time for this cycle`, 0, 'refused');
      if (patience.aborted) {
        const seconds = Math.round(timeoutMs / 1000);
        throw new PrometheusError(`Prometheus did not answer a query within ${seconds} s`, 0, 'too-much');
      }
      // "fetch failed" says nothing; its cause does.
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      throw new PrometheusError(`Prometheus does not answer at ${place}: ${reason(cause)}`, 0, 'busy');
    }
  }

  return {
    async query(promql, now, signal) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await once(promql, now, signal);
        } catch (error) {
          if (!(error instanceof PrometheusError) || error.fate !== 'busy' || attempt === ATTEMPTS) throw error;
          const wait = Math.max(error instanceof BusyError ? error.waitMs : 0, firstWaitMs * 2 ** (attempt - 1));
          if (wait > LONGEST_WAIT_MS) throw error;
          // Spread, so that several lanes and several tuners do not come back together.
          const waited = await sleep(wait * (1 + Math.random() / 2), true, { signal }).catch(() => false);
          if (!waited) throw error;
        }
      }
    },
  };
}

/** Busy, with the time for which the server asks to be left alone. */
class BusyError extends PrometheusError {
  readonly waitMs: number;
  constructor(message: string, status: number, waitMs: number) {
    super(message, status, 'busy');
    this.waitMs = waitMs;
  }
}

/** The password stays out of `place`, which messages name; fetch would not take it there either. */
function endpoint(base: string): { place: string; authorization: Record<string, string> } {
  const url = new URL(`${base}/api/v1/query`);
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  url.username = '';
  url.password = '';
  const basic = Buffer.from(`${user}:${password}`).toString('base64');
  return { place: url.href, authorization: user || password ? { authorization: `Basic ${basic}` } : {} };
}

const WRONG_CLOCK = `Prometheus' clock and ours differ by more than ${CLOCK_TOLERANCE_MS / 60_000} minutes: check the time of both machines`;

/** @throws {PrometheusError} for everything but an answer */
function read({ status, retryAfter, skewMs }: Answer, json: JsonObject | undefined): QueryResult {
  if (status === 200 && json?.status === 'success') {
    if (skewMs > CLOCK_TOLERANCE_MS) throw new PrometheusError(WRONG_CLOCK, status, 'refused');
    return readResult(json);
  }
  const said = at(json, 'error');
  if (status === 200 && said === undefined) {
    throw new PrometheusError('Prometheus answered HTTP 200, but not as Prometheus does', status, 'refused');
  }
  // A proxy's page changes with each request (ids, times); a record's status must not.
  const words = said === undefined ? '' : `: ${excerpt(said)}`;
  const message = `Prometheus refused a query: HTTP ${status}${words}`;
  const fate = fateOf(status, words);
  if (fate === 'busy') throw new BusyError(message, status, Number(retryAfter ?? 0) * 1000 || 0);
  throw new PrometheusError(`${message}${hintFor(status)}`, status, fate);
}

/** One line of what was said, which may be a page of a proxy. */
function excerpt(said: unknown): string {
  return String(said).slice(0, 200).replaceAll(/\s+/g, ' ').trim();
}

/** The rows of some 50,000 containers; more would be taken from the memory that reviews need. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** @throws {PrometheusError} as soon as it is too long, whatever is still to come */
async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) {
      throw new PrometheusError('Prometheus answered a query with more than 16 MiB', response.status, 'too-much');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
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
  if (!Array.isArray(result)) throw new PrometheusError('Prometheus answered without a result', 200, 'refused');
  const rows: Row[] = [];
  let partial = json.isPartial === true || (Array.isArray(json.warnings) && json.warnings.length > 0);
  for (const entry of result) {
    const labels = asObject(at(entry, 'metric'));
    if (!labels) partial = true;
    const moments = at(entry, 'values') ?? [at(entry, 'value')];
    for (const moment of labels && Array.isArray(moments) ? moments : []) {
      const [seconds, text] = [Number(at(moment, 0)), at(moment, 1)];
      const value = text === '' ? Number.NaN : Number(text);
      // NaN, ±Inf and less than nothing are no amount of anything.
      if (Number.isFinite(value) && value >= 0)
        rows.push({ labels: labels as Record<string, string>, value, at: seconds });
    }
  }
  return { rows, partial };
}
