/**
 * What a Knative Service's autoscaler aims at, resolved as Knative resolves it (knative/serving
 * `pkg/reconciler/autoscaling/resources/target.go`): what the template says, else the cluster's defaults.
 */
import type { Knobs } from '../domain/concurrency.ts';

/** The cluster's defaults and bounds, from the ConfigMaps `config-autoscaler` and `config-defaults`. */
export type KnativeDefaults = {
  autoscalerClass: string;
  /** requests per pod, where neither a target nor a hard limit is set */
  target: number;
  /** the share of the target that is aimed at, from 0 to 1 */
  utilization: number;
  targetBurstCapacity: number;
  containerConcurrency: number;
  /** the largest hard limit that the cluster allows */
  containerConcurrencyMost: number;
  /** pods of a Revision at most; 0 is no limit */
  maxScale: number;
};

/** Those that Knative comes with (`pkg/autoscaler/config/config.go`, `pkg/apis/config/defaults.go`, 1.23). */
export const KNATIVE_DEFAULTS: KnativeDefaults = {
  autoscalerClass: 'kpa.autoscaling.knative.dev',
  target: 100,
  utilization: 0.7,
  targetBurstCapacity: 211,
  containerConcurrency: 0,
  containerConcurrencyMost: 1000,
  maxScale: 0,
};

/** What counts for a Service, whoever said it. */
export type Resolved = Required<Knobs> & {
  /** requests in flight per pod that the autoscaler scales to: the target times its utilization */
  aim: number;
};

/** The least that Knative aims at. */
const LEAST_AIM = 0.01;

/** @param utilization what the template says, from 0 to 1 */
export function resolve(knobs: Knobs, utilization: number | undefined, defaults: KnativeDefaults): Resolved {
  const hard = knobs.containerConcurrency ?? defaults.containerConcurrency;
  const wanted = knobs.target ?? (hard === 0 ? defaults.target : hard);
  const target = hard === 0 ? wanted : Math.min(wanted, hard);
  return {
    target,
    containerConcurrency: hard,
    targetBurstCapacity: knobs.targetBurstCapacity ?? defaults.targetBurstCapacity,
    aim: Math.round(Math.max(LEAST_AIM, target * (utilization ?? defaults.utilization)) * 100) / 100,
  };
}
