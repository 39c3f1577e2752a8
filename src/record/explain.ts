/**
 * A record's status → whether its numbers are what the rules make of the evidence in it, and whether they are what runs.
 * Pure: the status is decided again by the same functions that decided it, so nothing but the status is believed.
 */
import { at } from '../domain/json.ts';
import { overrideOf } from '../domain/ladder.ts';
import { formatBytes, readBytes } from '../domain/quantity.ts';
import type {
  AppliedDecision,
  Change,
  ContainerStatus,
  Decision,
  Evidence,
  MemoryStatus,
  Outcome,
  RecordResource,
} from '../domain/record.ts';
import { FIELDS, type Pair, sameMemory } from '../domain/workload.ts';
import { type Finding, lookAtContainer, type Rules } from '../recommend/container.ts';
import { type Applied, pair } from '../recommend/guards.ts';
import { observe } from '../recommend/memory.ts';
import type { PairRules } from '../recommend/pairing.ts';
import { findEvidence, quantities, readEvidence } from './evidence.ts';
import { explainConcurrency } from './explain-concurrency.ts';
import { type Line, lineOf, wrongLine } from './lines.ts';
import { statusBalance } from './outcome.ts';
import { previousStatus } from './read-back.ts';
import { columns } from './status.ts';
import { readTuning } from './wishes.ts';

/** A container as it stands in the cluster. Quantities as the object spells them. */
export type Running = {
  /** e.g. `Deployment/orders` */
  workload: string;
  container: string;
  /** what its template says */
  memory: Pair<unknown>;
  /** what admission would make of it at the next change of its template */
  wanted: Pair<unknown>;
  /** the rung that `wanted` comes from, or why admission leaves it alone */
  because: string;
};

export type Explanation = {
  /** e.g. `shop/orders Enforcing, observed at …` */
  title: string;
  sections: { title: string; lines: Line[] }[];
  /** how many lines are wrong */
  wrong: number;
};

/**
 * @param running the containers in the cluster; `undefined` when only the record is at hand
 * @param rulesFrom the rules under settings, given those that differ from the defaults; throws for what is no setting
 * @param byVpa applied values go to pods through a VerticalPodAutoscaler, so that templates stay without them
 */
export function explain(
  record: RecordResource,
  running: Running[] | undefined,
  rulesFrom: (changed: Record<string, string>) => PairRules,
  byVpa = false,
): Explanation {
  const { namespace, name } = record.metadata;
  const status = previousStatus(record.status);
  if (!status) {
    const line = wrongLine('status', '-', 'oaas-tuner has written nothing into this record yet');
    return { title: `${namespace}/${name}`, sections: [{ title: 'Record', lines: [line] }], wrong: 1 };
  }
  const tuning = readTuning(record);
  const sections = status.containers.map((container) => {
    const { workload, name, override = {} } = container;
    const wish = overrideOf(tuning, workload.slice(workload.indexOf('/') + 1), name);
    const lines = [
      observedLine(status, container),
      decisionLine('recommended', status, container, rulesFrom),
      decisionLine('applied', status, container, rulesFrom),
      compared('override', override, wish, 'spec.nfr.memory_tuning.overrides says'),
      sourceLine(container),
      runningLine(container, running, byVpa),
    ];
    return { title: `${workload} ${name}`, lines: lines.filter((line) => line !== undefined) };
  });
  for (const one of running ?? []) {
    if (status.containers.some((known) => known.workload === one.workload && known.name === one.container)) continue;
    sections.push({ title: `${one.workload} ${one.container}`, lines: [wantedLine(one)] });
  }
  const shown = { request: status.request, limit: status.limit };
  const expected = columns(status);
  const history = status.history.map((entry) => historyLine(status, entry, rulesFrom));
  sections.push({
    title: 'kubectl get',
    lines: FIELDS.flatMap((field) =>
      shown[field] === undefined && expected[field] === undefined
        ? []
        : [
            lineOf(
              field,
              shown[field] ?? '-',
              shown[field] === expected[field],
              `its containers say ${expected[field] ?? '-'}`,
            ),
          ],
    ),
  });
  sections.push(...explainConcurrency(record, rulesFrom));
  if (status.outcome) sections.push({ title: 'Outcome', lines: outcomeLines(status, status.outcome, byVpa) });
  if (history.length > 0) sections.push({ title: 'History', lines: history });
  const wrong = sections.flatMap(({ lines }) => lines).filter((line) => line.wrong !== undefined).length;
  return { title: `${namespace}/${name} ${status.phase}, observed at ${status.observed_at ?? '?'}`, sections, wrong };
}

