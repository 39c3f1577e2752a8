/** Findings about Knative Services → `status.nfr_recommendations.concurrency`, in the shape of memory's. */
import {
  asItRuns,
  type ConcurrencyStatus,
  KNOBS,
  type KnobEvidence,
  type KnobHistoryEntry,
  type Knobs,
  type ServiceStatus,
} from '../domain/concurrency.ts';
import type { RolloutStatus } from '../domain/record.ts';
import { carriedBy } from '../recommend/concurrency.ts';
import { columnOf } from './column.ts';
import { appliedKnobs, knobDecision, stillNeededKnobs, writeKnobEvidence } from './concurrency-evidence.ts';
import { findService } from './concurrency-read-back.ts';
import { withOutcomes } from './history.ts';
import type { Report, ServiceFound } from './report.ts';

const HISTORY_LENGTH = 10;

/** Knative's own switch: since 1.19 it tells nothing unless it is told to. */
export const NO_METRICS =
  'Prometheus has no series of Knative. Since 1.19 they are off until the ConfigMap config-observability in knative-serving ' +
  'says metrics-protocol: prometheus (the autoscaler) and request-metrics-protocol: prometheus (each pod), and Prometheus scrapes them; ' +
  'memory is tuned without them.';

/**
 * @param news what `knobNews` found
 * @param rollouts how far each workload is now
 * @param now milliseconds since the epoch
 * @returns `undefined` for a record without Knative Services
 */
export function concurrencyStatus(
  report: Report,
  previous: ConcurrencyStatus | undefined,
  news: KnobHistoryEntry[],
  rollouts: readonly RolloutStatus[],
  now: number,
): ConcurrencyStatus | undefined {
  if (!report.services) return undefined;
  const at = new Date(now).toISOString();
  const found = report.services;
  // Nothing was looked at: what was decided stands.
  const unseen = report.enabled && found.length === 0 && (report.trouble ?? report.loadTrouble) !== undefined;
  const services = unseen ? (previous?.services ?? []) : found.map((one) => serviceStatus(one, report.window));
  const history = [...news, ...withOutcomes(previous?.history ?? [], news, rollouts, now)].slice(0, HISTORY_LENGTH);
  const status: ConcurrencyStatus = { ...phaseOf(report, services), observed_at: at, services, history };
  const shown = column(services);
  if (shown !== undefined) status.target = shown;
  const fresh = found.flatMap(({ workload, look, finding }): KnobEvidence[] =>
    finding.changes.length > 0 ? [writeKnobEvidence({ at, workload }, look, report.settings)] : [],
  );
  const evidence = stillNeededKnobs([...fresh, ...(previous?.evidence ?? [])], status);
  return evidence.length > 0 ? { ...status, evidence } : status;
}

function serviceStatus({ workload, look, finding }: ServiceFound, window: string): ServiceStatus {
  const { observed, recommended, applied } = finding;
  const status: ServiceStatus = { workload, current: look.current, source: 'manifest', rationale: finding.rationale };
  if (observed) {
    status.observed = {
      concurrency_p95: observed.concurrency,
      ...(observed.queue !== undefined && { queue_depth_p95: observed.queue }),
      ...(observed.rate !== undefined && { request_rate: observed.rate }),
      window,
    };
  }
  if (recommended) Object.assign(status, { recommended: knobDecision(recommended), source: 'recommendation' });
  if (applied) Object.assign(status, { applied: appliedKnobs(applied), source: 'applied' });
  if (finding.doubt !== undefined) status.doubt = finding.doubt;
  if (isSet(look.fixed)) Object.assign(status, { override: look.fixed, source: 'override' });
  // The container that comes first to its limit.
  const fitted = look.memory
    .filter(({ fit }) => fit !== undefined)
    .sort((a, b) => (b.long ?? 0) / b.limit - (a.long ?? 0) / a.limit)[0];
  if (fitted?.fit) {
    const carries = carriedBy(fitted);
    status.fit = { container: fitted.container, ...fitted.fit, ...(carries !== undefined && { carries }) };
  }
  return status;
}

/** A line of the audit trail for each new decision. @param now milliseconds since the epoch */
export function knobNews(report: Report, previous: ConcurrencyStatus | undefined, now: number): KnobHistoryEntry[] {
  const at = new Date(now).toISOString();
  return (report.services ?? []).flatMap(({ workload, look, finding }) =>
    finding.changes.flatMap(({ change, rationale }) => {
      const of = change === 'recommended' ? 'recommended' : 'applied';
      const to = finding[of];
      if (!to) return [];
      const before = findService(previous, workload)?.[of];
      return [{ at, workload, change, from: wantedOf(before ?? look.current), to: wantedOf(to), rationale }];
    }),
  );
}

function wantedOf({ target, containerConcurrency: hard }: Knobs): Knobs {
  return { ...(target !== undefined && { target }), ...(hard !== undefined && { containerConcurrency: hard }) };
}

/** Numbers that drift from cycle to cycle stay out of the message: it would be written anew each time. */
function phaseOf(report: Report, services: ServiceStatus[]): Pick<ConcurrencyStatus, 'phase' | 'message'> {
  if (!report.enabled) return { phase: 'Disabled', message: 'Tuning is off for this record.' };
  const trouble = report.trouble ?? report.loadTrouble;
  if (trouble !== undefined) return { phase: 'Degraded', message: `${trouble}; the last recommendations stand.` };
  if (report.noKnativeMetrics) return { phase: 'NoData', message: NO_METRICS };
  const foreign = (report.services ?? []).filter(({ look }) => look.foreign !== undefined);
  const aside = foreign[0] ? ` ${foreign[0].workload}: ${foreign[0].look.foreign}${more(foreign.length)}.` : '';
  if (services.length > 0 && foreign.length === services.length) return { phase: 'Observing', message: aside.trim() };
  const measured = services.filter(({ observed }) => observed);
  if (measured.length === 0) {
    return { phase: 'NoData', message: `No requests of these Services were recorded yet.${aside}` };
  }
  const applied = services.filter((one) => one.applied);
  if (applied.length > 0) {
    return { phase: 'Enforcing', message: `Concurrency is applied to ${count(applied, services)}.${aside}` };
  }
  const changed = services.filter(({ recommended, current }) => recommended && !asItRuns(recommended, current));
  if (changed.length > 0) {
    const hint = report.enforced ? '' : '; spec.nfr.memory_tuning.enforce: true lets them be applied';
    return {
      phase: 'Recommending',
      message: `There are recommendations for ${count(changed, services)}${hint}.${aside}`,
    };
  }
  return { phase: 'Observing', message: `The current concurrency fits what is used.${aside}` };
}

function count(some: unknown[], all: unknown[]): string {
  return `${some.length} of ${all.length} Knative Services`;
}

function more(of: number): string {
  return of > 1 ? ` (and ${of - 1} more Services)` : '';
}

function isSet(knobs: Knobs): boolean {
  return KNOBS.some((knob) => knobs[knob] !== undefined);
}

/** The target that a person should know first, per Service: override, applied, recommended, else what counts now. */
function column(services: ServiceStatus[]): string | undefined {
  const values = services.flatMap(({ workload, override, applied, recommended, current }) => {
    const target = override?.target ?? applied?.target ?? recommended?.target ?? current.target;
    return target === undefined ? [] : [{ name: workload.slice(workload.indexOf('/') + 1), value: target }];
  });
  return values.length <= 1 ? values[0]?.value.toString() : columnOf(values);
}
