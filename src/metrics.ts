/**
 * The metrics of admission and of the store; the worker's are in `worker/metrics.ts`, because it runs on its own thread
 * with its own registry. Label sets start at 0, so that absent and zero are told apart.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { OUTCOMES, type Reason } from './domain/reasons.ts';

export type AdmissionMetrics = {
  /** @param seconds how long it took; left out where no review was read */
  answered(kind: string, operation: string, reason: Reason, seconds?: number): void;
  validated(allowed: boolean): void;
  unanswered(cause: Unanswered): void;
};

/** Why a caller got no answer: no TLS (one side does not trust the other), too slow, or no HTTP. */
export const UNANSWERED = ['handshake', 'too-slow', 'no-http'] as const;
export type Unanswered = (typeof UNANSWERED)[number];

const KINDS = ['Deployment', 'KnativeService', 'other'];
const OPERATIONS = ['CREATE', 'UPDATE', 'other'];

/** @param registry where they are registered; nothing is global */
export function admissionMetrics(registry: Registry): AdmissionMetrics {
  // Counted here and told when asked: prom-client checks, sorts and joins the labels at each increment.
  const admissions = new Map<string, { labels: Record<string, string>; count: number }>();
  for (const kind of KINDS) {
    for (const operation of OPERATIONS) {
      for (const [reason, { result }] of Object.entries(OUTCOMES))
        admissions.set(`${kind}/${operation}/${reason}`, { labels: { kind, operation, result, reason }, count: 0 });
    }
  }
  new Counter({
    name: 'oaas_tuner_admissions_total',
    help: 'Reviews answered by POST /mutate, by how they ended.',
    labelNames: ['kind', 'operation', 'result', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, count } of admissions.values()) this.inc(labels, count);
    },
  });
  const duration = new Histogram({
    name: 'oaas_tuner_admission_duration_seconds',
    help: 'Time from the whole body of a review to its answer.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3],
    registers: [registry],
  });
  const validations = new Counter({
    name: 'oaas_tuner_validations_total',
    help: 'Records judged by POST /validate.',
    labelNames: ['allowed'] as const,
    registers: [registry],
  });
  for (const allowed of ['true', 'false']) validations.inc({ allowed }, 0);
  const unanswered = new Counter({
    name: 'oaas_tuner_callers_unanswered_total',
    help: 'Connections to the reviews that ended without an answer: no TLS (one side distrusts the other), too slow, or no HTTP.',
    labelNames: ['cause'] as const,
    registers: [registry],
  });
  for (const cause of UNANSWERED) unanswered.inc({ cause }, 0);
  const known = (value: string, values: string[]) => (values.includes(value) ? value : 'other');
  return {
    answered(kind, operation, reason, seconds) {
      const counted = admissions.get(`${known(kind, KINDS)}/${known(operation, OPERATIONS)}/${reason}`);
      if (counted) counted.count += 1;
      if (seconds !== undefined) duration.observe(seconds);
    },
    validated: (allowed) => validations.inc({ allowed: String(allowed) }),
    unanswered: (cause) => unanswered.inc({ cause }),
  };
}

/** What the store holds and how current it is. */
export function storeMetrics(
  registry: Registry,
  store: { size(): number; faulty(): number; confirmedAt(): number | undefined },
): void {
  new Gauge({
    name: 'oaas_tuner_store_records',
    help: 'Records in memory.',
    registers: [registry],
    collect() {
      this.set(store.size());
    },
  });
  new Gauge({
    name: 'oaas_tuner_store_faulty_records',
    help: 'Records in memory with a wish that cannot be meant: it is left out, the rest of the record holds.',
    registers: [registry],
    collect() {
      this.set(store.faulty());
    },
  });
  new Gauge({
    name: 'oaas_tuner_store_age_seconds',
    help: 'Time since the API server last confirmed the records in memory; NaN before the first list.',
    registers: [registry],
    collect() {
      const confirmed = store.confirmedAt();
      this.set(confirmed === undefined ? Number.NaN : (Date.now() - confirmed) / 1000);
    },
  });
}

/** @param expiry when the served certificate ends, in milliseconds since the epoch */
export function certificateMetrics(registry: Registry, expiry: () => number): void {
  new Gauge({
    name: 'oaas_tuner_certificate_expiry_timestamp_seconds',
    help: 'When the certificate that is served expires, in Unix time.',
    registers: [registry],
    collect() {
      this.set(expiry() / 1000);
    },
  });
}

/** @returns is told how each review ended that the tuner sent to itself */
export function canaryMetrics(registry: Registry): (answered: boolean) => void {
  const reviews = new Counter({
    name: 'oaas_tuner_canary_reviews_total',
    help: 'Reviews that the tuner sent to itself through its Service, as the API server would, by outcome.',
    labelNames: ['outcome'] as const,
    registers: [registry],
  });
  for (const outcome of ['answered', 'failed'] as const) reviews.inc({ outcome }, 0);
  return (answered) => reviews.inc({ outcome: answered ? 'answered' : 'failed' });
}

/** @param leads whether this replica is the one that works */
export function leaderMetrics(registry: Registry, leads: () => boolean): void {
  new Gauge({
    name: 'oaas_tuner_leader',
    help: 'Whether this replica is the one that works: 1 or 0.',
    registers: [registry],
    collect() {
      this.set(leads() ? 1 : 0);
    },
  });
}

export const LOG_LINES_LOST = {
  name: 'oaas_tuner_log_lines_lost_total',
  help: 'Lines of the log that nobody took: its disk is full, or its reader hangs.',
};
export const CERTIFICATES_SERVED = {
  name: 'oaas_tuner_certificates_served_total',
  help: 'Certificates that were put into service, the one of the start included.',
};
export const WORKER_DEATHS = {
  name: 'oaas_tuner_worker_deaths_total',
  help: 'How often the worker thread died and was started again.',
};

/** A counter of what somebody else counts. */
export function countedMetric(registry: Registry, what: { name: string; help: string }, count: () => number): void {
  new Counter({
    ...what,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(count());
    },
  });
}
