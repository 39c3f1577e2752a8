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
  // Knative from 1.19 on: its autoscaler, its activator, its queue-proxy in every pod
  'kn_revision_concurrency_stable',
  'kn_revision_pods_count',
  'kn_revision_request_queued',
  'kn_serving_invocation_duration_seconds_sum',
  'kn_serving_invocation_duration_seconds_count',
  'kn_serving_queue_depth',
  // Knative up to 1.18: its autoscaler, its queue-proxy in every pod
  'autoscaler_stable_request_concurrency',
  'autoscaler_actual_pods',
  'revision_app_request_latencies_sum',
  'revision_app_request_latencies_count',
  'revision_queue_depth',
] as const;

export type SeriesName = (typeof SERIES)[number];

/** Where a Prometheus keeps some of them under other names (relabelling, recording rules). */
export type SeriesNames = Partial<Record<SeriesName, string>>;
