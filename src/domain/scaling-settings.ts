/**
 * The settings in a Knative Service's pod template by which it scales, as they are spelled there: the hard limit, and the
 * annotations of Knative's autoscaler.
 */
import { asObject, at, type Json } from './json.ts';

/** Annotations of the Service's template under this are Knative's autoscaler's. */
export const AUTOSCALING = 'autoscaling.knative.dev/';

/** The hard limit's place in the map of settings, and its name in messages. */
export const HARD_LIMIT = 'containerConcurrency';

/** By annotation key, as it is spelled, or `containerConcurrency`. */
export type ScalingSettings = Map<string, Json>;

export function isSetting(key: string): boolean {
  return key === HARD_LIMIT || key.startsWith(AUTOSCALING);
}

/** What a Knative Service's template says; null is nothing. */
export function settingsOf(service: unknown): ScalingSettings {
  const template = ['spec', 'template'];
  const annotations = Object.entries(asObject(at(service, ...template, 'metadata', 'annotations')) ?? {});
  const all = [[HARD_LIMIT, at(service, ...template, 'spec', HARD_LIMIT)] as const, ...annotations.filter(isScaling)];
  return new Map(all.flatMap(([key, value]) => (value === undefined || value === null ? [] : [[key, value]])));
}

function isScaling([key]: [string, unknown]): boolean {
  return key.startsWith(AUTOSCALING);
}

/** Those that Knative knows under two spellings, of which the one with dashes wins (`pkg/apis/autoscaling/register.go`). */
const ALSO_CAMEL = [
  'initial-scale',
  'max-scale',
  'metric-aggregation-algorithm',
  'min-scale',
  'panic-threshold-percentage',
  'panic-window-percentage',
  'scale-down-delay',
  'scale-to-zero-pod-retention-period',
  'target-burst-capacity',
  'target-utilization-percentage',
];
const camel = (dashed: string) => dashed.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const CAMEL_OF = new Map(ALSO_CAMEL.map((dashed) => [AUTOSCALING + dashed, AUTOSCALING + camel(dashed)]));
const DASHED_OF = new Map([...CAMEL_OF].map(([dashed, camel]) => [camel, dashed]));

/** The spelling with dashes, under which two keys that mean the same are one. */
export function dashed(key: string): string {
  return DASHED_OF.get(key) ?? key;
}

/** How the settings spell what is called so with dashes: as it counts for Knative, and with dashes where it is not there. */
export function spelledIn(settings: ScalingSettings, name: string): string {
  const other = CAMEL_OF.get(name);
  return !settings.has(name) && other !== undefined && settings.has(other) ? other : name;
}

/** What the annotation says under the spelling that counts. @param name with dashes, e.g. `max-scale` */
export function settingText(settings: ScalingSettings, name: string): string | undefined {
  const value = settings.get(spelledIn(settings, AUTOSCALING + name));
  return typeof value === 'string' ? value : undefined;
}
