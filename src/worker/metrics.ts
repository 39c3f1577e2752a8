/** The worker's metrics, in the registry of its own thread. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Told } from '../collect/prometheus.ts';
import { CHANGES, PHASES } from '../domain/record.ts';
import { WAITS, type Wait } from '../domain/waits.ts';
import { FIELDS } from '../domain/workload.ts';
import { type CycleReport, STEPS } from './cycle.ts';
import { bounded, overRequestOf } from './figures.ts';

export type WorkerMetrics = {
  finished(report: CycleReport, seconds: number): void;
  failed(seconds: number): void;
  /** hears of each question to Prometheus */
  asked(told: Told): void;
  /** A cycle took longer than its interval. */
  overran(): void;
};

const ANSWERS: Told['outcome'][] = ['answered', 'partial', 'busy', 'too-much', 'refused'];
const OUTCOMES = ['ok', 'no-usage', 'failed'] as const;

export function workerMetrics(registry: Registry): WorkerMetrics {
  const registers = [registry];
  const cycles = new Counter({
    name: 'oaas_tuner_cycles_total',
    help: 'Cycles of the worker, by outcome: ok, no-usage (Prometheus could not be read), failed (the cluster could not).',
    labelNames: ['outcome'] as const,
    registers,
  });
  for (const outcome of OUTCOMES) cycles.inc({ outcome }, 0);
  const duration = new Gauge({
    name: 'oaas_tuner_cycle_duration_seconds',
    help: 'How long the last cycle took.',
    registers,
  });
  const steps = new Gauge({
    name: 'oaas_tuner_cycle_step_seconds',
    help: 'How long each step of the last cycle took: list (of the cluster), collect (from Prometheus), decide, write.',
    labelNames: ['step'] as const,
    registers,
  });
  for (const step of STEPS) steps.set({ step }, 0);
  const overruns = new Counter({
    name: 'oaas_tuner_cycles_overrun_total',
    help: 'Cycles that took longer than their interval.',
    registers,
  });
  const changes = new Counter({
    name: 'oaas_tuner_decisions_total',
    help: 'New decisions about a container, by kind.',
    labelNames: ['change'] as const,
    registers,
  });
  for (const change of CHANGES) changes.inc({ change }, 0);
  const writes = new Counter({
    name: 'oaas_tuner_status_writes_total',
    help: 'Records whose status was written.',
    registers,
  });
  const failures = new Counter({
    name: 'oaas_tuner_record_failures_total',
    help: 'Records that a cycle could not finish.',
    registers,
  });
  const conflicts = new Counter({
    name: 'oaas_tuner_status_conflicts_total',
    help: 'Records left for the next cycle, because they were changed while they were decided about.',
    registers,
  });
  const phases = new Gauge({
    name: 'oaas_tuner_records',
    help: 'Records that the last cycle looked at, by phase: Disabled and NoData were passed over.',
    labelNames: ['phase'] as const,
    registers,
  });
  for (const phase of PHASES) phases.set({ phase }, 0);
  const workloads = new Gauge({
    name: 'oaas_tuner_observed_workloads',
    help: 'Workloads that the last cycle observed.',
    registers,
  });
  const rollouts = new Counter({
    name: 'oaas_tuner_rollouts_total',
    help: 'Rollouts that were asked for, and those that failed: the values did not come, or the pods did not.',
    labelNames: ['event'] as const,
    registers,
  });
  for (const event of ['asked', 'failed']) rollouts.inc({ event }, 0);
  const underWay = new Gauge({
    name: 'oaas_tuner_rollouts_under_way',
    help: 'Workloads that roll out on our request.',
    registers,
  });
  const waiting = new Gauge({
    name: 'oaas_tuner_workloads_waiting',
    help: 'Workloads that applied values do not reach, or not yet, by reason.',
    labelNames: ['reason'] as const,
    registers,
  });
  for (const reason of Object.keys(WAITS)) waiting.set({ reason }, 0);
  const finishedAt = new Gauge({
    name: 'oaas_tuner_cycle_finished_timestamp_seconds',
    help: 'When the last cycle finished, in Unix time.',
    registers,
  });
  const queries = new Counter({
    name: 'oaas_tuner_prometheus_queries_total',
    help: 'Questions to Prometheus, by how they ended: busy ones are asked again, too large ones in parts.',
    labelNames: ['outcome'] as const,
    registers,
  });
  for (const outcome of ANSWERS) queries.inc({ outcome }, 0);
  const total = (name: string, help: string) =>
    new Counter({ name: `oaas_tuner_prometheus_${name}_total`, help, registers });
  const cost = {
    rows: total('rows', 'Rows in the answers of Prometheus.'),
    bytes: total('response_bytes', 'Characters of the answers of Prometheus, after decompression.'),
    samples: total('samples', 'Samples that Prometheus looked at for us, where it says so.'),
    seconds: total('seconds', 'Time that Prometheus took for our queries, where it says so.'),
  };
  const outcomes = outcomeMetrics(registry);

  return {
    asked({ outcome, ...told }) {
      queries.inc({ outcome });
      for (const key of ['rows', 'bytes', 'samples', 'seconds'] as const) cost[key].inc(told[key]);
    },
    finished(report, seconds) {
      cycles.inc({ outcome: report.trouble === undefined ? 'ok' : 'no-usage' });
      duration.set(seconds);
      for (const change of CHANGES) changes.inc({ change }, report[change]);
      rollouts.inc({ event: 'asked' }, report.rollouts.asked);
      rollouts.inc({ event: 'failed' }, report.rollouts.failed);
      underWay.set(report.rollouts.underWay);
      for (const reason of Object.keys(WAITS) as Wait[]) waiting.set({ reason }, report.rollouts.waiting[reason] ?? 0);
      writes.inc(report.written);
      failures.inc(report.failed);
      conflicts.inc(report.conflicts);
      for (const step of STEPS) steps.set({ step }, report.steps[step]);
      for (const phase of PHASES) phases.set({ phase }, report.phases[phase] ?? 0);
      workloads.set(report.workloads);
      outcomes(report);
      finishedAt.setToCurrentTime();
    },
    failed(seconds) {
      cycles.inc({ outcome: 'failed' });
      duration.set(seconds);
    },
    overran: () => overruns.inc(),
  };
}

