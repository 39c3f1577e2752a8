/**
 * Whether an update leaves the pod template alone, as its author wrote it: values that we injected are read as what
 * stood there before. Only then do a label, a scale, or the same manifest applied again restart nothing.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { sameQuantity } from '../domain/quantity.ts';
import { FIELDS, kindOf } from '../domain/workload.ts';
import { asWritten, type Book } from './book.ts';

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
  ],
  container: ['name', 'resources', 'readinessProbe'],
};
const PROBES = ['readinessProbe', 'livenessProbe', 'startupProbe', 'volumeMounts'];

export function sameTemplate(object: unknown, old: unknown, book: Book, oldBook: Book): boolean {
  const knative = kindOf(object) === 'KnativeService';
  const [next, before] = [object, old].map((side) => asObject(at(side, 'spec', 'template')));
  if (!next || !before) return !next && !before;
  const [spec, oldSpec] = [asObject(next.spec) ?? {}, asObject(before.spec) ?? {}];
  return (
    equalObjects(next, before, { except: ['spec'] }) &&
    equalObjects(spec, oldSpec, { except: LISTS, optional: knative ? DEFAULTED_BY_KNATIVE.podSpec : [] }) &&
    LISTS.every((list) => sameContainers(spec[list], oldSpec[list], book, oldBook, knative))
  );
}

const LISTS = ['containers', 'initContainers'];

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
  const name = String(next.name ?? before.name ?? '');
  const [written, writtenBefore] = [asWritten(next, book.get(name)), asWritten(before, oldBook.get(name))];
  if (!FIELDS.every((field) => sameQuantity(written[field], writtenBefore[field]))) return false;
  if (!sameOtherResources(asObject(next.resources), asObject(before.resources))) return false;
  const optional = knative ? DEFAULTED_BY_KNATIVE.container : [];
  if (!equalObjects(next, before, { except: ['resources', ...PROBES], optional })) return false;
  return PROBES.every((key) => {
    if (knative && next[key] === undefined && optional.includes(key)) return true;
    return knative ? includes(before[key], next[key]) : equal(next[key], before[key]);
  });
}

/** Everything in `resources` but memory; an empty list and a missing one are the same. */
function sameOtherResources(next: JsonObject = {}, before: JsonObject = {}): boolean {
  const lists = ['requests', 'limits'];
  return (
    equalObjects(next, before, { except: lists }) &&
    lists.every((list) =>
      equalObjects(asObject(next[list]) ?? {}, asObject(before[list]) ?? {}, { except: ['memory'] }),
    )
  );
}

type Comparison = { except: string[]; optional?: string[] };

function equalObjects(next: JsonObject, before: JsonObject, { except, optional = [] }: Comparison): boolean {
  const keys = new Set([...Object.keys(next), ...Object.keys(before)]);
  return [...keys].every((key) => {
    if (except.includes(key)) return true;
    if (optional.includes(key) && (next[key] ?? undefined) === undefined) return true;
    return equal(next[key], before[key]);
  });
}

/** Deep equality of JSON; null and absent are the same. */
function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  const [left, right] = [asObject(a), asObject(b)];
  return left && right ? equalObjects(left, right, { except: [] }) : (a ?? undefined) === (b ?? undefined);
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
