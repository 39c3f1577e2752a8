/** JSON lines on stdout. Objects first, then a short constant message, so that lines can be counted and filtered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import sonic from 'sonic-boom';

export type Log = Logger & {
  /** lines that nobody took: the disk is full, or the reader hangs */
  lost?(): number;
};

/** What waits at most for a reader that hangs, in bytes; a log must neither hold up reviews nor eat up the memory. */
const MOST_WAITING = 1024 * 1024;

/** pino's own writer, without pino's exit hook: that one tries for ever when the disk is full, and nothing ends. */
export function createLog(level: string): Log {
  const output = new sonic.SonicBoom({ fd: 1, sync: false, maxLength: MOST_WAITING });
  let lost = 0;
  output.on('drop', () => {
    lost += 1;
  });
  // What could not be written is tried again with the next line; there is nobody else to tell.
  output.on('error', () => {});
  const formatters = { level: (label: string) => ({ level: label }) };
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, output);
  return Object.assign(log, { lost: () => lost });
}

/** Gives the last lines a moment to be taken. */
export async function flushed(log: Log): Promise<void> {
  const all = new Promise<void>((resolve) => log.flush(() => resolve()));
  await Promise.race([all, sleep(500)]);
}

/** What went wrong as one line for a person; the stack is only of use in a defect of ours. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A name with several addresses that all fail: an empty message around an error for each.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reason).join(', ');
  const cause =
    error.cause instanceof Error && error.cause.message !== error.message ? ` (${reason(error.cause)})` : '';
  return `${error.message || error.name}${cause}`;
}
