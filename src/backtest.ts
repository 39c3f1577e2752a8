/**
 * `npm run backtest -- --samples <csv or folder>`, or `--prometheus <url> --days 14`: what would have happened to each
 * container under the manifest, our rules and the peers', at the same samples (docs/quality.md). Only reads; writes its
 * report and drawings into a folder.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { accessOf } from './collect/access.ts';
import { createPrometheus } from './collect/prometheus.ts';
import { readBytes } from './domain/quantity.ts';
import type { Pair } from './domain/workload.ts';
import { reason } from './log.ts';
import { csvFiles, readCsv } from './replay/csv.ts';
import { drawContainer, type Panel, thin } from './replay/draw.ts';
import { readHistory } from './replay/history.ts';
import { krr } from './replay/krr.ts';
import { manifest } from './replay/manifest.ts';
import { ours } from './replay/ours.ts';
import { isIn, PARTS } from './replay/part.ts';
import { emptyTally, type Policy, type Tally } from './replay/replay.ts';
import { type Result, type Row, sideBySide } from './replay/side-by-side.ts';
import { compare, summarize } from './replay/summary.ts';
import { drawComparisons, drawTable } from './replay/table.ts';
import { vpa } from './replay/vpa.ts';
import { readSettings, type Settings } from './settings.ts';
import { rulesOf } from './worker/rules.ts';

const USAGE = `usage: backtest --samples <csv or folder> [--capacity 2Gi]
       backtest --prometheus <url> [--days 14] [--namespace shop]
       both: [--manifest 1Gi/2Gi] for containers whose manifest is not known,
             [--part tuning or kept-back] half of the containers, by their names, [--out out/backtest]
Our rules are those of the environment, as for npm start.`;

/** Wrong arguments; the message says what is wrong. */
class UsageError extends Error {}

/** Gives all samples to `take`, each time it is called; `said` is told how far it is. */
type Source = (take: (row: Row) => void, said: (share: number) => void) => Promise<void>;

const OPTIONS = {
  samples: { type: 'string' },
  capacity: { type: 'string' },
  prometheus: { type: 'string' },
  days: { type: 'string', default: '14' },
  namespace: { type: 'string', default: '' },
  manifest: { type: 'string' },
  part: { type: 'string', default: 'all' },
  out: { type: 'string', default: 'out/backtest' },
} as const;

type Arguments = ReturnType<typeof readArguments>;

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError(reason(error));
  }
}

function settingsFrom(env: Record<string, string | undefined>): Settings {
  const read = readSettings(env);
  if ('problems' in read) throw new UsageError(read.problems.join('; '));
  return read.settings;
}

function quantity(option: string, text: string): number {
  const bytes = readBytes(text);
  if (!bytes) throw new UsageError(`${option}: "${text}" is not a quantity such as 512Mi or 2Gi`);
  return bytes;
}

/** `1Gi/2Gi`; a dash for a side that is not set. */
function readManifest(text: string | undefined): Pair<number> {
  if (text === undefined) return {};
  const sides = text.split('/');
  if (sides.length !== 2) throw new UsageError(`--manifest: "${text}" is not <request>/<limit>`);
  const [request, limit] = sides.map((side) => (side === '-' ? undefined : quantity('--manifest', side)));
  if (request !== undefined && limit !== undefined && request > limit) {
    throw new UsageError(`--manifest: the request ${sides[0]} is above the limit ${sides[1]}`);
  }
  return { ...(request !== undefined && { request }), ...(limit !== undefined && { limit }) };
}

function sourceOf(args: Arguments, settings: Settings): Source {
  if ((args.samples === undefined) === (args.prometheus === undefined)) {
    throw new UsageError('either --samples or --prometheus');
  }
  if (args.samples !== undefined) {
    const files = csvFiles(args.samples);
    const capacity = args.capacity === undefined ? {} : { capacity: quantity('--capacity', args.capacity) };
    return (take, progress) => readCsv(files, { ...capacity, progress }, take);
  }
  const days = Number(args.days);
  if (!(days > 0 && days <= 366)) throw new UsageError(`--days: "${args.days}" is not a number from 0 to 366`);
  if (!/^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$/.test(args.namespace)) {
    throw new UsageError(`--namespace: "${args.namespace}" is no name of a namespace`);
  }
  // The URL is judged as the setting is.
  const { prometheusUrl } = settingsFrom({ ...process.env, OPRC_CRM_PROM_URL: args.prometheus });
  const prometheus = createPrometheus({
    url: prometheusUrl,
    timeoutMs: 60_000,
    params: settings.prometheusParams,
    access: accessOf(settings),
  });
  const stepSeconds = Math.max(60, settings.scrapeIntervalSeconds);
  const to = Math.floor(Date.now() / (stepSeconds * 1000)) * stepSeconds * 1000;
  const asked = { from: to - days * 86_400_000, to, namespace: args.namespace, stepSeconds };
  let told = false;
  const partial = () => {
    if (!told) console.error('Prometheus says that an answer lacks something: so does what follows from it');
    told = true;
  };
  return (take, progress) =>
    readHistory(prometheus, { ...settings, ...asked, progress, partial }, new AbortController().signal, take);
}

