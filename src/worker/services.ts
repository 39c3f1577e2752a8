/** What is known of one Knative Service's concurrency before its containers are looked at. */
import { CONCURRENCY, readBook } from '../admit/book.ts';
import { templateAsWritten } from '../admit/concurrency.ts';
import { type ConcurrencyStatus, type Knobs, knobsOf, sameKnobs } from '../domain/concurrency.ts';
import { type KnativeBounds, scalesByConcurrency } from '../domain/knative-rules.ts';
import type { Tuning } from '../domain/record.ts';
import { AUTOSCALING, type ScalingSettings, settingsOf, settingText } from '../domain/scaling-settings.ts';
import type { Load } from '../domain/usage.ts';
import type { ServiceAlone } from '../recommend/pairing.ts';
import type { Aftermath } from '../recommend/take-back.ts';
import { type KnativeDefaults, resolve } from '../recommend/target.ts';
import { findService, readAppliedKnobs, readKnobDecision } from '../record/concurrency-read-back.ts';
import type { Workload } from './workloads.ts';

/** What the rules decide about; the burst capacity is a person's alone. */
const DECIDED = ['target', 'containerConcurrency'] as const;

/** What is around a Service. */
export type Around = {
  load: Load | undefined;
  tuning: Tuning;
  previous: ConcurrencyStatus | undefined;
  bounds: KnativeBounds;
  defaults: KnativeDefaults;
  enforced: boolean;
  aftermath: Aftermath;
};

export function readService({ ref, object, replicas }: Workload, around: Around): ServiceAlone {
  const { load, tuning, previous, bounds, defaults, enforced, aftermath } = around;
  const before = findService(previous, ref);
  const [standing, applied] = [readKnobDecision(before?.recommended), readAppliedKnobs(before?.applied)];
  const [runs, settings] = [knobsOf(object), settingsOf(object)];
  const entries = readBook(object)?.get(CONCURRENCY);
  const written = knobsOf({ spec: { template: templateAsWritten(object, entries) } });
  const utilization = Number(settingText(settings, 'target-utilization-percentage') || Number.NaN) / 100;
  const maxScale = Number(settingText(settings, 'max-scale') ?? defaults.maxScale);
  const foreign = foreignTo(settings, bounds);
  const fixed = overrideOf(tuning);
  return {
    load,
    current: resolve(runs, Number.isNaN(utilization) ? undefined : utilization, defaults),
    written,
    ours: isOurs(runs, written, fixed),
    most: bounds.mostConcurrency,
    atMaxScale: maxScale > 0 && replicas >= maxScale,
    fixed,
    enforced,
    aftermath,
    ...(foreign !== undefined && { foreign }),
    ...(standing && { standing }),
    ...(applied && { applied }),
  };
}

/** Whether what runs is a decision of ours: not what the manifest says, nor what a person fixed. */
function isOurs(runs: Knobs, written: Knobs, fixed: Knobs): boolean {
  const free = DECIDED.filter((knob) => fixed[knob] === undefined);
  return !sameKnobs(runs, written, free);
}

/** What a person wrote, as numbers. */
function overrideOf({ enabled, concurrency: { overrides } }: Tuning): Knobs {
  if (enabled === false) return {};
  const template = { metadata: { annotations: overrides.annotations }, spec: overrides };
  return knobsOf({ spec: { template } });
}

function foreignTo(settings: ScalingSettings, bounds: KnativeBounds): string | undefined {
  if (scalesByConcurrency(settings, bounds)) return undefined;
  const scaler = settingText(settings, 'class') ?? bounds.autoscalerClass;
  const metric = settingText(settings, 'metric');
  const by = metric === undefined ? '' : ` by ${metric}`;
  return `${scaler} scales it${by}, not by requests in flight (${AUTOSCALING}class, ${AUTOSCALING}metric): its concurrency is left alone`;
}
