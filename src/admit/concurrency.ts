/**
 * What the template of a Knative Service shall say about scaling: `containerConcurrency` and the autoscaling annotations.
 * The ladder, the book and the two ways of an update are memory's; what Knative's own validation would refuse is left out,
 * setting by setting, so that no deploy is refused for it.
 */
import { asObject, at, type Json } from '../domain/json.ts';
import { type KnativeBounds, refusals, scalesByConcurrency } from '../domain/knative-rules.ts';
import type { InjectedSetting } from '../domain/ladder.ts';
import type { Reason } from '../domain/reasons.ts';
import { dashed, HARD_LIMIT, type ScalingSettings, settingsOf, spelledIn } from '../domain/scaling-settings.ts';
import { kindOf } from '../domain/workload.ts';
import type { Entries } from './book.ts';

/** What happens to the Service's concurrency. */
export type ConcurrencyDecision = {
  reason: Reason;
  /** in the object under review */
  before: ScalingSettings;
  /** as its author wrote it */
  written: ScalingSettings;
  /** as it shall be; equal to `before` where nothing changes */
  after: ScalingSettings;
  /** what the ladder says, by the spelling with dashes */
  wanted: ReadonlyMap<string, InjectedSetting>;
  /** of that what is left out, and why */
  left: Map<string, { reason: Extract<Reason, 'refused-by-knative' | 'other-autoscaler'>; words: string }>;
};

/** What it is decided from. */
export type ConcurrencyFacts = {
  object: unknown;
  /** the object as it stands, when the update leaves the template alone */
  running: unknown;
  /** what was injected before, by the object's book and by that of `running` */
  entries: Entries;
  runningEntries: Entries;
  wanted: ReadonlyMap<string, InjectedSetting>;
  bounds: KnativeBounds;
};

/** @returns `undefined` where nothing was ever wanted, and for what is no Knative Service */
export function decideConcurrency(facts: ConcurrencyFacts): ConcurrencyDecision | undefined {
  const { object, running, entries, runningEntries, wanted, bounds } = facts;
  const known = Object.keys(entries).length + Object.keys(runningEntries).length;
  if (kindOf(object) !== 'KnativeService' || wanted.size + known === 0) return undefined;
  const before = settingsOf(object);
  const written = settingsAsWritten(before, entries);
  const decision = { before, written, wanted, left: new Map() };
  if (hasStrangeMetadata(object)) return { ...decision, reason: 'unreadable-value', after: before };
  const rungs = running === undefined ? wanted : new Map([...wanted].filter(([, { rung }]) => rung === 'override'));
  const base =
    running === undefined
      ? givenBack(written, before, bounds)
      : new Map([...written, ...ours(settingsOf(running), runningEntries)]);
  const { after, left } = overlaid(base, rungs, bounds);
  const first = [...left.values()][0]?.reason;
  if (same(after, before)) return { ...decision, left, after, reason: first ?? 'as-it-is' };
  const reason = !same(after, base) ? 'injected' : running === undefined ? 'given-back' : 'kept';
  return { ...decision, left, after, reason };
}

/** The settings as the person wrote them: where one is what we set, what was there before. */
export function settingsAsWritten(settings: ScalingSettings, entries: Entries): ScalingSettings {
  const written = new Map(settings);
  for (const [key, entry] of Object.entries(entries)) {
    if (!entry || settings.get(key) !== entry.set) continue;
    if (entry.was === null) written.delete(key);
    else written.set(key, entry.was);
  }
  return written;
}

/** What to remember: each setting that now differs from what its author wrote. */
export function settingEntries({ after, written }: ConcurrencyDecision): Entries {
  const ours = [...after].filter(([key, value]) => value !== written.get(key));
  return Object.fromEntries(ours.map(([key, set]) => [key, { set, was: written.get(key) ?? null }]));
}

/** Whether the decision changes something because of applied values. */
export function brings({ before, after, wanted }: ConcurrencyDecision): boolean {
  return [...after].some(([key, value]) => value !== before.get(key) && wanted.get(dashed(key))?.rung === 'applied');
}

/** The settings that hold what we set. */
function ours(settings: ScalingSettings, entries: Entries): [string, Json][] {
  return [...settings].filter(([key, value]) => Object.hasOwn(entries, key) && entries[key]?.set === value);
}

/** A setting of the manifest that Knative refuses had passed under ours; it must not fail a deploy that is not about it. */
function givenBack(written: ScalingSettings, before: ScalingSettings, bounds: KnativeBounds): ScalingSettings {
  const base = new Map(written);
  const refused = refusals(before, bounds);
  for (const key of refusals(written, bounds).keys()) {
    const value = before.get(key);
    if (value !== undefined && !refused.has(key)) base.set(key, value);
  }
  return base;
}

/** The settings under those that the ladder wants, without what Knative would not take. */
function overlaid(base: ScalingSettings, wanted: ReadonlyMap<string, InjectedSetting>, bounds: KnativeBounds) {
  const left: ConcurrencyDecision['left'] = new Map();
  const taken = new Map(wanted);
  const leave = (name: string, reason: 'refused-by-knative' | 'other-autoscaler', words: string) => {
    taken.delete(name);
    left.set(name, { reason, words });
  };
  for (;;) {
    const after = new Map(base);
    for (const [name, { value }] of taken) after.set(spelledIn(base, name), value);
    const decided = [...taken].filter(([, { rung }]) => rung === 'applied');
    if (decided.length > 0 && !scalesByConcurrency(after, bounds)) {
      for (const [name] of decided) leave(name, 'other-autoscaler', 'it does not scale by requests in flight');
      continue;
    }
    const refused = [...refusals(after, bounds)].filter(([key]) => taken.has(dashed(key)));
    if (refused.length === 0) return { after, left };
    for (const [key, words] of refused) leave(dashed(key), 'refused-by-knative', words);
  }
}

function same(a: ScalingSettings, b: ScalingSettings): boolean {
  return a.size === b.size && [...a].every(([key, value]) => value === b.get(key));
}

/** Metadata or annotations that are there and no objects: Knative refuses them, and a patch would only hide that. */
function hasStrangeMetadata(object: unknown): boolean {
  return [['metadata'], ['metadata', 'annotations'], ['spec']].some((path) => {
    const value = at(object, 'spec', 'template', ...path) ?? undefined;
    return value !== undefined && !asObject(value);
  });
}

/** Where a setting stands in the template, as a path of keys. */
export function placeOf(key: string): string[] {
  return key === HARD_LIMIT ? ['spec', HARD_LIMIT] : ['metadata', 'annotations', key];
}

/** The template with its settings as the person wrote them. */
export function templateAsWritten(object: unknown, entries: Entries = {}): Json | undefined {
  const template = at(object, 'spec', 'template');
  if (Object.keys(entries).length === 0) return template;
  const settings = settingsOf(object);
  const written = settingsAsWritten(settings, entries);
  if (same(settings, written)) return template;
  const [metadata, spec] = [asObject(at(template, 'metadata')), { ...asObject(at(template, 'spec')) }];
  const annotations = { ...asObject(metadata?.annotations) };
  for (const key of settings.keys()) {
    const [list, value] = [key === HARD_LIMIT ? spec : annotations, written.get(key)];
    if (value === undefined) delete list[key];
    else list[key] = value;
  }
  return { ...asObject(template), metadata: { ...metadata, annotations }, spec };
}
