/** JSON lines on stdout. Objects first, then a short constant message, so that lines can be counted and filtered. */
import { type Logger, pino } from 'pino';

export type Log = Logger;

export function createLog(level: string): Log {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
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
