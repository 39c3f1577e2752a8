/**
 * What Knative's validation says to the settings in a Service's template, written after its source and without a look at
 * ours (knative/serving `pkg/apis/autoscaling/annotation_validation.go`); only for the settings that the tests generate.
 */
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { KnativeBounds } from '../../src/domain/knative-rules.ts';

/** The settings in a template, by `containerConcurrency` and the annotations' names without their prefix. */
export function settingsIn(object: JsonObject): { [key: string]: Json } {
  // biome-ignore lint/suspicious/noExplicitAny: generated objects are of the tests' own making
  const { metadata, spec } = (object as any).spec.template;
  const annotations = Object.entries(metadata?.annotations ?? {}).map(([key, value]) => [key.split('/')[1], value]);
  const { containerConcurrency } = spec;
  return Object.fromEntries([
    ...annotations,
    ...(containerConcurrency === undefined ? [] : [['containerConcurrency', containerConcurrency]]),
  ]);
}

/** The value that counts of a setting with two spellings, and of any other. */
export function effective(settings: { [key: string]: Json }, name: string): Json | undefined {
  const camel = name.replaceAll(/-./g, (dash) => dash.slice(1).toUpperCase());
  return Object.hasOwn(settings, name) ? settings[name] : settings[camel];
}

/** Whether Knative takes them in a cluster with these bounds. */
export function knativeTakes(object: JsonObject, bounds: KnativeBounds): boolean {
  if (object.kind !== 'Service') return true;
  const settings = settingsIn(object);
  const hard = settings.containerConcurrency;
  if (hard !== undefined) {
    if (typeof hard !== 'number' || hard < 0 || hard > bounds.mostConcurrency) return false;
    if (hard === 0 && !bounds.unlimitedConcurrency) return false;
  }
  const number = (name: string) => {
    const value = effective(settings, name);
    if (value === undefined) return undefined;
    return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  };
  const [min = 0, max, target, burst] = ['min-scale', 'max-scale', 'target', 'target-burst-capacity'].map(number);
  if (!(target === undefined || target >= 0.01)) return false;
  if (!(burst === undefined || burst >= 0 || burst === -1)) return false;
  if (!(min >= 0) || !(max === undefined || max >= 0)) return false;
  if (max !== undefined && max !== 0 && max < min) return false;
  if (max !== undefined && bounds.mostScale > 0 && (max === 0 || max > bounds.mostScale)) return false;
  const [metric, named = bounds.autoscalerClass] = [settings.metric, settings.class];
  if (metric !== undefined && named === 'kpa.autoscaling.knative.dev' && metric !== 'concurrency' && metric !== 'rps')
    return false;
  return metric !== '' || !String(named).endsWith('.knative.dev');
}
