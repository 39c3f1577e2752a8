/**
 * What Knative's own validation accepts of the scaling settings in a Service's pod template (knative/serving
 * `pkg/apis/autoscaling/annotation_validation.go`, `pkg/apis/serving/metadata_validation.go`). A value that it refuses must
 * not be sent: it would refuse the person's deploy with it.
 */
import { AUTOSCALING, dashed, HARD_LIMIT, type ScalingSettings, settingText, spelledIn } from './scaling-settings.ts';

/** `data` of the ConfigMaps in which Knative's administrator decides for all Services; empty where Knative is not. */
export type KnativeConfig = {
  /** `config-defaults` */
  defaults: Readonly<Record<string, string>>;
  /** `config-autoscaler` */
  autoscaler: Readonly<Record<string, string>>;
};

/** What of it bounds a Service's settings. */
export type KnativeBounds = {
  /** `container-concurrency-max-limit` */
  mostConcurrency: number;
  /** `allow-container-concurrency-zero` */
  unlimitedConcurrency: boolean;
  /** `max-scale-limit`; 0 is none */
  mostScale: number;
  /** `allow-zero-initial-scale` */
  zeroInitialScale: boolean;
  /** `pod-autoscaler-class`: that of a Service which names none */
  autoscalerClass: string;
};

const WHOLE = /^[0-9]{1,9}$/;
/** As Go's `strconv.ParseBool` reads them. */
const [YES, NO] = [/^(1|[tT]|true|True|TRUE)$/, /^(0|[fF]|false|False|FALSE)$/];
const KPA = 'kpa.autoscaling.knative.dev';
const HPA = 'hpa.autoscaling.knative.dev';

/** What is absent, or no number, is Knative's own default (`pkg/apis/config/defaults.go`, `pkg/autoscaler/config/config.go`). */
export function readBounds({ defaults, autoscaler }: KnativeConfig): KnativeBounds {
  const whole = (text: string | undefined, otherwise: number) =>
    text !== undefined && WHOLE.test(text) ? Number(text) : otherwise;
  return {
    mostConcurrency: whole(defaults['container-concurrency-max-limit'], 1000),
    unlimitedConcurrency: !NO.test(defaults['allow-container-concurrency-zero'] ?? ''),
    mostScale: whole(autoscaler['max-scale-limit'], 0),
    zeroInitialScale: YES.test(autoscaler['allow-zero-initial-scale'] ?? ''),
    autoscalerClass: autoscaler['pod-autoscaler-class'] || KPA,
  };
}

/** The bounds of a cluster that says nothing. */
export const OWN_BOUNDS = readBounds({ defaults: {}, autoscaler: {} });

const DECIMAL = /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$/;
const DURATION = /^([0-9]+(\.[0-9]{1,3})?(h|m|s)|[0-9]+ms)+$/;
const MILLISECONDS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

type Rule = { allowed(value: string): boolean; words: string };

const atLeast = (least: number, words = ''): Rule => ({
  allowed: (value) => DECIMAL.test(value) && (Number(value) >= least || (words !== '' && Number(value) === -1)),
  words: `a number of at least ${least}${words}`,
});
const between = (least: number, most: number): Rule => ({
  allowed: (value) => DECIMAL.test(value) && Number(value) >= least && Number(value) <= most,
  words: `a number between ${least} and ${most}`,
});
const whole = (least: number): Rule => ({
  allowed: (value) => WHOLE.test(value) && Number(value) >= least,
  words: `a whole number of at least ${least}`,
});
/** @param least seconds @param wholeSeconds whether no fraction of a second is taken */
const duration = (least: number, wholeSeconds: boolean): Rule => ({
  allowed(value) {
    const taken = readDuration(value);
    return taken >= least * 1000 && taken <= 3_600_000 && !(wholeSeconds && taken % 1000 !== 0);
  },
  words: `a duration between ${least}s and 1h${wholeSeconds ? ' in whole seconds' : ''}`,
});

/** What Knative asks of one value, by the name with dashes; it asks nothing of a name that is not here. */
const RULES: Record<string, Rule> = {
  class: {
    allowed: (value) => !value.endsWith('.knative.dev') || value === KPA || value === HPA,
    words: `${KPA} or ${HPA}`,
  },
  metric: { allowed: (value) => value !== '', words: 'the name of a metric' },
  target: atLeast(0.01),
  'target-utilization-percentage': between(1, 100),
  'target-burst-capacity': atLeast(0, ', or -1'),
  'min-scale': whole(0),
  'max-scale': whole(0),
  'initial-scale': whole(0),
  'activation-scale': whole(2),
  'panic-window-percentage': between(1, 100),
  'panic-threshold-percentage': between(110, 1000),
  window: duration(6, true),
  'scale-down-delay': duration(0, true),
  'scale-to-zero-pod-retention-period': duration(0, false),
};
const RULE_OF = new Map(Object.entries(RULES).map(([name, rule]) => [AUTOSCALING + name, rule]));