function partOf(source: Source, name: string): Source {
  const part = PARTS.find((one) => one === name);
  if (!part) throw new UsageError(`--part: "${name}" is none of ${PARTS.join(', ')}`);
  const known = new Map<string, boolean>();
  const chosen = (container: string) => {
    const said = known.get(container) ?? isIn(part, container);
    known.set(container, said);
    return said;
  };
  return (take, said) => source((row) => chosen(row.container) && take(row), said);
}

/** Both of our rule sets, the one that is set first. */
function policiesOf(settings: Settings): Policy[] {
  const sets = [settings.memoryRules, settings.memoryRules === 'adaptive' ? 'requirement' : 'adaptive'] as const;
  const own = sets.map((memoryRules) =>
    ours(`ours, ${memoryRules}`, rulesOf({ ...settings, memoryRules }), settings.intervalSeconds),
  );
  return [...own, vpa, krr, manifest];
}

/** At most once a second, on stderr; on a terminal the line is written over. */
function progressLine(what: string): (share: number) => void {
  const [lead, end] = process.stderr.isTTY ? ['\r', ''] : ['', '\n'];
  let next = 0;
  return (share) => {
    const now = performance.now();
    if (now < next) return;
    next = share < 1 ? now + 1000 : Number.POSITIVE_INFINITY;
    process.stderr.write(`${lead}${what}: ${(share * 100).toFixed(0).padStart(3)}%${share < 1 ? end : '\n'}`);
  };
}

/** How many containers are drawn, and with how many points. */
const DRAWN = 12;
const POINTS = 240;

/** Those that a person should look at: where our rules killed most, then where they ask for most that is not used. */
function worthALook(results: Map<string, Result>): Map<string, Result> {
  const waste = ({ request }: Tally) => (request.over / Math.max(1, request.steps)) * request.byteHours;
  const own = ([, { tallies }]: [string, Result]) => tallies[0] ?? emptyTally();
  const sorted = [...results].sort((a, b) => own(b).kills - own(a).kills || waste(own(b)) - waste(own(a)));
  return new Map(sorted.slice(0, DRAWN));
}

async function draw(
  out: string,
  source: Source,
  policies: Policy[],
  start: Pair<number>,
  results: Map<string, Result>,
): Promise<number> {
  const chosen = worthALook(results);
  const panels = new Map<string, (Panel & ReturnType<typeof thin>)[]>();
  for (const [container, { from, to, tallies }] of chosen) {
    const drawn = policies.map(({ name: policy }, index) => {
      const { kills = 0, changes = 0 } = tallies[index] ?? {};
      return { policy, says: `${kills} kills, ${changes} changes`, ...thin(from, to, POINTS) };
    });
    panels.set(container, drawn);
  }
  const again = sideBySide(policies, start, (container, policy, step) => panels.get(container)?.[policy]?.add(step));
  // The samples are read once more rather than kept: there may be any number of them.
  await source((row) => chosen.has(row.container) && again.take(row), progressLine('drawing'));
  // Drawings of an earlier run would look like this one's.
  for (const old of readdirSync(out)) if (/^\d\d-.*\.svg$/.test(old)) rmSync(join(out, old));
  for (const [index, [container, drawn]] of [...panels].entries()) {
    const file = `${String(index + 1).padStart(2, '0')}-${container.replaceAll(/[^A-Za-z0-9.-]+/g, '_')}.svg`;
    writeFileSync(join(out, file), drawContainer(container, drawn));
  }
  return panels.size;
}

async function run(): Promise<void> {
  const args = readArguments();
  const settings = settingsFrom(process.env);
  const [source, start] = [partOf(sourceOf(args, settings), args.part), readManifest(args.manifest)];
  const policies = policiesOf(settings);
  const replayed = sideBySide(policies, start);
  await source((row) => replayed.take(row), progressLine('replaying'));
  const { counts } = replayed;
  if (counts.samples === 0) throw new Error('there are no samples to go by');
  const results = replayed.results();
  const tallies = policies.map((_, index) => [...results.values()].flatMap((one) => one.tallies[index] ?? []));
  const summaries = policies.map(({ name: policy }, index) => ({ policy, summary: summarize(tallies[index] ?? []) }));
  const comparisons = policies.slice(1).map(({ name: policy }, index) => {
    return { policy, comparison: compare(tallies[index + 1] ?? [], tallies[0] ?? []) };
  });
  mkdirSync(args.out, { recursive: true });
  const containers = Object.fromEntries(
    [...results].map(([container, { tallies, ...span }]) => [
      container,
      { ...span, policies: Object.fromEntries(policies.map(({ name }, index) => [name, tallies[index]])) },
    ]),
  );
  const report = {
    counts,
    policies: Object.fromEntries(summaries.map((one) => [one.policy, one.summary])),
    containers,
  };
  writeFileSync(join(args.out, 'report.json'), `${JSON.stringify(report, undefined, 1)}\n`);
  const drawn = await draw(args.out, source, policies, start, results);
  const late = counts.late > 0 ? `, ${counts.late} rows left out that were not newer than the one before` : '';
  console.log(
    `${counts.samples} samples of ${counts.containers} containers${late}; intervals: 95%, over the containers\n`,
  );
  console.log(`${drawTable(summaries)}\n`);
  console.log(drawComparisons(policies[0]?.name ?? '', comparisons));
  console.log(`\n${join(args.out, 'report.json')} has each container's figures; ${drawn} are drawn beside it`);
}

try {
  await run();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n${USAGE}` : reason(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
