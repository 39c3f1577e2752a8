import type { Problem } from '../domain/record.ts';

/** A wish that cannot be meant. The message says what is allowed and what was found. */
export function refusal(field: string, message: string): Problem {
  return { field, message, severity: 'error' };
}

/** JSON nested some thousand levels deep overflows the stack of whoever writes it out. */
function asText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'nothing';
  } catch {
    return 'something nested too deep';
  }
}

/** The value as a person recognises it, short enough for a message. */
export function shown(value: unknown): string {
  const text = asText(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
