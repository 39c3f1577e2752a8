/** What the story claims is checked against what the server did: a demo that only printed would prove nothing. */
import { isDeepStrictEqual } from 'node:util';

/** The server did not do what the story says. */
export class NotAsTold extends Error {
  override name = 'NotAsTold';
}

/** @throws {NotAsTold} which says both sides, when they differ */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new NotAsTold(`${what}\n  expected: ${JSON.stringify(expected)}\n  but got:  ${JSON.stringify(actual)}`);
}

/** @throws {NotAsTold} when the claim does not hold */
export function expect(what: string, holds: boolean, got: unknown): asserts holds {
  if (!holds) throw new NotAsTold(`expected: ${what}\n  but got:  ${JSON.stringify(got)}`);
}
