/**
 * Findings → what the record's status says. The status is the database: what the next look needs (what stands, since
 * when) is read back from it, and every number that reaches a workload is explained by it.
 */
import { formatBytes } from '../domain/quantity.ts';
import type { ContainerStatus, Evidence, HistoryEntry, MemoryStatus, RolloutStatus } from '../domain/record.ts';
import type { Pair } from '../domain/workload.ts';
import { type Applied, isSame } from '../recommend/guards.ts';
import { columnOf } from './column.ts';
import { appliedDecision, quantities, recommendation, stillNeeded, writeEvidence } from './evidence.ts';
import { withOutcomes } from './history.ts';
import { outcomeOf } from './outcome.ts';
import { phaseOf } from './phase.ts';
import { findContainer, readDecision } from './read-back.ts';
import type { ContainerFinding, Report } from './report.ts';

const HISTORY_LENGTH = 10;

/**
 * @param news what `newsOf` found
 * @param now milliseconds since the epoch
 */
export function memoryStatus(
  report: Report,
  name: string,
  previous: MemoryStatus | undefined,
  news: HistoryEntry[],
  now: number,
): MemoryStatus {
  const at = new Date(now).toISOString();
  const kept = report.trouble !== undefined && report.enabled ? (previous?.containers ?? []) : [];
  const rollouts = report.rollouts ?? previous?.rollouts ?? [];
  const containers =
    report.trouble === undefined
      ? report.containers.map((found) => containerStatus(found, report.window, noRoom(found, rollouts)))
      : kept;
  const history = [...news, ...withOutcomes(previous?.history ?? [], news, rollouts, now)];
  const status: MemoryStatus = {
    ...phaseOf(report, name, containers, rollouts),
    observed_at: at,
    workloads: report.workloads,
    ...columns({ containers, workloads: report.workloads }),
    containers,
    rollouts,
    history: history.slice(0, HISTORY_LENGTH),
  };
  const outcome =
    report.trouble === undefined
      ? outcomeOf(containers, previous?.outcome, report.kills, report.vpa !== undefined, now)
      : previous?.outcome;
  if (outcome && report.enabled) status.outcome = outcome;
  if (report.backtest) status.backtest = report.backtest;
  const evidence = stillNeeded([...evidenceOf(report, at), ...(previous?.evidence ?? [])], status);
  return evidence.length > 0 ? { ...status, evidence } : status;
}

function evidenceOf({ containers, settings }: Report, at: string): Evidence[] {
  return containers.flatMap(({ workload, name, look, finding }) =>
    finding.changes.length > 0 ? [writeEvidence({ at, workload, container: name }, look, settings)] : [],
  );
}

function containerStatus(
  { workload, name, current, manifest, override, finding }: ContainerFinding,
  window: string,
  held: string[],
): ContainerStatus {
  const status: ContainerStatus = {
    name,
    workload,
    current: quantities(current),
    source: 'manifest',
    rationale: [finding.rationale, ...held].join('; '),
  };
  if (!isSame(manifest, current)) status.manifest = quantities(manifest);
  const { observed, recommended, applied } = finding;
  if (observed) {
    const [ws_avg, ws_p95, ws_max] = [observed.avg, observed.p95, observed.max].map(formatBytes) as [
      string,
      string,
      string,
    ];
    status.observed = { ws_avg, ws_p95, ws_max, window };
  }
  if (recommended) Object.assign(status, { recommended: recommendation(recommended), source: 'recommendation' });
  if (applied) Object.assign(status, { applied: appliedDecision(applied), source: 'applied' });
  if (finding.doubt !== undefined) status.doubt = finding.doubt;
  if (finding.trouble !== undefined) status.trouble = finding.trouble;
  if (Object.keys(override).length > 0) Object.assign(status, { override, source: 'override' });
  return status;
}

/** Applied values that a ResourceQuota holds back: the person who reads the number has to know why it does not run. */
function noRoom({ workload, current, finding: { applied } }: ContainerFinding, rollouts: RolloutStatus[]): string[] {
  if (!applied || isSame(applied, current)) return [];
  const held = rollouts.find((one) => one.workload === workload && one.state === 'Waiting' && one.reason === 'quota');
  return held?.message === undefined ? [] : [held.message];
}

/** A line of the audit trail for each new decision. @param now milliseconds since the epoch */
export function newsOf(report: Report, previous: MemoryStatus | undefined, now: number): HistoryEntry[] {
  const at = new Date(now).toISOString();
  return report.containers.flatMap((found) => changes(found, previous, at));
}

function changes(
  { workload, name, current, finding }: ContainerFinding,
  previous: MemoryStatus | undefined,
  at: string,
): HistoryEntry[] {
  const before = findContainer(previous, workload, name);
  return finding.changes.flatMap(({ change, rationale }) => {
    const of = change === 'recommended' ? 'recommended' : 'applied';
    const to = finding[of];
    if (!to) return [];
    const from = quantities(readDecision(before?.[of]) ?? current);
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

/** What `kubectl get` shows of the values. */
export function columns(summary: Pick<MemoryStatus, 'containers' | 'workloads'>): Pair<string> {
  return { ...column('request', summary), ...column('limit', summary) };
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
  return { [field]: columnOf(values) };
}

/** Applied values as admission reads them. */
export function appliedOf({ request, limit }: Applied): { request: string; limit: string } {
  return { request: formatBytes(request), limit: formatBytes(limit) };
}
