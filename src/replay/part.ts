/** Which containers rules may be tuned on, and which are kept back to judge them: by name, so that it never changes. */
import { createHash } from 'node:crypto';

export const PARTS = ['all', 'tuning', 'kept-back'] as const;
export type Part = (typeof PARTS)[number];

export function isIn(part: Part, container: string): boolean {
  if (part === 'all') return true;
  const odd = (createHash('sha256').update(container).digest().readUInt8() & 1) === 1;
  return odd === (part === 'kept-back');
}
