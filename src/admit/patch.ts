/**
 * Decisions → JSON Patch (RFC 6902). A patch that does not apply refuses the person's deploy even under
 * `failurePolicy: Ignore` (kubernetes/kubernetes#129459), so: `add` only, which also replaces; parents made where they
 * are absent or null; `remove` only of a value that is there and is ours.
 */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { sameQuantity } from '../domain/quantity.ts';
import { APPLIED_ANNOTATION, annotation, FIELDS, RESOURCE_LIST, sameMemory } from '../domain/workload.ts';
import { hasRoomFor } from './acceptable.ts';
import { type Book, CONCURRENCY, type Entries, writeBook } from './book.ts';
import { placeOf, settingEntries } from './concurrency.ts';
import type { ContainerDecision, Decision } from './decide.ts';

export type Operation = { op: 'add'; path: string; value: Json } | { op: 'remove'; path: string };

/**
 * @param object the object under review
 * @returns the operations, none where nothing changes; `no-room` where the annotation would not fit
 */
export function patchOf(object: JsonObject, decision: Decision): Operation[] | 'no-room' {
  const book = bookOperations(object, decision);
  if (book === 'no-room') return book;
  return [...decision.containers.flatMap(containerOperations), ...settingOperations(object, decision), ...book];
}

function settingOperations(object: JsonObject, { concurrency }: Decision): Operation[] {
  if (!concurrency) return [];
  const { before, after } = concurrency;
  const operations: Operation[] = [];
  const template = ['spec', 'template'];
  const pointer = (...path: string[]) => `/${[...template, ...path].map(escaped).join('/')}`;
  const made = new Set<string>();
  const ensure = (...path: string[]) => {
    if (asObject(at(object, ...template, ...path)) || made.has(pointer(...path))) return;
    made.add(pointer(...path));
    operations.push({ op: 'add', path: pointer(...path), value: {} });
  };
  for (const [key, value] of after) {
    if (value === before.get(key)) continue;
    const place = placeOf(key);
    for (let depth = 1; depth < place.length; depth += 1) ensure(...place.slice(0, depth));
    operations.push({ op: 'add', path: pointer(...place), value });
  }
  const gone = [...before.keys()].filter((key) => !after.has(key));
  return [...operations, ...gone.map((key): Operation => ({ op: 'remove', path: pointer(...placeOf(key)) }))];
}

function containerOperations({ container, before, after }: ContainerDecision): Operation[] {
  if (sameMemory(before, after)) return [];
  const operations: Operation[] = [];
  const path = `${container.pointer}/resources`;
  let resources = asObject(container.json.resources);
  for (const field of FIELDS) {
    if (sameQuantity(before[field], after[field])) continue;
    const list = `${path}/${RESOURCE_LIST[field]}`;
    const value = after[field];
    if (value === undefined) {
      operations.push({ op: 'remove', path: `${list}/memory` });
      continue;
    }
    if (!resources) operations.push({ op: 'add', path, value: {} });
    resources ??= {};
    if (!asObject(resources[RESOURCE_LIST[field]])) operations.push({ op: 'add', path: list, value: {} });
    operations.push({ op: 'add', path: `${list}/memory`, value });
  }
  return operations;
}

/** A key as JSON Pointer spells it (RFC 6901). */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

const BOOK_PATH = `/metadata/annotations/${escaped(APPLIED_ANNOTATION)}`;

function bookOperations(object: JsonObject, { containers, concurrency, book }: Decision): Operation[] | 'no-room' {
  if (containers.length === 0) return [];
  const present = annotation(object, APPLIED_ANNOTATION);
  if (present === undefined && !concurrency && containers.every(isAsWritten)) return [];
  const written: Book = new Map(containers.map((decision) => [decision.container.name, entriesOf(decision, book)]));
  if (concurrency) written.set(CONCURRENCY, settingEntries(concurrency));
  const text = writeBook(written);
  if (text === present) return [];
  if (text === undefined) return [{ op: 'remove', path: BOOK_PATH }];
  if (!hasRoomFor(object, APPLIED_ANNOTATION, text)) return 'no-room';
  const operations: Operation[] = [{ op: 'add', path: BOOK_PATH, value: text }];
  if (!asObject(at(object, 'metadata', 'annotations'))) {
    operations.unshift({ op: 'add', path: '/metadata/annotations', value: {} });
  }
  return operations;
}

/** There is nothing to remember of it. */
function isAsWritten({ after, written }: ContainerDecision): boolean {
  return sameMemory(after, written);
}

/** What to remember of a container: each side that now differs from what its author wrote. */
function entriesOf({ container, after, written }: ContainerDecision, earlier: Book): Entries {
  const entries: Entries = {};
  for (const field of FIELDS) {
    const value = after[field];
    if (value === undefined || sameQuantity(value, written[field])) continue;
    // The server rewrites quantities in its own spelling; keeping ours as first written keeps the annotation still.
    const known = earlier.get(container.name)?.[field];
    const set = known && sameQuantity(known.set, value) ? known.set : String(value);
    entries[field] = { set, was: written[field] ?? null };
  }
  return entries;
}