/** The explanation as a person reads it on a terminal. */
export function drawExplanation({ title, sections, wrong }: Explanation): string {
  const lines = [title];
  for (const section of sections.filter(({ lines }) => lines.length > 0)) {
    lines.push('', section.title);
    for (const { name, value, wrong, details } of section.lines) {
      lines.push(
        `  ${wrong === undefined ? '✓' : '✗'} ${name.padEnd(12)} ${value}${wrong === undefined ? '' : `: ${wrong}`}`,
      );
      lines.push(...details.map((detail) => `${' '.repeat(17)}${detail}`));
    }
  }
  lines.push(
    '',
    wrong === 0
      ? 'Every number is explained, and matches.'
      : `${wrong} ${wrong === 1 ? 'line does' : 'lines do'} not match: see ✗.`,
  );
  return lines.join('\n');
}

/** The newest look: a number to go by, and proven where that look decided something. */
function observedLine(status: MemoryStatus, container: ContainerStatus): Line | undefined {
  const { workload, name, observed, doubt } = container;
  if (!observed) return undefined;
  const value = `average ${observed.ws_avg}, p95 ${observed.ws_p95}, max ${observed.ws_max} over ${observed.window}`;
  const line: Line = { name: 'observed', value, details: doubt === undefined ? [] : [`doubt: ${doubt}`] };
  const evidence = findEvidence(status, { at: status.observed_at ?? '', workload, container: name });
  const usage = evidence && readEvidence(evidence).usage;
  const seen = usage && observe(usage);
  if (!seen) return line;
  const same = (['avg', 'p95', 'max'] as const).every((key) => readBytes(observed[`ws_${key}`]) === seen[key]);
  if (!same) line.wrong = `its evidence says ${statistics(seen)}`;
  return line;
}

function decisionLine(
  change: 'recommended' | 'applied',
  status: MemoryStatus,
  { workload, name, ...container }: ContainerStatus,
  rulesFrom: (changed: Record<string, string>) => Rules,
): Line | undefined {
  const decision = container[change];
  if (!decision) return undefined;
  const value = `${shown(decision)} since ${decision.at}`;
  const evidence = findEvidence(status, { at: decision.at, workload, container: name });
  return decidedAgain(change, value, decision, evidence, rulesFrom);
}

function historyLine(
  status: MemoryStatus,
  entry: MemoryStatus['history'][number],
  rulesFrom: (changed: Record<string, string>) => Rules,
): Line {
  const { workload, container, change, from = {}, to } = entry;
  const value = `${workload} ${container} ${shown(from)} -> ${shown(to)} at ${entry.at}`;
  const evidence = findEvidence(status, entry);
  const line = decidedAgain(change, value, to, evidence, rulesFrom);
  line.details = [];
  const before = evidence && (evidence[of(change)] ?? evidence.current);
  if (line.wrong === undefined && before && !sameMemory(before, from)) line.wrong = `before it was ${shown(before)}`;
  return line;
}

/** The sums of the containers above, done again. */
function outcomeLines(
  { containers }: MemoryStatus,
  { before, after, since, summary }: Outcome,
  byVpa: boolean,
): Line[] {
  const again = statusBalance(containers, byVpa);
  const sides = [['before', before] as const, ['after', after] as const].map(([side, told]) => {
    const sums = quantities(again[side]);
    return lineOf(side, shown(told), sameMemory(told, sums), `its containers say ${shown(sums)}`);
  });
  return [...sides, { name: 'since', value: since, details: [summary] }];
}

