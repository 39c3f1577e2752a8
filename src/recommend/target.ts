/**
 * What a Knative Service's autoscaler aims at, resolved as Knative resolves it (knative/serving
 * `pkg/reconciler/autoscaling/resources/target.go`): what the template says, else the cluster's defaults.
 */
import type { Knobs } from '../domain/concurrency.ts';
import type { KnativeConfig } from '../domain/knative-rules.ts';

/** What the cluster does where a template says nothing, from the ConfigMaps `config-autoscaler` and `config-defaults`. */
export type KnativeDefaults = {
  /** requests per pod, where neither a target nor a hard limit is set */
  target: number;
  /** the share of the target that is aimed at, from 0 to 1 */
  utilization: number;
  targetBurstCapacity: number;
  containerConcurrency: number;
  /** pods of a Revision at most; 0 is no limit */
  maxScale: number;
};

/** What is absent, or no number, is Knative's own default (`pkg/autoscaler/config/config.go`, `pkg/apis/config/defaults.go`). */
export function readKnativeDefaults({ autoscaler, defaults }: KnativeConfig): KnativeDefaults {
  const number = (text: string | undefined, otherwise: number) => {
    const value = Number(text?.trim() || Number.NaN);
    return Number.isFinite(value) ? value : otherwise;
  };
  return {
    target: number(autoscaler['container-concurrency-target-default'], 100),
    utilization: fractionOf(number(autoscaler['container-concurrency-target-percentage'], 70)),
    targetBurstCapacity: number(autoscaler['target-burst-capacity'], 211),
    containerConcurrency: number(defaults['container-concurrency'], 0),
    maxScale: number(autoscaler['max-scale'], 0),
  };
}

/** A percentage, or what Knative still takes for one: up to 1 it is the fraction itself. */
function fractionOf(percentage: number): number {
  return percentage > 1 ? percentage / 100 : percentage;
}

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
