/** Plays a scenario of the memory rules: a container's life, look by look (README.md has the words). */
import { formatBytes, readBytes } from '../../src/domain/quantity.ts';
import type { Usage, WindowUsage } from '../../src/domain/usage.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { type Finding, type Look, lookAtContainer, type Rules } from '../../src/recommend/container.ts';
import type { Decided } from '../../src/recommend/guards.ts';
import { settingsTable } from '../../src/settings.ts';
import { NOW, rulesFrom } from '../recommend/rules.ts';
import { choice, fields, type Line, Misunderstood, type Scenario } from './scenario-file.ts';

/** Tells what was found instead of what was expected; `place` is `file:line`. */
export type Check = (place: string, found: string, expected: string) => void;

const SWITCH = ['yes', 'no'] as const;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export function playRules(scenario: Scenario, check: Check): void {
  const env: Record<string, string> = {};
  const usage: Usage = { partial: false };
  const look: Look = { usage, current: {}, enforced: false, fixed: {}, written: {}, range: {} };
  let now = NOW;
  let finding: Finding | undefined;

  /** Looks once for all expectations between two changes of the world. */
  const lookOnce = (line: Line): Finding => {
    finding ??= lookAtContainer(look, tryRules(line, env), now);
    return finding;
  };
  /** The world goes on: what the last look decided stands from here on. */
  const goOn = () => {
    if (finding) keep(look, finding);
    finding = undefined;
  };

  const words: Record<string, (line: Line) => void> = {
    setting: (line) => {
      const [, name = '', value = ''] = /^(\w+)=(.*)$/.exec(line.rest) ?? [];
      if (!settingsTable().includes(`\`${name}\``)) {
        throw new Misunderstood(line.place, `no setting is called "${name}"`);
      }
      env[name] = value;
      tryRules(line, env);
    },
    usage: (line) => readUsage(line, usage),
    partial: (line) => {
      usage.partial = choice(line, SWITCH) === 'yes';
    },
    'oom-kill': (line) => {
      if (line.rest === 'none') delete usage.oomLimit;
      else usage.oomLimit = bytes(line, fields(line, ['at']).get('at'));
    },
    current: (line) => {
      look.current = sides(line);
      look.written = look.current;
    },
    standing: (line) => {
      look.standing = decided(line, now);
    },
    applied: (line) => {
      look.applied = decided(line, now);
    },
    enforce: (line) => {
      look.enforced = choice(line, SWITCH) === 'yes';
    },
    override: (line) => {
      look.fixed = sides(line);
    },
    'limit-range': (line) => {
      const found = fields(line, ['min', 'max', 'ratio']);
      look.range = {};
      if (found.has('min')) look.range.min = bytes(line, found.get('min'));
      if (found.has('max')) look.range.max = bytes(line, found.get('max'));
      if (found.has('ratio')) look.range.maxLimitRequestRatio = number(line, found.get('ratio'));
    },
    after: (line) => {
      now += duration(line, line.rest);
    },
    'rolled-out': (line) => {
      if (line.rest !== '' || !look.applied)
        throw new Misunderstood(line.place, 'nothing was applied that could roll out');
      look.current = { request: look.applied.request, limit: look.applied.limit };
    },
  };

  const expectations: Record<string, (line: Line) => void> = {
    expect: (line) => {
      const [, what = '', expected = ''] = /^(recommended|applied|new|doubt)\s+(.+)$/.exec(line.rest) ?? [];
      const found = lookOnce(line);
      if (what === 'recommended' || what === 'applied') check(line.place, printed(found[what]), expected);
      else if (what === 'new')
        check(line.place, found.changes.map(({ change }) => change).join(', ') || 'nothing', expected);
      else if (what === 'doubt') check(line.place, found.doubt ?? 'none', expected);
      else throw new Misunderstood(line.place, `cannot expect "${line.rest}"`);
    },
    because: (line) => check(line.place, lookOnce(line).rationale, line.rest),
    mentions: (line) => {
      const { rationale } = lookOnce(line);
      if (line.rest === '') throw new Misunderstood(line.place, 'mentions what?');
      check(line.place, rationale.includes(line.rest) ? line.rest : rationale, line.rest);
    },
  };

  for (const line of scenario.lines) {
    const [expectation, word] = [own(expectations, line.keyword), own(words, line.keyword)];
    if (expectation) expectation(line);
    else if (word) {
      goOn();
      word(line);
    } else throw new Misunderstood(line.place, `"${line.keyword}" is no word of a scenario of the rules`);
  }
}

function own<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** What was decided stands at the next look, as it would after a round through the record's status. */
function keep(look: Look, { recommended, applied }: Finding): void {
  delete look.standing;
  delete look.applied;
  if (recommended) look.standing = recommended;
  if (applied) look.applied = applied;
}

function tryRules(line: Line, env: Record<string, string>): Rules {
  try {
    return rulesFrom(env);
  } catch (error) {
    throw new Misunderstood(line.place, error instanceof Error ? error.message : String(error));
  }
}

/** `avg 1Mi p95 2Mi max 3Mi` for both windows, `short …` or `long …` for one, `none` for neither. */
function readUsage(line: Line, usage: Usage): void {
  const [, only, text = ''] = /^(?:(short|long)\s+)?(.*)$/.exec(line.rest) ?? [];
  const windows = (['short', 'long'] as const).filter((window) => only === undefined || only === window);
  for (const window of windows) {
    if (text === 'none') delete usage[window];
    else usage[window] = readWindow(line, text);
  }
}

function readWindow(line: Line, text: string): WindowUsage {
  const found = fields(line, ['avg', 'p95', 'max', 'samples'], text);
  const statistic = (word: string) => bytes(line, found.get(word));
  const samples = found.has('samples') ? number(line, found.get('samples')) : 1000;
  return { avg: statistic('avg'), p95: statistic('p95'), max: statistic('max'), samples };
}

function sides(line: Line): Pair<number> {
  const pair: Pair<number> = {};
  if (line.rest === 'none') return pair;
  for (const [field, text] of fields(line, ['request', 'limit']))
    pair[field as 'request' | 'limit'] = bytes(line, text);
  return pair;
}

/** `224Mi/336Mi since 10m` */
function decided(line: Line, now: number): Decided {
  const [, request, limit, since = ''] = /^([^/\s]+)\/([^/\s]+)\s+since\s+(\S+)$/.exec(line.rest) ?? [];
  return { request: bytes(line, request), limit: bytes(line, limit), at: now - duration(line, since) };
}

function printed(values: Decided | undefined): string {
  return values ? `${formatBytes(values.request)}/${formatBytes(values.limit)}` : 'none';
}

function bytes(line: Line, text: string | undefined): number {
  const value = readBytes(text);
  if (value === undefined) throw new Misunderstood(line.place, `"${text ?? ''}" is no quantity`);
  return value;
}

function number(line: Line, text = ''): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Misunderstood(line.place, `"${text}" is no number`);
  return Number(text);
}

function duration(line: Line, text: string): number {
  const [, amount, unit = ''] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined) throw new Misunderstood(line.place, `"${text}" is no time such as 31m or 1ms`);
  return Number(amount) * (UNIT_MS[unit] ?? 0);
}
