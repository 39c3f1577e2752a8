/** The kinds of settings: how a text of the environment is read, shown, and described to a person and to the chart's schema. */
import { formatBytes, Gi, Mi, readBytes } from '../domain/quantity.ts';

export type Kind<T> = {
  env: string;
  initial: T;
  /** what a value may be, in words */
  allowed: string;
  says: string;
  /** a value may hold a password, so that a message must not repeat it */
  secret?: true;
  /** `undefined` for a value that is not allowed */
  read(text: string): T | undefined;
  show(value: T): string;
  /** the same as JSON schema, for the chart's values */
  schema: object;
};

export function integer(
  env: string,
  initial: number,
  min: number,
  max: number,
  unit: string,
  says: string,
): Kind<number> {
  const read = (text: string) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  return {
    env,
    initial,
    allowed: `a whole number from ${min} to ${max} (${unit})`,
    says,
    read,
    show: String,
    schema: { type: 'integer', minimum: min, maximum: max },
  };
}

export function factor(env: string, initial: number, says: string): Kind<number> {
  const read = (text: string) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    return value >= 1 && value <= 10 ? value : undefined;
  };
  // Helm's --set makes a text of 1.25.
  const schema = { type: ['number', 'string'], minimum: 1, maximum: 10, pattern: '^[0-9]+([.][0-9]+)?$' };
  return { env, initial, allowed: 'a number from 1 to 10', says, read, show: String, schema };
}

export function bytes(env: string, initial: number, says: string): Kind<number> {
  const read = (text: string) => {
    const value = readBytes(text) ?? 0;
    return value >= Mi && value <= 1024 * Gi ? value : undefined;
  };
  return {
    env,
    initial,
    allowed: 'a quantity from 1Mi to 1Ti',
    says,
    read,
    show: formatBytes,
    // The form only; Helm takes a text, so that the bounds are for the start to check.
    schema: {
      type: 'string',
      pattern: '^([+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?)?$',
    },
  };
}

export function flag(env: string, initial: boolean, says: string): Kind<boolean> {
  const words = new Map([
    ['true', true],
    ['false', false],
  ]);
  const read = (text: string) => words.get(text.toLowerCase());
  return { env, initial, allowed: '`true` or `false`', says, read, show: String, schema: { type: 'boolean' } };
}

export function choice<const T extends string>(
  env: string,
  initial: NoInfer<T>,
  values: readonly T[],
  says: string,
): Kind<T> {
  const read = (text: string) => values.find((value) => value === text);
  return {
    env,
    initial,
    allowed: `one of ${values.map((value) => `\`${value}\``).join(', ')}`,
    says,
    read,
    show: String,
    schema: { enum: values },
  };
}

export function name(env: string, initial: string, pattern: RegExp, says: string): Kind<string> {
  const read = (text: string) => (pattern.test(text) ? text : undefined);
  const schema = { type: 'string', pattern: pattern.source };
  return { env, initial, allowed: `a name such as \`${initial}\``, says, read, show: String, schema };
}

export function text(env: string, initial: string, says: string): Kind<string> {
  return { env, initial, allowed: 'text', says, read: (value) => value, show: String, schema: { type: 'string' } };
}

export function url(env: string, says: string): Kind<string> {
  const read = (value: string) => {
    if (!/^https?:\/\//.test(value) || !URL.canParse(value)) return undefined;
    const { username, password, search, hash } = new URL(value);
    // A user or password is sent as Basic auth, so it has to decode.
    if (search !== '' || hash !== '' || /%(?![0-9a-f]{2})/i.test(username + password)) return undefined;
    return value.replace(/\/+$/, '');
  };
  const schema = { type: 'string', pattern: '^(https?://[^?#]+)?$' };
  return { env, initial: '', allowed: 'an http:// or https:// URL without a query', says, read, show: String, schema };
}

/** Lines of `Name: value`; in an environment variable as well as in a file. */
export function headers(env: string, says: string): Kind<Record<string, string>> {
  const show = (value: Record<string, string>) =>
    Object.entries(value)
      .map(([name, text]) => `${name}: ${text}`)
      .join('\n');
  return {
    env,
    initial: {},
    allowed: 'lines of `Name: value`',
    secret: true,
    says,
    read: readHeaders,
    show,
    schema: { type: 'string', pattern: `^(${HEADER.source}|\\s*)(\\n(${HEADER.source}|\\s*))*$` },
  };
}

/** A line of headers; blanks around it are no part of it. */
const HEADER = /[\t ]*([A-Za-z0-9!#$%&'*+.^_`|~-]+):[\t ]*([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)\s*/;
const HEADER_LINE = new RegExp(`^${HEADER.source}$`);

/** Headers from lines of `Name: value`, names in lower case; `undefined` when a line is none. */
export function readHeaders(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** Parameters as in a URL's query. */
export function params(env: string, initial: string, says: string): Kind<Record<string, string>> {
  const pattern = /[^\s=&]+=[^\s&]*(&[^\s=&]+=[^\s&]*)*/.source;
  const read = (text: string) => (new RegExp(`^${pattern}$`).test(text) ? parse(text) : undefined);
  const parse = (text: string) => Object.fromEntries(new URLSearchParams(text));
  const show = (value: Record<string, string>) => String(new URLSearchParams(value));
  const allowed = 'parameters such as `a=b&c=d`';
  return { env, initial: parse(initial), allowed, says, read, show, schema: orEmpty(pattern) };
}

/** PromQL label matchers, as they stand between braces. */
export function matchers(env: string, initial: string, says: string): Kind<string> {
  const one = String.raw`[a-zA-Z_]\w*\s*(=|!=|=~|!~)\s*"([^"\\]|\\.)*"`;
  const pattern = `${one}(\\s*,\\s*${one})*`;
  const read = (text: string) => (new RegExp(`^${pattern}$`).test(text) ? text : undefined);
  const allowed = 'PromQL matchers such as `cluster="prod"`';
  return { env, initial, allowed, says, read, show: String, schema: orEmpty(pattern) };
}

/** Other names for some of the names that are known, e.g. `a=b,c=d`. */
export function renames<T extends string>(
  env: string,
  known: readonly T[],
  says: string,
): Kind<Partial<Record<T, string>>> {
  const read = (text: string) => {
    const pairs = text.split(',').map((pair) => pair.trim().split('='));
    const fits = ([from, to, ...more]: string[]) =>
      more.length === 0 && known.some((name) => name === from) && /^[a-zA-Z_:][\w:]*$/.test(to ?? '');
    return pairs.every(fits) ? (Object.fromEntries(pairs) as Partial<Record<T, string>>) : undefined;
  };
  const show = (value: Partial<Record<T, string>>) =>
    Object.entries(value)
      .map(([from, to]) => `${from}=${to}`)
      .join(',');
  const allowed = `\`name=other\`, with commas between; names are ${known.map((name) => `\`${name}\``).join(', ')}`;
  const pair = `\\s*(${known.join('|')})=[a-zA-Z_:][\\w:]*\\s*`;
  return { env, initial: {}, allowed, says, read, show, schema: orEmpty(`${pair}(,${pair})*`) };
}

/** An empty value is as one that is not there. The chart's schema is read by Go, so nothing but what both know. */
function orEmpty(pattern: string): object {
  return { type: 'string', pattern: `^(${pattern})?$` };
}
