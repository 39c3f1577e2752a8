/**
 * How many requests a pod of a Knative Service takes at once: the three fields of the Service's template that are ever
 * touched, where they live, and what a record's status says of them.
 */
import { at } from './json.ts';
import type { Change, Phase } from './record.ts';
import { HARD_LIMIT, settingsOf, settingText } from './scaling-settings.ts';

/** A field that nobody set is absent. Numbers of requests. */
export type Knobs = {
  /** what the autoscaler scales by, before the utilization percentage (`autoscaling.knative.dev/target`) */
  target?: number;
  /** the hard limit of a pod (`spec.template.spec.containerConcurrency`); 0 is none */
  containerConcurrency?: number;
  /** the burst that is kept free before requests go past the activator; -1 is any (`…/target-burst-capacity`) */
  targetBurstCapacity?: number;
};
export type Knob = keyof Knobs;
export const KNOBS: readonly Knob[] = ['target', 'containerConcurrency', 'targetBurstCapacity'];

/** What the template says; a value that is no number is left out, as one that nobody set. */
export function knobsOf(service: unknown): Knobs {
  const settings = settingsOf(service);
  return readKnobs({
    target: Number(settingText(settings, 'target') || Number.NaN),
    containerConcurrency: settings.get(HARD_LIMIT),
    targetBurstCapacity: Number(settingText(settings, 'target-burst-capacity') || Number.NaN),
  });
}

/** Of any object the knobs that are numbers. */
export function readKnobs(from: unknown): Knobs {
  const knobs: Knobs = {};
  for (const knob of KNOBS) {
    const value = at(from, knob);
    if (typeof value === 'number' && Number.isFinite(value)) knobs[knob] = value;
  }
  return knobs;
}

/** Whether all knobs, or these, are the same; one that nobody set is not 0. */
export function sameKnobs(a: Knobs, b: Knobs, knobs = KNOBS): boolean {
  return knobs.every((knob) => a[knob] === b[knob]);
}

/** Whether what is wanted is what counts already; a knob that is not wanted is left as it is. */
export function asItRuns(wanted: Knobs, current: Knobs): boolean {
  return sameKnobs(
    wanted,
    current,
    KNOBS.filter((knob) => wanted[knob] !== undefined),
  );
}

/** What a person wrote for the concurrency of a record's Knative Services; only what can be meant. */
export type ConcurrencyOverrides = {
  containerConcurrency?: number;
  /** by full key, e.g. `autoscaling.knative.dev/target` */
  annotations: Readonly<Record<string, string>>;
};

/** What admission needs to know of a record's concurrency. */
export type ConcurrencyTuning = {
  overrides: ConcurrencyOverrides;
  /** by `KnativeService/orders` */
  applied: Readonly<Record<string, Knobs>>;
};

/** Knobs with the moment at which they were decided (RFC 3339). */
export type KnobDecision = Knobs & {
  at: string;
  /** the container whose memory is not raised because of it */
  instead_of?: string;
};

/** Applied knobs, with what is needed to take them back. */
export type AppliedKnobs = KnobDecision & {
  /** what ran before, until the values have lasted a cooldown */
  previous?: Knobs;
  /** this Service's own cooldown, once it was taken back */
  cooldown_seconds?: number;
  /** the values came back because others made it worse, and do not run yet */
  taken_back?: boolean;
};

/** One Knative Service's entry in `status.nfr_recommendations.concurrency.services`. */
export type ServiceStatus = {
  /** e.g. `KnativeService/orders` */
  workload: string;
  /** what Knative makes of template and cluster defaults; `aim`: the in-flight requests per pod that it scales to */
  current: Knobs & { aim?: number };
  observed?: { concurrency_p95: number; queue_depth_p95?: number; request_rate?: number; window: string };
  recommended?: KnobDecision;
  applied?: AppliedKnobs;
  /** what a person wrote in the record's overrides */
  override?: Knobs;
  /** why the data must not raise anything */
  doubt?: string;
  /** the rung of the ladder in force */
  source: 'override' | 'applied' | 'recommendation' | 'manifest';
  rationale: string;
  fit?: FitStatus;
};

/** How a container's memory follows the requests in flight: memory = base + slope × requests. */
export type Fit = {
  /** bytes that a pod needs without any request */
  base: number;
  /** bytes for each request in flight */
  slope: number;
  /** of all that memory differs from its median the share that the line explains, from 0 to 1 */
  quality: number;
  samples: number;
  /** the requests in flight that the points reach from and to, without the tenth at either end */
  from: number;
  to: number;
};

export type FitStatus = Fit & {
  container: string;
  /** how many requests in flight the present limit carries by it */
  carries?: number;
};

/** What was seen of a Service's requests over one window. */
export type LoadEvidence = {
  concurrency_p95: number;
  queue_depth_p95?: number;
  request_rate?: number;
  samples: number;
};

/** The memory of one container, as the decision saw it. Quantities. */
export type MemoryEvidence = {
  container: string;
  limit: string;
  written?: string;
  short_max?: string;
  long_max?: string;
  /** the limit that the memory rules ask for, and the largest that may be set */
  wanted: string;
  ceiling: string;
  killed?: true;
  /** what the memory rules newly decided at that moment */
  moves?: 'up' | 'down';
  fit?: Fit;
};

/** What a Service's decisions of one moment were made from; the decisions point to theirs by workload and `at`. */
export type KnobEvidence = {
  at: string;
  workload: string;
  short?: LoadEvidence;
  long?: LoadEvidence;
  partial?: boolean;
  current: Required<Knobs> & { aim: number };
  manifest?: Knobs;
  override?: Knobs;
  memory: MemoryEvidence[];
  memory_decided_at?: string;
  /** why the memory of a container could not be trusted to fall */
  memory_doubt?: string;
  /** the largest hard limit that the cluster allows */
  most: number;
  at_max_scale?: boolean;
  killed?: boolean;
  recommended?: KnobDecision;
  applied?: AppliedKnobs;
  enforced?: boolean;
  /** what ran was not what the manifest says */
  ours?: boolean;
  aftermath?: { since: string; unavailable?: string };
  /** the rules' settings that were not at their defaults, by variable */
  settings?: Record<string, string>;
};

/** One line of the audit trail. */
export type KnobHistoryEntry = {
  at: string;
  workload: string;
  change: Change;
  from?: Knobs;
  to: Knobs;
  rationale: string;
  /** what came of applied values: `rolled out at …`, `taken back at …`, … */
  outcome?: string;
};

/** `status.nfr_recommendations.concurrency`; absent where a record has no Knative Services. */
export type ConcurrencyStatus = {
  phase: Phase;
  message: string;
  observed_at?: string;
  /** the targets in force or recommended, for `kubectl get`: `80`, or `orders=80,search=100` */
  target?: string;
  services: ServiceStatus[];
  /** newest first */
  history: KnobHistoryEntry[];
  /** of each decision that stands or is in the history: `npm run explain` decides again from it */
  evidence?: KnobEvidence[];
};

/** @param services an object's list as it was read, e.g. `status.nfr_recommendations.concurrency.services` */
export function appliedKnobsOf(services: unknown): Record<string, Knobs> {
  const applied: Record<string, Knobs> = Object.create(null);
  for (const service of Array.isArray(services) ? services : []) {
    const workload = at(service, 'workload');
    const knobs = readKnobs(at(service, 'applied'));
    if (typeof workload === 'string' && KNOBS.some((knob) => knobs[knob] !== undefined)) applied[workload] = knobs;
  }
  return applied;
}
