import type { Problem } from '../domain/record.ts';

/** A wish that cannot be meant. The message says what is allowed and what was found. */
export function refusal(field: string, message: string): Problem {
  return { field, message, severity: 'error' };
}

/** The value as a person recognises it, short enough for a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