/** @returns what the annotation must be, where this value is not */
export function mustBe(key: string, value: string): string | undefined {
  const rule = RULE_OF.get(dashed(key));
  return rule && !rule.allowed(value) ? rule.words : undefined;
}

/**
 * What Knative would refuse of these settings together, in a cluster with these bounds.
 *
 * @returns by key, as it is spelled: what is wrong; a value that fits no other is wrong under the keys of both
 */
export function refusals(settings: ScalingSettings, bounds: KnativeBounds): Map<string, string> {
  const refused = new Map<string, string>();
  const hard = settings.get(HARD_LIMIT);
  const least = bounds.unlimitedConcurrency ? 0 : 1;
  if (
    hard !== undefined &&
    !(Number.isInteger(hard) && Number(hard) >= least && Number(hard) <= bounds.mostConcurrency)
  )
    refused.set(HARD_LIMIT, `must be a whole number between ${least} and ${bounds.mostConcurrency}`);
  for (const [key, value] of settings) {
    // The spelling that does not count is not judged.
    if (key === HARD_LIMIT || spelledIn(settings, dashed(key)) !== key) continue;
    const words = typeof value === 'string' ? mustBe(key, value) : 'text';
    if (words !== undefined) refused.set(key, `must be ${words}`);
  }
  for (const [names, words] of misfits(settings, bounds)) {
    for (const name of names) {
      const key = spelledIn(settings, AUTOSCALING + name);
      if (settings.has(key) && !refused.has(key)) refused.set(key, words);
    }
  }
  return refused;
}

/** What fits not each other, or not the cluster: the names with dashes, and why. */
function misfits(settings: ScalingSettings, bounds: KnativeBounds): [names: string[], words: string][] {
  const text = (name: string) => settingText(settings, name);
  const number = (name: string) => Number(text(name) ?? 0);
  const [min, max, active] = [number('min-scale'), number('max-scale'), number('activation-scale')];
  const [metric, algorithm, named] = [text('metric'), text('metric-aggregation-algorithm'), text('class')];
  const found: [boolean, string[], string][] = [
    [max !== 0 && max < min, ['max-scale', 'min-scale'], `max-scale ${max} is less than min-scale ${min}`],
    [
      text('max-scale') !== undefined && bounds.mostScale > 0 && (max === 0 || max > bounds.mostScale),
      ['max-scale'],
      `must be between 1 and ${bounds.mostScale} in this cluster`,
    ],
    [
      text('initial-scale') !== undefined && number('initial-scale') === 0 && !bounds.zeroInitialScale,
      ['initial-scale'],
      'must be at least 1 in this cluster',
    ],
    [
      text('activation-scale') !== undefined && (min > active || (max !== 0 && max < active)),
      ['activation-scale', 'min-scale', 'max-scale'],
      `activation-scale ${active} is not between min-scale ${min} and max-scale ${max || 'unlimited'}`,
    ],
    [
      (named ?? bounds.autoscalerClass) === KPA && metric !== undefined && !['concurrency', 'rps'].includes(metric),
      ['metric', 'class'],
      `the metric "${metric}" is none of concurrency and rps, by which ${KPA} scales`,
    ],
    [
      named === KPA &&
        algorithm !== undefined &&
        !['', 'linear', 'weightedExponential', 'weighted-exponential'].includes(algorithm),
      ['metric-aggregation-algorithm', 'class'],
      'must be linear or weighted-exponential',
    ],
  ];
  return found.flatMap(([wrong, names, words]) => (wrong ? [[names, words] as [string[], string]] : []));
}

/** In milliseconds; `NaN` for what Go's `time.ParseDuration` refuses, or nobody writes (parts of a millisecond). */
function readDuration(text: string): number {
  if (text === '0') return 0;
  if (!DURATION.test(text)) return Number.NaN;
  const parts = text.matchAll(/([0-9.]+)(ms|h|m|s)/g);
  return [...parts].reduce((sum, [, amount, unit]) => sum + Number(amount) * (MILLISECONDS[unit ?? ''] ?? 0), 0);
}

/** Whether the autoscaler aims at requests in flight: only then a target is a number of them. */
export function scalesByConcurrency(settings: ScalingSettings, bounds: KnativeBounds): boolean {
  const { autoscalerClass } = bounds;
  const [named, metric] = [settings.get(`${AUTOSCALING}class`), settings.get(`${AUTOSCALING}metric`)];
  return (named ?? autoscalerClass) === KPA && (metric ?? 'concurrency') === 'concurrency';
}
