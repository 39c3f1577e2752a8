/** Prometheus → usage, per workload and container. */
import type { Usage, WindowUsage } from '../domain/usage.ts';
import type { Prometheus, Row } from './prometheus.ts';
import { memoryQueries, type QueryOptions, type Statistic, type Window } from './queries.ts';

/** A workload as its pods show it in Prometheus. */
export type Target = {
  namespace: string;
  /** e.g. `Deployment/orders` */
  ref: string;
  /** the Deployments that run its pods: its own name, or one per Revision of a Knative Service */
  deployments: string[];
};

/** By `namespace/ref/container`. */
export type UsageMap = Map<string, Usage>;

export function usageKey(namespace: string, ref: string, container: string): string {
  return `${namespace}/${ref}/${container}`;
}

/** Queries at once: Prometheus runs 20 for everybody (`--query.max-concurrency`). */
const AT_ONCE = 3;

/**
 * @param now one evaluation time for all queries (milliseconds), so that they agree with each other
 * @throws {PrometheusError} when any of the queries has no answer: half a look could lower what it did not see
 */
export async function collectUsage(
  prometheus: Prometheus,
  targets: Target[],
  options: Omit<QueryOptions, 'namespaces'>,
  now: number,
): Promise<UsageMap> {
  const usage: UsageMap = new Map();
  const namespaces = [...new Set(targets.map(({ namespace }) => namespace))].sort();
  if (namespaces.length === 0) return usage;
  const refs = new Map(
    targets.flatMap(({ namespace, ref, deployments }) => deployments.map((name) => [`${namespace}/${name}`, ref])),
  );
  const queries = memoryQueries({ ...options, namespaces });
  let partial = false;

  const ask = async () => {
    for (let query = queries.shift(); query; query = queries.shift()) {
      const result = await prometheus.query(query.promql, now);
      partial ||= result.partial;
      for (const row of result.rows) addRow(usage, refs, query, row);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
  } finally {
    // After a failure: nobody would look at the other answers, and a Prometheus in trouble is left in peace.
    queries.length = 0;
  }
  for (const entry of usage.values()) {
    const whole = [dropIncomplete(entry, 'short'), dropIncomplete(entry, 'long')].every(Boolean);
    entry.partial = partial || !whole;
  }
  return usage;
}

function addRow(
  usage: UsageMap,
  refs: Map<string, string>,
  query: { statistic: Statistic | 'oom'; window: Window },
  row: Row,
): void {
  const { namespace = '', workload = '', container = '' } = row.labels;
  const ref = refs.get(`${namespace}/${workload}`);
  if (ref === undefined) return;
  const key = usageKey(namespace, ref, container);
  const entry = usage.get(key) ?? { partial: false };
  usage.set(key, entry);
  if (query.statistic === 'oom') {
    entry.oomLimit = Math.max(row.value, entry.oomLimit ?? 0);
    return;
  }
  entry[query.window] ??= { avg: 0, p95: 0, max: 0, samples: 0 };
  merge(entry[query.window] as WindowUsage, query.statistic, row.value);
}

/** A window that lacks one of its statistics (NaN, say, was no number) would look like little use. */
function dropIncomplete(usage: Usage, window: Window): boolean {
  const found = usage[window];
  if (!found || Object.values(found).every((value) => value > 0)) return true;
  delete usage[window];
  return false;
}

/** Several Revisions of one Knative Service: the largest of each decides. */
function merge(window: WindowUsage, statistic: Statistic, value: number): void {
  window[statistic] = Math.max(window[statistic], value);
}
