/**
 * Whether an update leaves the pod template alone, as its author wrote it: values that we injected are read as what
 * stood there before. Only then do a label, a scale, or the same manifest applied again restart nothing.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { sameQuantity } from '../domain/quantity.ts';
import { kindOf, RESOURCE_LISTS, sameMemory } from '../domain/workload.ts';
import { asWritten, type Book, CONCURRENCY } from './book.ts';
import { templateAsWritten } from './concurrency.ts';

/**
 * A Knative Service reaches us before Knative has defaulted it, while the old object has its defaults. What is missing
 * in the new object under these keys is taken for a default to come: when Knative then fills in something else than
 * the old value, the API server asks us again (reinvocation) and the difference is seen
 * (knative/serving `pkg/apis/serving/v1/revision_defaults.go`).
 */
const DEFAULTED_BY_KNATIVE = {
  podSpec: [
    'containerConcurrency',
    'timeoutSeconds',
    'responseStartTimeoutSeconds',
    'idleTimeoutSeconds',
    'enableServiceLinks',
    'securityContext',
  ],
  container: ['name', 'readinessProbe', 'securityContext'],
};
/** Knative may add to what a person wrote under these keys. */
const COMPLETED_BY_KNATIVE = ['readinessProbe', 'livenessProbe', 'startupProbe', 'volumeMounts', 'securityContext'];
const LISTS = ['containers', 'initContainers'];

export function sameTemplate(object: unknown, old: unknown, book: Book, oldBook: Book): boolean {
  const knative = kindOf(object) === 'KnativeService';
  const [next, before] = [object, old].map((side) => {
    if (!knative) return asObject(at(side, 'spec', 'template'));
    const entries = (side === object ? book : oldBook).get(CONCURRENCY);
    return asObject(withoutEmpty(templateAsWritten(side, entries)));
  });
  if (!next || !before) return !next && !before;
  const [spec, oldSpec] = [asObject(next.spec) ?? {}, asObject(before.spec) ?? {}];
  return (
    equalObjects(next, before, { except: ['spec'] }) &&
    equalObjects(spec, oldSpec, { except: LISTS, ...(knative && { defaulted: DEFAULTED_BY_KNATIVE.podSpec }) }) &&
    LISTS.every((list) => sameContainers(spec[list], oldSpec[list], book, oldBook, knative))
  );
}

/**
 * Knative names a container without a name, but after us. Read with the name that the old object has in its place, its
 * values are found.
 */
export function withKnownNames(object: JsonObject | undefined, old: unknown): JsonObject | undefined {
  const path = ['spec', 'template', 'spec', 'containers'];
  const [containers, before] = [at(object, ...path), at(old, ...path)];
  if (kindOf(object) !== 'KnativeService' || !Array.isArray(containers) || !Array.isArray(before)) return object;
  if (containers.length !== before.length) return object;
  const named = containers.map((container, index) => {
    const unnamed = asObject(container);
    return unnamed && !unnamed.name ? { ...unnamed, name: at(before, index, 'name') } : container;
  });
  const [spec, template, podSpec] = [1, 2, 3].map((depth) => asObject(at(object, ...path.slice(0, depth))));
  return { ...object, spec: { ...spec, template: { ...template, spec: { ...podSpec, containers: named } } } };
}

/** What is a value also where it is empty: a quantity, and the hard limit, of which 0 is another than the default. */
const NEVER_EMPTY = ['resources', 'containerConcurrency'];

/** Knative reads and writes a Service as Go types do: empty values are dropped, null ones added. */
function withoutEmpty(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.length > 0 ? value.map((item) => withoutEmpty(item) ?? null) : undefined;
  const object = asObject(value);
  if (!object) return value || undefined;
  const filled = Object.entries(object).flatMap(([key, member]) => {
    const kept = NEVER_EMPTY.includes(key) ? member : withoutEmpty(member);
    return kept === undefined ? [] : [[key, kept] as const];
  });
  return filled.length > 0 ? Object.fromEntries(filled) : undefined;
}

function sameContainers(
  next: Json | undefined,
  before: Json | undefined,
  book: Book,
  oldBook: Book,
  knative: boolean,
): boolean {
  const [a, b] = [next ?? [], before ?? []];
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((container, index) => {
    const [left, right] = [asObject(container), asObject(b[index])];
    return left && right && sameContainer(left, right, book, oldBook, knative);
  });
}

function sameContainer(next: JsonObject, before: JsonObject, book: Book, oldBook: Book, knative: boolean): boolean {
  const name = String(next.name ?? '');
  const [written, writtenBefore] = [asWritten(next, book.get(name)), asWritten(before, oldBook.get(name))];
  if (!sameMemory(written, writtenBefore)) return false;
  if (!sameOtherResources(asObject(next.resources), asObject(before.resources))) return false;
  const except = ['resources'];
  if (!knative) return equalObjects(next, before, { except });
  const [defaulted, completed] = [DEFAULTED_BY_KNATIVE.container, COMPLETED_BY_KNATIVE];
  return equalObjects(next, before, { except, defaulted, completed });
}

/** Everything in `resources` but memory; an empty list and a missing one are the same. */
function sameOtherResources(next: JsonObject = {}, before: JsonObject = {}): boolean {
  return (
    equalObjects(next, before, { except: RESOURCE_LISTS }) &&
    RESOURCE_LISTS.every((list) => {
      const [left, right] = [asObject(next[list]) ?? {}, asObject(before[list]) ?? {}];
      return everyKey(left, right, (name) => name === 'memory' || sameQuantity(left[name], right[name]));
    })
  );
}

/** Whether it holds for every key of either. */
function everyKey(left: JsonObject, right: JsonObject, holds: (key: string) => boolean): boolean {
  for (const key of Object.keys(left)) if (!holds(key)) return false;
  for (const key of Object.keys(right)) if (!Object.hasOwn(left, key) && !holds(key)) return false;
  return true;
}

type Comparison = { except?: string[]; defaulted?: string[]; completed?: string[] };

function equalObjects(
  next: JsonObject,
  before: JsonObject,
  { except, defaulted, completed }: Comparison = {},
): boolean {
  return everyKey(next, before, (key) => {
    if (except?.includes(key)) return true;
    if (defaulted?.includes(key) && (next[key] ?? undefined) === undefined) return true;
    return completed?.includes(key) ? includes(before[key], next[key]) : equal(next[key], before[key]);
  });
}

/** Deep equality of JSON; null and absent are the same. */
function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  const [left, right] = [asObject(a), asObject(b)];
  return left && right ? equalObjects(left, right) : (a ?? undefined) === (b ?? undefined);
}

/** Whether `whole` holds everything that `part` does, and possibly more (defaults inside a probe or a mount). */
function includes(whole: Json | undefined, part: Json | undefined): boolean {
  if (Array.isArray(whole) && Array.isArray(part)) {
    return whole.length === part.length && part.every((item, index) => includes(whole[index], item));
  }
  const [object, subset] = [asObject(whole), asObject(part)];
  if (object && subset) return Object.entries(subset).every(([key, value]) => includes(object[key], value));
  return equal(whole, part);
}
