/** What was measured of one container, and of one Knative Service: the contract between `collect` and `recommend`. */
import type { Pair } from './workload.ts';

/** Statistics of the working set over one window, in bytes. */
export type WindowUsage = {
  /** mean of all samples of all pods */
  avg: number;
  /** the largest pod's 95th percentile: the hot replica decides */
  p95: number;
  /** the largest sample of any pod */
  max: number;
  /** samples of the pod that has the most */
  samples: number;
};

export type Usage = {
  /** absent when nothing was measured in the short window: the data is stale */
  short?: WindowUsage;
  long?: WindowUsage;
  /** the source said that its answer lacks something */
  partial: boolean;
  /** the largest resident set of any pod (bytes): what cannot be given back by dropping page cache */
  rss?: number;
  /** the largest memory limit (bytes) at which a pod of the container was OOM killed within the long window */
  oomLimit?: number;
  /** how often its pods were OOM killed within the long window */
  kills?: number;
  /** what running pods have (bytes), where the template does not say */
  running?: Pair<number>;
};

/** Requests of one Knative Service over one window; of several Revisions the largest of each number. */
export type LoadWindow = {
  /** 95th percentile of the requests in flight in one pod */
  concurrency: number;
  /** 95th percentile of those that wait for a pod, by pod; absent where nobody tells */
  queue?: number;
  /** requests a second, all pods together */
  rate?: number;
  /** how often the series were looked at: while scaled to zero there is nothing to see */
  samples: number;
};

export type Load = {
  short?: LoadWindow;
  long?: LoadWindow;
  /** the source said that its answer lacks something */
  partial: boolean;
  /** by container: moments of the long window */
  points: Readonly<Record<string, readonly Point[]>>;
};

/** The requests in flight in one pod at some time, and the largest working set (bytes) of a pod at that time. */
export type Point = { requests: number; bytes: number };
