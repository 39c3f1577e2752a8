/** Samples out of Prometheus, a few hours at a time, oldest first. Only asks. */
import { type Prometheus, PrometheusError } from '../collect/prometheus.ts';
import {
  byWorkload,
  largestWorkingSet,
  named,
  type QueryOptions,
  runningQuery,
  workloads,
} from '../collect/queries.ts';
import type { Shard } from '../collect/shards.ts';
import { formatSeconds } from '../domain/time.ts';
import type { Pair } from '../domain/workload.ts';
import type { Row } from './side-by-side.ts';

export type HistoryOptions = QueryOptions & {
  /** milliseconds since the epoch */
  from: number;
  to: number;
  /** empty: all of them */
  namespace: string;
  /** the time from one sample to the next; the largest use in between is what a sample says */
  stepSeconds: number;
  /** told after each answer: the share of the time that has been read, from 0 to 1 */
  progress?(share: number): void;
  /** told when Prometheus says of an answer that it lacks something */
  partial?(): void;
};

const HOUR_MS = 3_600_000;

/** Of so many hours at once, fewer where Prometheus finds that too much; less than the last it is not asked for. */
const MOST_MS = 6 * HOUR_MS;
const LEAST_MS = HOUR_MS / 6;

/** How often what runs is looked at: as long as Prometheus remembers a series that is gone. */
const LOOK = '5m';

/**
 * One series per workload and container: of several pods the largest at each moment. What runs is asked for beside it;
 * a container's first answer is taken for its manifest.
 *
 * @throws {PrometheusError}
 */
export async function readHistory(
  prometheus: Prometheus,
  options: HistoryOptions,
  signal: AbortSignal,
  take: (row: Row) => void,
): Promise<void> {
  const { from, to, namespace, stepSeconds } = options;
  const shard: Shard = { deployments: [], namespaces: [namespace === '' ? '.+' : namespace], prefixes: [] };
  const step = formatSeconds(stepSeconds);
  const used = byWorkload(
    'max',
    [named('bytes', largestWorkingSet(shard, step, options))],
    workloads(shard, formatSeconds(options.shortWindowSeconds), options),
  );
  const running = runningQuery(shard, options);
  const manifests = new Map<string, Pair<number>>();

  async function ask(promql: string, at: number) {
    const { rows, partial } = await prometheus.query(promql, at, signal);
    if (partial) options.partial?.();
    return rows.map((row) => ({ ...row, container: nameOf(row.labels) }));
  }

  let span = MOST_MS;
  for (let start = from; start < to; ) {
    const end = Math.min(start + span, to);
    try {
      const values = await ask(over(used, start, end, step), end);
      // Oldest first: whoever is gone at the end had a manifest, too.
      for (const { container, labels, value } of await ask(over(running, start, end, LOOK), end)) {
        const known = manifests.get(container) ?? {};
        const field = labels.statistic === 'request' ? 'request' : 'limit';
        manifests.set(container, { [field]: value, ...known });
      }
      for (const { container, value, at } of values) {
        const manifest = manifests.get(container);
        take({ container, at: at * 1000, bytes: value, ...(manifest && { manifest }) });
      }
    } catch (error) {
      if (!(error instanceof PrometheusError && error.fate === 'too-much') || span <= LEAST_MS) throw error;
      span /= 2;
      continue;
    }
    start = end;
    options.progress?.((end - from) / (to - from));
  }
}

/** The same at many moments: those after the start, the end included. */
function over(promql: string, start: number, end: number, step: string): string {
  return `(${promql})[${formatSeconds(Math.round((end - start) / 1000))}:${step}]`;
}

function nameOf({ namespace, workload, container }: Readonly<Record<string, string>>): string {
  return `${namespace}/${workload}/${container}`;
}