/** Decides once more from the evidence, and compares. */
function decidedAgain(
  name: Change,
  value: string,
  told: Pair<unknown> & Partial<AppliedDecision>,
  evidence: Evidence | undefined,
  rulesFrom: (changed: Record<string, string>) => Rules,
): Line {
  if (!evidence) return wrongLine(name, value, 'the status keeps no evidence of this decision');
  let finding: Finding;
  try {
    finding = lookAtContainer(readEvidence(evidence), rulesFrom(evidence.settings ?? {}), Date.parse(evidence.at));
  } catch (error) {
    return wrongLine(name, value, `its evidence cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const again: Applied | undefined = finding[of(name)];
  const decided = finding.changes.find(({ change }) => of(change) === of(name));
  const details = [inputs(evidence), ...(decided?.rationale.split('; ') ?? [])];
  if (!again || !decided) return { name, value, wrong: 'by its evidence nothing would have been decided', details };
  const line = lineOf(name, value, sameMemory(quantities(again), told), `by its evidence it is ${pair(again)}`);
  const { previous, cooldown_seconds: cooldown } = told;
  if (previous && !sameMemory(previous, quantities(again.previous ?? {}))) {
    line.wrong ??= `previous ${shown(previous)}, by its evidence ${pair(again.previous ?? {})}`;
  }
  if (cooldown !== undefined && cooldown !== again.cooldownSeconds) {
    line.wrong ??= `cooldown ${cooldown} s, by its evidence ${again.cooldownSeconds ?? 'that of the settings'}`;
  }
  return { ...line, details };
}

/** Values that are taken back are applied ones. */
function of(change: Change): 'recommended' | 'applied' {
  return change === 'recommended' ? 'recommended' : 'applied';
}

/** What a decision was made from, in one sentence. */
function inputs(evidence: Evidence): string {
  const { usage, current, standing, applied, written, fixed, range, aftermath } = readEvidence(evidence);
  const seen = usage && observe(usage);
  const parts = [
    `from ${seen ? statistics(seen) : 'no samples'}`,
    `running ${pair(current)}`,
    !sameMemory(written, current) && `manifest ${pair(written)}`,
    Object.keys(fixed).length > 0 && `override ${pair(fixed)}`,
    standing && `recommended before ${pair(standing)}`,
    standing?.unneededSince !== undefined && `less would do since ${new Date(standing.unneededSince).toISOString()}`,
    applied && `applied before ${pair(applied)}`,
    usage?.oomLimit !== undefined && `OOM killed at ${formatBytes(usage.oomLimit)}`,
    aftermath?.unavailable,
    Object.keys(range).length > 0 && `LimitRange ${JSON.stringify(evidence.limit_range)}`,
    ...Object.entries(evidence.settings ?? {}).map(([variable, text]) => `${variable}=${text}`),
  ];
  return parts.filter((part) => part !== false && part !== undefined).join(', ');
}

function sourceLine(container: ContainerStatus): Line {
  const { source, override, applied, recommended } = container;
  const expected = override ? 'override' : applied ? 'applied' : recommended ? 'recommendation' : 'manifest';
  return lineOf('source', source, source === expected, `the highest rung that has a value is ${expected}`);
}

function runningLine(container: ContainerStatus, running: Running[] | undefined, byVpa: boolean): Line {
  const { workload, name, current, override, applied } = container;
  if (!running) {
    const wanted = { ...current, ...(byVpa ? {} : values(applied)), ...override };
    const wrong = `${override ? 'override' : 'applied'} says ${shown(wanted)}, which waits for a change of the pod template`;
    return lineOf('last seen', shown(current), sameMemory(current, wanted), wrong);
  }
  const one = running.find((other) => other.workload === workload && other.container === name);
  if (!one) return wrongLine('runs', '-', 'the workload or the container is gone; the status is older');
  // What the template leaves open its pods may have got from a LimitRange, and the status shows that.
  if (!sameMemory({ ...current, ...withRequest(one.memory) }, current)) {
    return wrongLine(
      'runs',
      shown(one.memory),
      `the status saw ${shown(current)}; it is older than this, or was edited`,
    );
  }
  return wantedLine(one);
}

function wantedLine({ memory, wanted, because }: Running): Line {
  const line = lineOf('runs', `${shown(memory)} (${because})`, sameMemory(memory, wanted), '');
  if (line.wrong !== undefined) line.wrong = `${shown(wanted)} waits for a change of the pod template`;
  return line;
}

function compared(name: string, told: Pair<unknown>, meant: Pair<unknown>, says: string): Line | undefined {
  if (Object.keys(told).length + Object.keys(meant).length === 0) return undefined;
  return lineOf(
    name,
    shown(told),
    FIELDS.every((field) => told[field] === meant[field]),
    `${says} ${shown(meant)}`,
  );
}

function values(decision: Decision | undefined): Pair<string> {
  return decision ? { request: decision.request, limit: decision.limit } : {};
}

/** As the API server defaults pods, and as status shows them: a limit alone is also the request. */
function withRequest(memory: Pair<unknown>): Pair<unknown> {
  return memory.request === undefined && memory.limit !== undefined ? { ...memory, request: memory.limit } : memory;
}

/** `224Mi/336Mi` as the status spells it; a dash where a side is not set. */
function shown(memory: Pair<unknown>): string {
  return FIELDS.map((field) => at(memory, field) ?? '-').join('/');
}

function statistics({ avg, p95, max }: { avg: number; p95: number; max: number }): string {
  return `average ${formatBytes(avg)}, p95 ${formatBytes(p95)}, max ${formatBytes(max)}`;
}
