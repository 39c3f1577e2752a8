/**
 * The worker's thread: a cycle at each interval, for ever. It shares nothing with admission but the settings that it was
 * started with; what it finds reaches admission through the records' status.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { createPrometheus } from '../collect/prometheus.ts';
import { collectUsage } from '../collect/usage.ts';
import { createApi } from '../kube/api.ts';
import { connect } from '../kube/connect.ts';
import { RECORD_GROUP, recordType } from '../kube/records.ts';
import { createLog, reason } from '../log.ts';
import type { Settings } from '../settings.ts';
import { clusterOf } from './cluster.ts';
import { cycle, type Parts } from './cycle.ts';
import { workerMetrics } from './metrics.ts';
import { enabledByDefault, rulesOf } from './rules.ts';

/** What the thread tells its parent after each cycle: its metrics as Prometheus text. */
export type Told = { metrics: string };

/** A query that takes longer than this would not be answered usefully any more. */
const QUERY_TIMEOUT_MS = 30_000;

async function run(settings: Settings): Promise<never> {
  const log = createLog(settings.logLevel).child({ thread: 'worker' });
  const registry = new Registry();
  const metrics = workerMetrics(registry);
  const prometheus = createPrometheus(settings.prometheusUrl, QUERY_TIMEOUT_MS);
  const { seriesMatchers: matchers } = settings;
  const parts: Parts = {
    cluster: clusterOf(createApi(connect()), recordType(settings.recordPlural), settings.knative),
    usage: (targets, now) => collectUsage(prometheus, targets, { ...settings, matchers }, now),
    rules: rulesOf(settings),
    gates: { enforcement: settings.enforcement, enabledByDefault: enabledByDefault(settings) },
    record: { group: RECORD_GROUP, kind: settings.recordKind },
    log,
  };
  for (;;) {
    const started = Date.now();
    const seconds = () => (Date.now() - started) / 1000;
    try {
      const report = await cycle(parts, started);
      metrics.finished(report, seconds());
      log.debug({ ...report, seconds: seconds() }, 'cycle finished');
    } catch (error) {
      metrics.failed(seconds());
      log.warn({ error: reason(error) }, 'cycle failed');
    }
    parentPort?.postMessage({ metrics: await registry.metrics() } satisfies Told);
    // The next start does not drift, and a cycle that was too long is followed at once by the next, never overlapped.
    await sleep(Math.max(0, settings.intervalSeconds * 1000 - (Date.now() - started)));
  }
}

await run(workerData as Settings);
