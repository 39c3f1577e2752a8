/**
 * What the API server makes of memory, written without a look at ours: exact fractions for amounts, the server's own
 * spelling (apimachinery `pkg/api/resource/quantity.go`), and what it refuses (`ValidateResourceRequirements`).
 */
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { edited } from '../admit/objects.ts';

type Fraction = { over: bigint; under: bigint };

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/** The amount of a quantity; `undefined` for what the server cannot read. */
export function amount(value: unknown): Fraction | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const [, sign, digits = '', suffix = ''] = /^([+-]?)([0-9.]+)(.*)$/.exec(String(value)) ?? [];
  const [whole = '', fraction = '', more] = digits.split('.');
  if (more !== undefined || whole + fraction === '') return undefined;
  let over = BigInt(whole + fraction);
  let under = 10n ** BigInt(fraction.length);
  const power = /^[eE]([+-]?[0-9]+)$/.exec(suffix);
  if (power) {
    if (Number(power[1]) >= 0) over *= 10n ** BigInt(Number(power[1]));
    else under *= 10n ** BigInt(-Number(power[1]));
  } else if (BINARY.indexOf(suffix) > 0) over *= 1024n ** BigInt(BINARY.indexOf(suffix));
  else if (DECIMAL.includes(suffix)) {
    over *= 1000n ** BigInt(DECIMAL.indexOf(suffix));
    under *= 1000n ** 3n;
  } else return undefined;
  return { over: sign === '-' ? -over : over, under };
}

export function sameAmount(a: unknown, b: unknown): boolean {
  const [left, right] = [amount(a), amount(b)];
  return left && right ? left.over * right.under === right.over * left.under : a === b;
}

/** The server's spelling: the largest unit in which the amount is whole, of the kind that was written. */
export function respelled(value: Json): Json {
  const exact = amount(value);
  if (!exact) return value;
  const text = String(value);
  if (text.endsWith('i') && exact.over % exact.under === 0n) {
    let [bytes, unit] = [exact.over / exact.under, 0];
    while (bytes !== 0n && bytes % 1024n === 0n) [bytes, unit] = [bytes / 1024n, unit + 1];
    return `${bytes}${BINARY[unit]}`;
  }
  let [nanos, unit] = [(exact.over * 1_000_000_000n) / exact.under, 0];
  while (nanos !== 0n && nanos % 1000n === 0n) [nanos, unit] = [nanos / 1000n, unit + 1];
  if (nanos === 0n) return '0';
  return /[eE]/.test(text) && unit !== 3 ? `${nanos}e${(unit - 3) * 3}` : `${nanos}${DECIMAL[unit]}`;
}

/** The object with every memory quantity in the server's spelling, as it stores a Deployment. */
export function stored(object: JsonObject): JsonObject {
  return edited(object, (copy) => {
    for (const { resources } of everyContainer(copy)) {
      for (const list of ['requests', 'limits'] as const) {
        if (resources?.[list]?.memory != null) resources[list].memory = respelled(resources[list].memory);
      }
    }
  });
}

// biome-ignore lint/suspicious/noExplicitAny: generated objects are of the tests' own making
export function everyContainer(object: any): any[] {
  const { containers, initContainers } = object.spec.template.spec;
  return [...containers, ...(initContainers ?? [])];
}

/** Whether the server takes these two values in one container. */
export function accepts(request: unknown, limit: unknown): boolean {
  const sides = [request, limit].map((value) => (value === undefined || value === null ? undefined : value));
  const amounts = sides.map(amount);
  if (sides.some((side, index) => side !== undefined && (amounts[index]?.over ?? -1n) < 0n)) return false;
  const [left, right] = amounts;
  return !left || !right || left.over * right.under <= right.over * left.under;
}

/** Whether the server takes the memory of every container. */
export function acceptsAll(object: JsonObject): boolean {
  return everyContainer(object).every(({ resources }) =>
    accepts(resources?.requests?.memory, resources?.limits?.memory),
  );
}
