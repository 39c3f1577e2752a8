/**
 * Which values win (design, "Which values win"): override, then applied, then what the manifest says. Decided per
 * container and per field. Recommendations are no rung: they never reach a workload.
 */
import type { Knobs } from './concurrency.ts';
import type { Tuning } from './record.ts';
import { AUTOSCALING, dashed, HARD_LIMIT } from './scaling-settings.ts';
import { FIELDS, type Pair } from './workload.ts';

/** The switches that are not in the record. */
export type Gates = {
  /** `OPRC_CRM_FEATURES_NFR_ENFORCEMENT`: whether applied values may reach workloads at all */
  enforcement: boolean;
  /** what a record's `enabled` is when it does not say (the profile decides) */
  enabledByDefault: boolean;
};

export type Injected = { value: string; rung: 'override' | 'applied' };

/** Whether the record is tuned: observed, recommended for and, with the other switches, enforced. */
export function isEnabled(tuning: Pick<Tuning, 'enabled'>, gates: Gates): boolean {
  return tuning.enabled ?? gates.enabledByDefault;
}

/** Whether applied values count for this record. */
export function isEnforced(tuning: Pick<Tuning, 'enabled' | 'enforce' | 'paused'>, gates: Gates): boolean {
  return gates.enforcement && tuning.enforce && !tuning.paused && isEnabled(tuning, gates);
}

/**
 * What a person wrote for a container. The key `workload/container` is more specific than `container`, field by field.
 * Works with the gate closed and whatever the profile says; only an explicit `enabled: false` switches it off.
 *
 * @param workload the workload's name, without its kind
 */
export function overrideOf(tuning: Tuning, workload: string, container: string): Pair<string> {
  if (tuning.enabled === false) return {};
  return { ...entry(tuning.overrides, container), ...entry(tuning.overrides, `${workload}/${container}`) };
}

/**
 * The values that the ladder injects into one container; a field without one stays what the manifest says.
 *
 * @param ref the workload with its kind, e.g. `Deployment/orders`
 */
export function ladder(tuning: Tuning, gates: Gates, ref: string, container: string): Pair<Injected> {
  const override = overrideOf(tuning, ref.slice(ref.indexOf('/') + 1), container);
  const applied = (isEnforced(tuning, gates) && entry(tuning.applied, `${ref}/${container}`)) || {};
  const values: Pair<Injected> = {};
  for (const field of FIELDS) {
    const value = override[field] ?? applied[field];
    if (value !== undefined) values[field] = { value, rung: override[field] === undefined ? 'applied' : 'override' };
  }
  return values;
}

export type InjectedSetting = { value: string | number; rung: Injected['rung'] };

/**
 * The same ladder for how many requests a pod of a Knative Service takes.
 *
 * @param ref the Service, e.g. `KnativeService/orders`
 * @returns by `containerConcurrency` or annotation key, spelled with dashes; the text of overrides is used to the letter
 */
export function concurrencyLadder(tuning: Tuning, gates: Gates, ref: string): Map<string, InjectedSetting> {
  const settings = new Map<string, InjectedSetting>();
  const { overrides, applied } = tuning.concurrency;
  const set = (rung: Injected['rung'], key: string, value: string | number | undefined) => {
    if (value !== undefined) settings.set(key, { value, rung });
  };
  if (isEnforced(tuning, gates)) {
    const { target, containerConcurrency, targetBurstCapacity }: Knobs = entry(applied, ref) ?? {};
    set('applied', HARD_LIMIT, containerConcurrency);
    set('applied', `${AUTOSCALING}target`, target?.toString());
    set('applied', `${AUTOSCALING}target-burst-capacity`, targetBurstCapacity?.toString());
  }
  if (tuning.enabled === false) return settings;
  set('override', HARD_LIMIT, overrides.containerConcurrency);
  for (const [key, value] of Object.entries(overrides.annotations)) {
    const name = dashed(key);
    // Of two spellings the one with dashes counts, as for Knative.
    if (name === key || !Object.hasOwn(overrides.annotations, name)) set('override', name, value);
  }
  return settings;
}

/** Own keys only: a container may be called `constructor`. */
function entry<T>(map: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
