/**
 * The workload's own annotation that remembers, per container and field, what was injected (`set`) and what the
 * manifest had said (`was`, null where it said nothing). With it an object can be read as the person wrote it, and
 * switching tuning off gives the manifest's values back.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { parseQuantity, sameQuantity } from '../domain/quantity.ts';
import { APPLIED_ANNOTATION, annotation, FIELDS, memoryOf, type Pair } from '../domain/workload.ts';

export type Entry = { set: string; was: Json };
/** By container name. */
export type Book = Map<string, Pair<Entry>>;

/** @returns the book that the object carries; `undefined` when it has none or one that cannot be read */
export function readBook(object: unknown): Book | undefined {
  const text = annotation(object, APPLIED_ANNOTATION);
  if (text === undefined) return undefined;
  try {
    const containers = asObject(JSON.parse(text));
    return containers && new Map(Object.entries(containers).map(([name, fields]) => [name, readEntries(fields)]));
  } catch {
    return undefined;
  }
}

function readEntries(fields: unknown): Pair<Entry> {
  const entries: Pair<Entry> = {};
  for (const field of FIELDS) {
    const set = at(fields, field, 'set');
    const was = at(fields, field, 'was') ?? null;
    // Anybody can write into an annotation; what is no quantity was not put there by us.
    if (typeof set === 'string' && (was === null || parseQuantity(was) !== undefined)) entries[field] = { set, was };
  }
  return entries;
}

/** The annotation's text: the same book always gives the same text. `undefined` for an empty book. */
export function writeBook(book: Book): string | undefined {
  const written = [...book].filter(([, entries]) => FIELDS.some((field) => entries[field]));
  return written.length === 0 ? undefined : JSON.stringify(Object.fromEntries(written));
}

/** A container's memory as the person wrote it: where the object holds the value that we set, what was there before. */
export function asWritten(container: JsonObject, entries: Pair<Entry> = {}): Pair<Json> {
  const values = memoryOf(container);
  for (const field of FIELDS) {
    const entry = entries[field];
    if (!entry || !sameQuantity(values[field], entry.set)) continue;
    if (entry.was === null) delete values[field];
    else values[field] = entry.was;
  }
  return values;
}

/** Whether two books remember the same amounts for the same containers, however they are spelled. */
export function sameBook(a: Book, b: Book): boolean {
  const within = (one: Book, other: Book) =>
    [...one].every(([name, entries]) => FIELDS.every((field) => sameEntry(entries[field], other.get(name)?.[field])));
  return within(a, b) && within(b, a);
}

function sameEntry(a: Entry | undefined, b: Entry | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameQuantity(a.set, b.set) && sameQuantity(a.was, b.was));
}
