/**
 * Findings → what the record's status says. The status is the database: what the next look needs (what stands, since
 * when) is read back from it, and every number that reaches a workload is explained by it.
 */
import { asObject, at } from '../domain/json.ts';
import { formatBytes, readBytes } from '../domain/quantity.ts';
import type { ContainerStatus, Decision, HistoryEntry, MemoryStatus, Problem } from '../domain/record.ts';
import { FIELDS, type Pair } from '../domain/workload.ts';
import type { Finding } from '../recommend/container.ts';
import type { Decided } from '../recommend/guards.ts';
import { phaseOf } from './phase.ts';

/** What one cycle found out about one container of a record. */
export type ContainerFinding = {
  /** e.g. `Deployment/orders` */
  workload: string;
  name: string;
  /** bytes */
  current: Pair<number>;
  /** the override in force, as the person wrote it */
  override: Pair<string>;
  finding: Finding;
};

/** What one cycle found out about a record. */
export type Report = {
  enabled: boolean;
  enforced: boolean;
  workloads: number;
  /** why usage could not be read at all; the containers of the last status stay */
  trouble?: string;
  problems: readonly Problem[];
  containers: ContainerFinding[];
  /** the long window as people write it, e.g. `6h` */
  window: string;
};

const HISTORY_LENGTH = 10;

/** A value moving by less than this between two looks is no news to a reader. */
const NEWS_RATIO = 0.1;

/** Status is refreshed at least this often, so that a reader can see that the worker lives. */
const REFRESH_MS = 3_600_000;

/** @param now milliseconds since the epoch */
export function memoryStatus(
  report: Report,
  name: string,
  previous: MemoryStatus | undefined,
  now: number,
): MemoryStatus {
  const at = new Date(now).toISOString();
  const kept = report.trouble !== undefined && report.enabled ? (previous?.containers ?? []) : [];
  const containers =
    report.trouble === undefined ? report.containers.map((found) => containerStatus(found, report.window)) : kept;
  const history = [...report.containers.flatMap((found) => changes(found, previous, at)), ...(previous?.history ?? [])];
  const summary = { containers, workloads: report.workloads };
  return {
    ...phaseOf(report, name, containers),
    observed_at: at,
    workloads: report.workloads,
    ...column('request', summary),
    ...column('limit', summary),
    containers,
    history: history.slice(0, HISTORY_LENGTH),
  };
}

function containerStatus(
  { workload, name, current, override, finding }: ContainerFinding,
  window: string,
): ContainerStatus {
  const status: ContainerStatus = {
    name,
    workload,
    current: quantities(current),
    source: 'manifest',
    rationale: finding.rationale,
  };
  const { observed, recommended, applied } = finding;
  if (observed) {
    const [ws_avg, ws_p95, ws_max] = [observed.avg, observed.p95, observed.max].map(formatBytes) as [
      string,
      string,
      string,
    ];
    status.observed = { ws_avg, ws_p95, ws_max, window };
  }
  if (recommended) Object.assign(status, { recommended: decision(recommended), source: 'recommendation' });
  if (applied) Object.assign(status, { applied: decision(applied), source: 'applied' });
  if (Object.keys(override).length > 0) Object.assign(status, { override, source: 'override' });
  return status;
}

function changes(
  { workload, name, current, finding }: ContainerFinding,
  previous: MemoryStatus | undefined,
  at: string,
): HistoryEntry[] {
  const before = findContainer(previous, workload, name);
  return finding.changes.flatMap(({ change, rationale }) => {
    const to = finding[change];
    if (!to) return [];
    const from = quantities(readDecision(before?.[change]) ?? current);
    const entry: HistoryEntry = {
      at,
      workload,
      container: name,
      change,
      to: quantities(to),
      rationale,
    };
    if (Object.keys(from).length > 0) entry.from = from;
    return [entry];
  });
}