/** What tuning comes to, by record, for the largest of them; and how well recommendations fit. */
function outcomeMetrics(registry: Registry): (report: Pick<CycleReport, 'figures' | 'errors'>) => void {
  // Not `namespace`: Prometheus gives that label to the pod that it scrapes.
  const labelNames = ['record_namespace', 'record'] as const;
  const registers = [registry];
  const ofRecord = (name: string, help: string) =>
    new Gauge({ name: `oaas_tuner_${name}`, help, labelNames, registers });
  const requested = ofRecord('requested_bytes', 'Memory that the pods of a record request.');
  const ratio = ofRecord(
    'over_request_ratio',
    'Part of the requested memory that is not in use, by the average of the short window; below 0 where more is in use.',
  );
  const kills = ofRecord('oom_kills', 'OOM kills of the pods of a record within the long window.');
  const saved = new Gauge({
    name: 'oaas_tuner_saved_bytes',
    help: 'Memory that the pods of a record would have by their manifests, less what they have; below 0 where tuning gives more.',
    labelNames: [...labelNames, 'side'] as const,
    registers,
  });
  const error = new Histogram({
    name: 'oaas_tuner_recommendation_error_ratio',
    help: 'What a container uses in the short window over what is recommended for it, each once a cycle: p95 over request, maximum over limit.',
    labelNames: ['side'] as const,
    buckets: [0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5],
    registers,
  });
  for (const side of FIELDS) error.zero({ side });
  const show: ReturnType<typeof outcomeMetrics> = ({ figures, errors }) => {
    // Records come and go; what none has any more must not stay.
    for (const gauge of [requested, ratio, kills, saved]) gauge.reset();
    for (const one of bounded(figures)) {
      const labels = { record_namespace: one.namespace, record: one.record };
      requested.set(labels, one.requested);
      kills.set(labels, one.kills);
      for (const side of FIELDS) saved.set({ ...labels, side }, one.saved[side]);
      ratio.set(labels, overRequestOf(one));
    }
    for (const one of errors) for (const side of FIELDS) error.observe({ side }, one[side]);
  };
  show({ figures: [], errors: [] });
  return show;
}
