/**
 * A DeploymentRecord in three shapes: the resource as the API serves it, the part of its status that is ours, and the
 * `Tuning` that admission needs of it.
 */
import type { ConcurrencyStatus, ConcurrencyTuning } from './concurrency.ts';
import type { JsonObject } from './json.ts';
import type { Wait } from './waits.ts';
import type { Pair } from './workload.ts';

/** A record as it comes from the API or a file; `spec` and `status` may hold anything. */
export type RecordResource = {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    annotations?: Record<string, string>;
  };
  spec?: JsonObject;
  status?: JsonObject;
};

/** One thing in a record that cannot be meant, or (`warning`) that a person probably did not mean. */
export type Problem = {
  /** path of the field, e.g. `spec.nfr.memory_tuning.overrides[function].request` */
  field: string;
  /** what is wrong with which value, and what is allowed */
  message: string;
  severity: 'error' | 'warning';
};

/** What admission needs to know of one record, read once when the record changes. */
export type Tuning = {
  namespace: string;
  name: string;
  /** `undefined`: the record does not say, and the profile decides */
  enabled: boolean | undefined;
  enforce: boolean;
  /** the record carries the annotation that pauses enforcement */
  paused: boolean;
  /** by `container` or, more specific, `workload/container`; only values that can be meant */
  overrides: Readonly<Record<string, Pair<string>>>;
  /** by `Deployment/orders/function` */
  applied: Readonly<Record<string, Pair<string>>>;
  concurrency: ConcurrencyTuning;
  problems: readonly Problem[];
};

/** The states of a record's memory tuning, in the order in which a record usually passes them. */
export const PHASES = ['Disabled', 'NoData', 'Observing', 'Recommending', 'Enforcing', 'Degraded'] as const;
export type Phase = (typeof PHASES)[number];

/** A request and limit with the moment at which they were decided (RFC 3339). */
export type Decision = { request: string; limit: string; at: string };

/** A recommendation that stands. */
export type Recommendation = Decision & {
  /** since when less would do (RFC 3339): after a long window of that it is lowered */
  unneeded_since?: string;
};

/** Applied values, with what is needed to take them back. */
export type AppliedDecision = Decision & {
  /** what ran before, until the values have lasted a cooldown */
  previous?: Pair<string>;
  /** this container's own cooldown, once it was taken back */
  cooldown_seconds?: number;
  /** the values came back because others made it worse, and do not run yet */
  taken_back?: boolean;
};

/** One container's entry in `status.nfr_recommendations.memory.containers`. Values are quantities. */
export type ContainerStatus = {
  name: string;
  /** e.g. `Deployment/orders` */
  workload: string;
  current: Pair<string>;
  /** what a pod would get by the manifest alone, where that is not what runs */
  manifest?: Pair<string>;
  observed?: { ws_avg: string; ws_p95: string; ws_max: string; window: string };
  recommended?: Recommendation;
  applied?: AppliedDecision;
  /** what a person wrote in the record's overrides for this container */
  override?: Pair<string>;
  /** why the data must not lower anything */
  doubt?: string;
  /** what only a person can change */
  trouble?: string;
  /** the rung of the ladder in force */
  source: 'override' | 'applied' | 'recommendation' | 'manifest';
  rationale: string;
};

/** One line of the audit trail. */
export type HistoryEntry = {
  at: string;
  workload: string;
  container: string;
  change: Change;
  from?: Pair<string>;
  to: Pair<string>;
  rationale: string;
  /** what came of applied values: `rolled out at …`, `taken back at …`, … */
  outcome?: string;
};

export const CHANGES = ['recommended', 'applied', 'taken-back'] as const;
export type Change = (typeof CHANGES)[number];

/**
 * The states of a workload's rollout. `Requested`: the annotation was, or is about to be, written; `Rolling`: the values
 * are in the pod template; `Failed`: they did not come, or the pods did not become available.
 */
export const ROLLOUT_STATES = ['Waiting', 'Requested', 'Rolling', 'Done', 'Failed'] as const;

