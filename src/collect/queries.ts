/**
 * The PromQL of one shard: aggregated in Prometheus down to one row per workload, container and statistic (a label that
 * we add), so that neither the number of queries nor that of rows grows with the number of pods.
 */
import { formatSeconds } from '../domain/time.ts';
import { type SeriesOptions, series } from './selectors.ts';
import type { Shard } from './shards.ts';

export type QueryOptions = SeriesOptions & { shortWindowSeconds: number; longWindowSeconds: number };

/**
 * What a row says. `sum` and `count` are of all samples of all pods; `samples` those of the pod that has the most; `oom` is
 * the limit at which a pod was OOM killed, `kills` how often that happened to all pods; `request` and `limit` are what
 * running pods have. Bytes, but the counts.
 */
export type Statistic = 'sum' | 'count' | 'kills' | 'max' | 'p95' | 'samples' | 'rss' | 'oom' | 'request' | 'limit';

const WORKING_SET = 'container_memory_working_set_bytes';

/**
 * Everything about one window. Two aggregations make two queries: a pod that lived for a minute counts for a minute in the
 * mean, and for all in the maximum.
 *
 * @param seconds the window
 * @param whole whether the resident set and the number of OOM kills are asked for, too
 */
export function windowQueries(shard: Shard, seconds: number, options: QueryOptions, whole: boolean): string[] {
  const range = formatSeconds(seconds);
  const cadvisor = (name: 'container_memory_rss' | typeof WORKING_SET, over: string) =>
    series(name, options.matchers, shard, options, (selector) => over.replace('$', () => `${selector}[${range}]`));
  // The same process may be scraped twice; a restarted container goes on as another process, with another `id`.
  const together = (over: string) =>
    `sum by (namespace, pod, container) (max by (namespace, pod, container, id) (${cadvisor(WORKING_SET, over)}))`;
  const largest = (over: string, name: Parameters<typeof cadvisor>[0] = WORKING_SET) =>
    `max by (namespace, pod, container) (${cadvisor(name, over)})`;

  const sums = [named('sum', together('sum_over_time($)')), named('count', together('count_over_time($)'))];
  if (whole) sums.push(named('kills', kills(shard, range, options)));
  const maxima = [
    named('max', largest('max_over_time($)')),
    named('p95', largest('quantile_over_time(0.95, $)')),
    named('samples', together('count_over_time($)')),
    named('oom', killed(shard, range, options)),
  ];
  if (whole) maxima.push(named('rss', largest('max_over_time($)', 'container_memory_rss')));
  const owners = workloads(shard, range, options);
  return [byWorkload('sum', sums, owners), byWorkload('max', maxima, owners)];
}

/** What the running pods have where their templates say nothing: a LimitRange, or another webhook, may have said it. */
export function runningQuery(shard: Shard, options: QueryOptions): string {
  const of = (name: 'kube_pod_container_resource_requests' | 'kube_pod_container_resource_limits') =>
    `max by (namespace, pod, container) (${series(name, 'resource="memory"', shard, options, (selector) => selector)})`;
  const values = [
    named('request', of('kube_pod_container_resource_requests')),
    named('limit', of('kube_pod_container_resource_limits')),
  ];
  return byWorkload('max', values, workloads(shard, formatSeconds(options.shortWindowSeconds), options));
}

/** The largest working set of each pod's containers within the range. */
export function largestWorkingSet(shard: Shard, range: string, options: QueryOptions): string {
  return mostOver(maxOver(range), WORKING_SET, options.matchers, shard, options);
}

/**
 * What containers went through, step by step (a matrix): `bytes`, the largest working set within each step, and `oom`, the
 * limit at which a pod was OOM killed within it.
 */
export function historyQuery(shard: Shard, seconds: number, stepSeconds: number, options: QueryOptions): string {
  const step = formatSeconds(stepSeconds);
  const values = [
    named('bytes', largestWorkingSet(shard, step, options)),
    named('oom', killed(shard, step, options, 'tiled')),
  ];
  return `(${byWorkload('max', values, workloads(shard, step, options))})[${formatSeconds(seconds)}:${step}]`;
}

/** How often containers were OOM killed. */
export function killsQuery(shard: Shard, seconds: number, options: QueryOptions): string {
  const range = formatSeconds(seconds);
  return byWorkload('sum', [named('kills', kills(shard, range, options))], workloads(shard, range, options));
}

