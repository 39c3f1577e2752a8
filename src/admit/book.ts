/**
 * The workload's own annotation that remembers, per container and field, what was injected (`set`) and what the
 * manifest had said (`was`, null where it said nothing). With it an object can be read as the person wrote it, and
 * switching tuning off gives the manifest's values back.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { sameQuantity } from '../domain/quantity.ts';
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
    if (typeof set === 'string') entries[field] = { set, was: at(fields, field, 'was') ?? null };
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