/** One workload's entry in `status.nfr_recommendations.memory.rollouts`. */
export type RolloutStatus = {
  /** e.g. `Deployment/orders` */
  workload: string;
  state: (typeof ROLLOUT_STATES)[number];
  /** why it waits */
  reason?: Wait;
  message?: string;
  /** what the last request wrote into the workload's annotation: its moment */
  id?: string;
  /** how often the same values have been asked for without coming */
  tries?: number;
  /** since when the values that were applied last run */
  at?: string;
};

/** Statistics of the working set over one window. Quantities. */
export type WindowEvidence = { ws_avg: string; ws_p95: string; ws_max: string; samples: number };

/**
 * What a container's decisions of one moment were made from. Quantities; what was not there is left out. The history and
 * the decisions that stand point to theirs by workload, container and `at`.
 */
export type Evidence = {
  at: string;
  workload: string;
  container: string;
  short?: WindowEvidence;
  long?: WindowEvidence;
  /** Prometheus said that its answer lacked something */
  partial?: boolean;
  /** the largest limit at which the container was OOM killed within the long window */
  oom_limit?: string;
  /** what ran, and what the manifest said without anything of ours */
  current: Pair<string>;
  manifest?: Pair<string>;
  override?: Pair<string>;
  /** what stood before */
  recommended?: Recommendation;
  applied?: AppliedDecision;
  enforced?: boolean;
  /** since when the applied values ran, and whether the workload was not available any more */
  aftermath?: { since: string; unavailable?: string };
  /** the namespace's LimitRanges for containers, the tightest of each */
  limit_range?: { min?: string; max?: string; ratio?: number };
  /** which way memory must not go because of concurrency, and why */
  held?: { from: 'rising' | 'falling'; why: string };
  /** the rules' settings that were not at their defaults, by variable */
  settings?: Record<string, string>;
};

/** One side of an outcome: of one pod of each workload together, without what overrides fix. Quantities. */
export type OutcomeSide = Pair<string> & {
  /** (request − average in use) / request, by what is in use now; below 0 where more is in use */
  over_request?: number;
  /** OOM kills, in all pods, within `kills_over` */
  kills?: number;
};

/** What tuning has changed since values of ours came to run. */
export type Outcome = {
  since: string;
  /** what the manifests say; kills right before `since` */
  before: OutcomeSide;
  /** what runs; kills up to now */
  after: OutcomeSide;
  /** the time that kills were counted over, the same on both sides */
  kills_over?: string;
  /** all of it in one sentence */
  summary: string;
};

/** What a replay of the record's own history has shown, where it has to before anything is applied. */
export type Backtest = {
  passed: boolean;
  at: string;
  /** what was found and, where it failed, what would make it pass */
  message: string;
  /** how many containers were replayed */
  containers: number;
  /** a fingerprint of them and of what their manifests said */
  tried?: string;
  /** OOM kills, by the manifests and with tuning; absent where there was too little to judge by */
  kills?: { manifest: number; tuned: number };
  /** the rules' settings that were not at their defaults, by variable */
  settings?: Record<string, string>;
};

/** `status.nfr_recommendations.memory` */
export type MemoryStatus = {
  phase: Phase;
  message: string;
  observed_at?: string;
  /** how many workloads carry this record's label */
  workloads: number;
  /** the values in force or recommended, for `kubectl get`: `224Mi`, or `function=224Mi,odgm=160Mi` */
  request?: string;
  limit?: string;
  containers: ContainerStatus[];
  /** by workload; those without one have not been asked for any */
  rollouts?: RolloutStatus[];
  /** newest first */
  history: HistoryEntry[];
  /** absent as long as tuning has changed nothing */
  outcome?: Outcome;
  /** only where a replay is required */
  backtest?: Backtest;
  /** of each decision that stands or is in the history: `npm run explain` decides again from it */
  evidence?: Evidence[];
};

/** `status.nfr_recommendations`: everything in a record that oaas-tuner owns. Written in one apply. */
export type Recommendations = {
  memory: MemoryStatus;
  /** absent where a record has no Knative Services */
  concurrency?: ConcurrencyStatus;
};