/** Since when (Unix time) kills could have been counted, as far back as the range; to an hour. */
export function earliestQuery(shard: Shard, seconds: number, options: QueryOptions): string {
  const range = formatSeconds(seconds);
  const name = 'kube_pod_container_status_restarts_total';
  const over = (selector: string) => `min_over_time(timestamp(${selector})[${range}:1h])`;
  const earliest = `min by (${POD}) (${series(name, '', shard, options, over)})`;
  return byWorkload('min', [named('earliest', earliest)], workloads(shard, range, options));
}

/**
 * The limit at which a pod was OOM killed. The reason alone would stay for as long as the pod lives, so a restart within
 * the window has to go with it (kube-state-metrics; cAdvisor's own counter dies with the container, google/cadvisor#3015).
 */
function killed(shard: Shard, range: string, options: QueryOptions, windows?: 'tiled'): string {
  const limit = mostOver(maxOver(range), 'kube_pod_container_resource_limits', 'resource="memory"', shard, options);
  return `(${limit} and on (${POD}) ${kills(shard, range, options, windows)})`;
}

/**
 * Restarts of containers that were OOM killed: one that also ended otherwise counts for those, too.
 *
 * @param windows `tiled` where one begins as the other ends: what happened between the last sample of the one and the first
 *   of the next is an increase in neither
 */
function kills(shard: Shard, range: string, options: QueryOptions, windows?: 'tiled'): string {
  const name = 'kube_pod_container_status_last_terminated_reason';
  const reason = mostOver(maxOver(range), name, 'reason="OOMKilled"', shard, options);
  const increase = (selector: string) => `increase(${selector}[${range}])`;
  const between = (selector: string) => `(${increase(selector)} > 0 or ${selector} - ${selector} offset ${range})`;
  const counter = 'kube_pod_container_status_restarts_total';
  const restarts = mostOver(windows ? between : increase, counter, '', shard, options);
  return `((${restarts} > 0) and on (${POD}) (${reason} > 0))`;
}

const POD = 'namespace, pod, container';

/** Of each container of each pod; an exporter may run more than once, hence the max. */
function mostOver(
  over: (selector: string) => string,
  name: Parameters<typeof series>[0],
  matchers: string,
  shard: Shard,
  options: QueryOptions,
): string {
  return `max by (${POD}) (${series(name, matchers, shard, options, over)})`;
}

const maxOver = (range: string) => (selector: string) => `max_over_time(${selector}[${range}])`;

/**
 * Which workload each pod belongs (or belonged) to: the owner of its ReplicaSet. Where nobody tells who that is, the
 * ReplicaSet's name without its last part, the template's hash. A Knative Revision's pods belong to the Deployment
 * `<revision>-deployment`.
 *
 * kube-state-metrics may run more than once, hence the max; a pod that was seen with two owners would otherwise fail the
 * whole query, hence topk.
 */
export function workloads(shard: Shard, range: string, options: QueryOptions): string {
  const last = (selector: string) => `last_over_time(${selector}[${range}])`;
  const pods = series('kube_pod_owner', 'owner_kind="ReplicaSet"', shard, options, last);
  const podsBySet = `max by (namespace, pod, replicaset) (label_replace(${pods}, "replicaset", "$1", "owner_name", "(.+)"))`;
  const sets = (matchers: string) => series('kube_replicaset_owner', matchers, shard, options, last);
  const owned = `max by (namespace, replicaset, owner_name) (${sets('owner_kind="Deployment"')})`;
  const told = `${podsBySet} * on (namespace, replicaset) group_left (owner_name) topk by (namespace, replicaset) (1, ${owned})`;
  const untold = `${podsBySet} unless on (namespace, replicaset) ${sets('')}`;
  const workload = (of: string, label: string, pattern: string) =>
    `label_replace(${of}, "workload", "$1", "${label}", "${pattern}")`;
  const byOwner = workload(told, 'owner_name', '(.+)');
  const byName = workload(untold, 'replicaset', '(.+)-[^-]+');
  return `topk by (namespace, pod) (1, max by (namespace, pod, workload) (${byOwner} or ${byName}))`;
}

export function byWorkload(aggregate: 'sum' | 'max' | 'min', values: string[], owners: string): string {
  return `${aggregate} by (namespace, workload, container, statistic) ((${values.join(' or ')}) * on (namespace, pod) group_left (workload) ${owners})`;
}

export function named(statistic: string, values: string): string {
  return `label_replace(${values}, "statistic", "${statistic}", "", "")`;
}
