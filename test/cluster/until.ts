import { setTimeout as delay } from 'node:timers/promises';

/** How long and how often `until` asks. */
export interface Patience {
  /** After this long it gives up. Default 60 s: other tests, and other builds, want the machine, too. */
  timeoutMs?: number;
  /** The pause between two looks. Default 50 ms. */
  everyMs?: number;
  /** Ends the waiting at once: throws why it is hopeless. */
  unless?: () => void;
}

/**
 * Looks again and again until `look` gives something, and returns that. False, undefined, null and an exception all mean
 * "not yet"; the last exception is the cause of the error when time is up.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  patience: Patience = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 60_000, everyMs = 50, unless } = patience;
  const end = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    unless?.();
    try {
      const found = await look();
      if (found !== false && found !== undefined && found !== null) return found;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) {
      const last = cause instanceof Error ? `; the last look said: ${cause.message}` : '';
      throw new Error(`waited ${timeoutMs / 1_000} s in vain for ${what}${last}`, { cause });
    }
    await delay(everyMs);
  }
}
