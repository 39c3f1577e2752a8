/**
 * The PromQL of one look: aggregated in Prometheus down to one row per workload and container, so that the number of
 * queries does not grow with the number of pods.
 *
 * Pods are joined to their Deployment through the ReplicaSet's name without its last part (the template's hash), which
 * also holds for pods that are gone. A Knative Revision's pods belong to the Deployment `<revision>-deployment`.
 */
import { formatSeconds } from '../domain/time.ts';

export type Window = 'short' | 'long';
export type Statistic = 'avg' | 'p95' | 'max' | 'samples';

export type QueryOptions = {
  namespaces: string[];
  /** matchers for the series of containers, e.g. `container!="POD",image!=""` */
  matchers: string;
  shortWindowSeconds: number;
  longWindowSeconds: number;
};

/** Every query of a look, by what it answers. */
export function memoryQueries(
  options: QueryOptions,
): { statistic: Statistic | 'oom'; window: Window; promql: string }[] {
  const queries = [];
  for (const window of ['short', 'long'] as const) {
    for (const statistic of ['avg', 'p95', 'max', 'samples'] as const) {
      queries.push({ statistic, window, promql: statisticQuery(statistic, window, options) });
    }
  }
  return [...queries, { statistic: 'oom' as const, window: 'long' as const, promql: oomQuery(options) }];
}

function statisticQuery(statistic: Statistic, window: Window, options: QueryOptions): string {
  const range = formatSeconds(window === 'short' ? options.shortWindowSeconds : options.longWindowSeconds);
  const series = `container_memory_working_set_bytes{${[options.matchers, namespaces(options)].filter(Boolean).join(',')}}[${range}]`;
  // The same process may be scraped twice; a restarted container goes on as another process, with another `id`.
  const largest = (over: string) => `max by (namespace, pod, container) (${over})`;
  const together = (over: string) =>
    `sum by (namespace, pod, container) (max by (namespace, pod, container, id) (${over}))`;
  const join = (aggregate: 'max' | 'sum', perPod: string) =>
    `${aggregate} by (namespace, workload, container) (${perPod} * on (namespace, pod) group_left (workload) ${pods(options)})`;
  switch (statistic) {
    case 'max':
      return join('max', largest(`max_over_time(${series})`));
    case 'p95':
      return join('max', largest(`quantile_over_time(0.95, ${series})`));
    case 'samples':
      return join('max', together(`count_over_time(${series})`));
    case 'avg':
      // Of all samples of all pods, not of the pods' averages: a pod that lived for a minute counts for a minute.
      return `${join('sum', together(`sum_over_time(${series})`))} / ${join('sum', together(`count_over_time(${series})`))}`;
  }
}

/**
 * The limit at which a pod was OOM killed. The reason alone would stay for as long as the pod lives, so a restart within
 * the window has to go with it (kube-state-metrics; cAdvisor's own counter dies with the container, google/cadvisor#3015).
 */
function oomQuery(options: QueryOptions): string {
  const range = formatSeconds(options.longWindowSeconds);
  const within = namespaces(options);
  const key = 'namespace, pod, container';
  const limit = `max by (${key}) (max_over_time(kube_pod_container_resource_limits{resource="memory",${within}}[${range}]))`;
  const killed = `max by (${key}) (max_over_time(kube_pod_container_status_last_terminated_reason{reason="OOMKilled",${within}}[${range}])) > 0`;
  const restarted = `max by (${key}) (increase(kube_pod_container_status_restarts_total{${within}}[${range}])) > 0`;
  const limits = `(${limit} and on (${key}) (${killed}) and on (${key}) (${restarted}))`;
  return `max by (namespace, workload, container) (${limits} * on (namespace, pod) group_left (workload) ${pods(options)})`;
}

/**
 * Which workload each pod belongs (or belonged) to; kube-state-metrics may run more than once, hence the max, and a pod
 * that was seen with two owners would otherwise fail the whole query.
 */
function pods(options: QueryOptions): string {
  const range = formatSeconds(options.longWindowSeconds);
  const owners = `last_over_time(kube_pod_owner{owner_kind="ReplicaSet",${namespaces(options)}}[${range}])`;
  const workload = `label_replace(${owners}, "workload", "$1", "owner_name", "(.+)-[^-]+")`;
  return `topk by (namespace, pod) (1, max by (namespace, pod, workload) (${workload}))`;
}

/** Namespaces are DNS labels: nothing in them needs escaping. */
function namespaces(options: QueryOptions): string {
  return `namespace=~"${options.namespaces.join('|')}"`;
}
