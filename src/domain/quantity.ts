/**
 * Kubernetes quantities, read as exactly as the API server reads them (apimachinery `pkg/api/resource`).
 *
 * Inside oaas-tuner memory is a `number` of bytes; a quantity is text only at the edges. Two quantities are compared
 * without rounding, because `0.1` and `0.2` bytes are different to the API server.
 */

export const Ki = 1024;
export const Mi = 1024 * Ki;
export const Gi = 1024 * Mi;

const NANOS_PER_UNIT = 1_000_000_000n;

const BINARY: Record<string, bigint> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
};
const DECIMAL_EXPONENT: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };

const GRAMMAR = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d{1,9})$/;

/** Beyond this power of ten every value is absurdly large (or far below a nano); it bounds the work of reading text. */
const EXPONENT_BOUND = 60;

/** The API server caps amounts with a binary unit (and only those) here: `9Ei` and `8Ei` are equal to it. */
const BINARY_CAP = ((1n << 63n) - 1n) * NANOS_PER_UNIT;

/**
 * Reads a quantity as the API server does.
 *
 * @param value the text, or the whole number that JSON may carry instead
 * @returns billionths of the unit (nano-bytes for memory), rounded away from zero below a billionth as the API server
 *   does; `undefined` for what the API server refuses
 */
export function parseQuantity(value: unknown): bigint | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || text === '') return undefined;
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const amount = parseText(text);
  if (amount === undefined || text.length > LONGEST_KEPT) return amount;
  if (parsed.size >= MOST_KEPT) parsed.clear();
  parsed.set(text, amount);
  return amount;
}

/**
 * A review compares the same few texts some thirty times, and a cluster's manifests share them. Bounded, because whoever
 * may deploy chooses the texts.
 */
const parsed = new Map<string, bigint>();
const [MOST_KEPT, LONGEST_KEPT] = [1_000, 32];

function parseText(text: string): bigint | undefined {
  const match = GRAMMAR.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  const digits = BigInt(`0${whole}${fraction}`);
  const binary = BINARY[suffix];
  const exponent = binary ? 0 : (DECIMAL_EXPONENT[suffix] ?? Number(suffix.slice(1)));
  const shift = Math.min(Math.max(exponent, -EXPONENT_BOUND), EXPONENT_BOUND) - fraction.length;
  const scaled = digits * (binary ?? 1n) * NANOS_PER_UNIT;
  const exact = shift >= 0 ? scaled * 10n ** BigInt(shift) : divideUp(scaled, 10n ** BigInt(-shift));
  const magnitude = binary && exact > BINARY_CAP ? BINARY_CAP : exact;
  return sign === '-' ? -magnitude : magnitude;
}

/** @returns whole bytes, rounded up as `Quantity.Value()` does; `undefined` for what the API server refuses */
export function readBytes(value: unknown): number | undefined {
  const nanos = parseQuantity(value);
  return nanos === undefined
    ? undefined
    : Number(nanos >= 0n ? divideUp(nanos, NANOS_PER_UNIT) : nanos / NANOS_PER_UNIT);
}

/** Whether two values mean the same amount; values that do not parse are the same only when they are identical. */
export function sameQuantity(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  const left = parseQuantity(a);
  return left !== undefined && left === parseQuantity(b);
}

/**
 * Prints bytes in the largest binary unit that is exact: `1073741824` is `1Gi`, `1610612736` is `1536Mi`, `1000` is `1000`.
 *
 * @param bytes a whole, non-negative number of bytes
 */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  let amount = bytes;
  let unit = '';
  for (const next of ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']) {
    if (amount % 1024 !== 0) break;
    amount /= 1024;
    unit = next;
  }
  return `${amount}${unit}`;
}

/** For a sentence: exact where a reader would write it, else MiB with one decimal: `224Mi`, `216.3Mi`. */
export function readable(bytes: number): string {
  return bytes % Mi === 0 || bytes < Mi ? formatBytes(bytes) : `${(bytes / Mi).toFixed(1)}Mi`;
}

function divideUp(amount: bigint, divisor: bigint): bigint {
  return (amount + divisor - 1n) / divisor;
}
