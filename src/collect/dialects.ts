/**
 * The two generations of Knative's metrics: OpenCensus up to 1.18, OpenTelemetry from 1.19 on. They tell the same under
 * other names, other labels and other units (knative/serving `pkg/autoscaler/scaling/metrics.go`, `pkg/queue`).
 */
import type { SeriesName } from '../domain/series.ts';

export const DIALECTS = ['opentelemetry', 'opencensus'] as const;
export type Dialect = (typeof DIALECTS)[number];

export type Words = {
  /** the labels that name a Revision; `namespace` may be the autoscaler's own */
  labels: { namespace: string; revision: string; pod: string; code: string };
  /** the autoscaler: requests in flight of a whole Revision (in spite of their help), and its pods */
  stable: SeriesName;
  pods: SeriesName;
  /** the queue-proxy: for how long requests were being handled all together, and how many there were */
  busy: SeriesName;
  handled: SeriesName;
  /** of those seconds in one unit of `busy` */
  unit: number;
  /** the queue-proxy: requests that are being handled or wait; only where there is a hard limit */
  held: SeriesName;
  /** a scraped queue-proxy's series name only their pod: the Revision is in `target_info` */
  podsOnly?: true;
  /** the activator: requests that wait for a pod (1.22 and later) */
  queued?: SeriesName;
};

export const WORDS: Record<Dialect, Words> = {
  opentelemetry: {
    labels: {
      namespace: 'k8s_namespace_name',
      revision: 'kn_revision_name',
      pod: 'k8s_pod_name',
      code: 'http_response_status_code',
    },
    stable: 'kn_revision_concurrency_stable',
    pods: 'kn_revision_pods_count',
    busy: 'kn_serving_invocation_duration_seconds_sum',
    handled: 'kn_serving_invocation_duration_seconds_count',
    unit: 1,
    held: 'kn_serving_queue_depth',
    podsOnly: true,
    queued: 'kn_revision_request_queued',
  },
  opencensus: {
    labels: { namespace: 'namespace_name', revision: 'revision_name', pod: 'pod_name', code: 'response_code' },
    stable: 'autoscaler_stable_request_concurrency',
    pods: 'autoscaler_actual_pods',
    busy: 'revision_app_request_latencies_sum',
    handled: 'revision_app_request_latencies_count',
    unit: 1000,
    held: 'revision_queue_depth',
  },
};
