/**
 * The workload's own annotation that remembers, per container and field, what was injected (`set`) and what the
 * manifest had said (`was`, null where it said nothing). With it an object can be read as the person wrote it, and
 * switching tuning off gives the manifest's values back. Beside the containers stands what a Knative Service has once,
 * under a name that no container can have.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { parseQuantity, sameQuantity } from '../domain/quantity.ts';
import { isSetting } from '../domain/scaling-settings.ts';
import { APPLIED_ANNOTATION, annotation, FIELDS, memoryOf, type Pair } from '../domain/workload.ts';

export type Entry = { set: Json; was: Json };
/** By field (`request`, `limit`), or by setting for the whole Service. */
export type Entries = { [field: string]: Entry | undefined };
/** By container name, or `CONCURRENCY`. */
export type Book = Map<string, Entries>;

/** Whose entries are those of the template's concurrency (`admit/concurrency.ts`). */
export const CONCURRENCY = 'Concurrency';

/** @returns the book that the object carries; `undefined` when it has none or one that cannot be read */
export function readBook(object: unknown): Book | undefined {
  const text = annotation(object, APPLIED_ANNOTATION);
  if (text === undefined) return undefined;
  try {
    const containers = asObject(JSON.parse(text));
    return (
      containers && new Map(Object.entries(containers).map(([name, entries]) => [name, readEntries(name, entries)]))
    );
  } catch {
    return undefined;
  }
}

/** Anybody can write into an annotation; what is no value of ours was not put there by us. */
function readEntries(name: string, written: unknown): Entries {
  const entries: Entries = {};
  const settings = name === CONCURRENCY;
  const fields = settings ? Object.keys(asObject(written) ?? {}).filter(isSetting) : FIELDS;
  for (const field of fields) {
    const set = at(written, field, 'set');
    const was = at(written, field, 'was') ?? null;
    const known = typeof set === 'string' || (settings && typeof set === 'number');
    if (known && (was === null || settings || parseQuantity(was) !== undefined)) entries[field] = { set, was };
  }
  return entries;
}

/** The annotation's text: the same book always gives the same text. `undefined` for an empty book. */
export function writeBook(book: Book): string | undefined {
  const written = [...book].filter(([, entries]) => Object.keys(entries).length > 0);
  return written.length === 0 ? undefined : JSON.stringify(Object.fromEntries(written));
}

/** A container's memory as the person wrote it: where the object holds the value that we set, what was there before. */
export function asWritten(container: JsonObject, entries: Entries = {}): Pair<Json> {
  const values = memoryOf(container);
  for (const field of FIELDS) {
    const entry = entries[field];
    if (!entry || !sameQuantity(values[field], entry.set)) continue;
    if (entry.was === null) delete values[field];
    else values[field] = entry.was;
  }
  return values;
}

/** Whether two books say that the same amounts were injected, however they are spelled. */
export function sameInjections(a: Book, b: Book): boolean {
  if (a === b) return true;
  const within = (one: Book, other: Book) =>
    [...one].every(([name, entries]) =>
      Object.entries(entries).every(([field, entry]) => sameEntry(entry, other.get(name)?.[field])),
    );
  return within(a, b) && within(b, a);
}

function sameEntry(a: Entry | undefined, b: Entry | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameQuantity(a.set, b.set));
}