/** The value that a person should know first, per container: override, applied, recommended, else what runs. */
function column(
  field: 'request' | 'limit',
  { containers, workloads }: { containers: ContainerStatus[]; workloads: number },
) {
  const values = containers.flatMap((container) => {
    const { override, applied, recommended, current } = container;
    const value = override?.[field] ?? applied?.[field] ?? recommended?.[field] ?? current[field];
    const workload = container.workload.slice(container.workload.indexOf('/') + 1);
    return typeof value !== 'string'
      ? []
      : [{ name: workloads > 1 ? `${workload}/${container.name}` : container.name, value }];
  });
  if (values.length === 0) return {};
  if (values.length === 1 && containers.length === 1) return { [field]: values[0]?.value };
  const listed = values.slice(0, 3).map(({ name, value }) => `${name}=${value}`);
  if (values.length > 3) listed.push(`+${values.length - 3}`);
  return { [field]: listed.join(',') };
}

/** Whether a person who reads the record would learn something from the new status. */
export function isNews(next: MemoryStatus, previous: MemoryStatus | undefined): boolean {
  if (!previous) return true;
  const age = moment(next.observed_at) - moment(previous.observed_at);
  if (Number.isNaN(age) || age >= REFRESH_MS) return true;
  return JSON.stringify(headline(next)) !== JSON.stringify(headline(previous)) || observedMoved(next, previous);
}

function headline({ phase, message, workloads, containers }: MemoryStatus) {
  const decided = containers.map(({ workload, name, current, override, recommended, applied, source, observed }) => [
    [workload, name, source, observed !== undefined],
    [current, override, recommended, applied].map(
      (values) => values && [values.request, values.limit, at(values, 'at')],
    ),
  ]);
  return [phase, message, workloads, decided];
}

function observedMoved(next: MemoryStatus, previous: MemoryStatus): boolean {
  return next.containers.some(({ workload, name, observed }) => {
    const before = findContainer(previous, workload, name)?.observed;
    return (['ws_avg', 'ws_p95', 'ws_max'] as const).some((key) => {
      const [to, from] = [readBytes(observed?.[key]), readBytes(before?.[key])];
      return to !== undefined && from !== undefined && Math.abs(to - from) > from * NEWS_RATIO;
    });
  });
}

/** Our part of a record's status as the last cycle left it; what is unreadable in there counts as absent. */
export function previousStatus(status: unknown): MemoryStatus | undefined {
  const memory = asObject(at(status, 'nfr_recommendations', 'memory'));
  if (!memory) return undefined;
  const objects = (list: unknown) => (Array.isArray(list) ? list.filter((entry) => asObject(entry)) : []);
  return {
    ...memory,
    containers: objects(memory.containers).filter(
      ({ workload, name, current }) => typeof workload === 'string' && typeof name === 'string' && asObject(current),
    ),
    history: objects(memory.history),
  } as unknown as MemoryStatus;
}

/** The container's entry of the last status. */
export function findContainer(
  status: MemoryStatus | undefined,
  workload: string,
  name: string,
): ContainerStatus | undefined {
  return status?.containers.find((container) => container.workload === workload && container.name === name);
}

/** A decision read back from status: bytes and milliseconds; `undefined` when any part of it is unreadable. */
export function readDecision(decision: Decision | undefined): Decided | undefined {
  const [request, limit, when] = [readBytes(decision?.request), readBytes(decision?.limit), moment(decision?.at)];
  if (request === undefined || limit === undefined || Number.isNaN(when)) return undefined;
  return { request, limit, at: when };
}

/** Milliseconds since the epoch; `NaN` for what is no date, whatever it is. */
function moment(text: unknown): number {
  return typeof text === 'string' ? Date.parse(text) : Number.NaN;
}

function decision({ request, limit, at }: Decided): Decision {
  return { request: formatBytes(request), limit: formatBytes(limit), at: new Date(at).toISOString() };
}

function quantities(values: Pair<number>): Pair<string> {
  const pair: Pair<string> = {};
  for (const field of FIELDS) if (values[field] !== undefined) pair[field] = formatBytes(values[field]);
  return pair;
}
