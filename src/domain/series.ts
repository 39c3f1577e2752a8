/** The series that are read from Prometheus, by the names that their exporters give them. */
export const SERIES = [
  // cAdvisor, in every kubelet
  'container_memory_working_set_bytes',
  'container_memory_rss',
  // kube-state-metrics
  'kube_pod_owner',
  'kube_replicaset_owner',
  'kube_pod_container_resource_requests',
  'kube_pod_container_resource_limits',
  'kube_pod_container_status_last_terminated_reason',
  'kube_pod_container_status_restarts_total',
] as const;

export type SeriesName = (typeof SERIES)[number];

/** Where a Prometheus keeps some of them under other names (relabelling, recording rules). */
export type SeriesNames = Partial<Record<SeriesName, string>>;
