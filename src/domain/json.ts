/**
 * What arrives from outside (a review, a record, an answer of Prometheus) can hold anything. These two functions are
 * how the rest of the code looks into it without ever throwing.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json | undefined };

/** @returns the value when it is a JSON object (not an array, not null), else `undefined` */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** The text at that place; empty for anything else, which has no useful spelling (or one that throws). */
export function textAt(value: unknown, ...keys: (string | number)[]): string {
  const found = at(value, ...keys);
  return typeof found === 'string' ? found : '';
}

/** Follows own keys through nested objects and arrays; `undefined` as soon as one of them is missing. */
export function at(value: unknown, ...keys: (string | number)[]): Json | undefined {
  let here: unknown = value;
  for (const key of keys) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as Record<string | number, unknown>)[key];
  }
  return here as Json | undefined;
}
