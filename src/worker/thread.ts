/**
 * The worker's thread: as long as it holds the lease, a cycle at each interval. It shares nothing with admission but the
 * settings that it was started with; what it finds reaches admission through the records' status.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { accessOf } from '../collect/access.ts';
import { createLoadCollector } from '../collect/load.ts';
import { createPrometheus } from '../collect/prometheus.ts';
import { createCollector } from '../collect/usage.ts';
import { createApi } from '../kube/api.ts';
import { connect } from '../kube/connect.ts';
import { holdLists } from '../kube/hold.ts';
import { type LeaseClient, leaseClient } from '../kube/lease.ts';
import { RECORD_GROUP, recordType } from '../kube/records.ts';
import { createLog, type Log, reason } from '../log.ts';
import type { Settings } from '../settings.ts';
import { type Cluster, clusterOf } from './cluster.ts';
import { considerate } from './considerate.ts';
import { cycle, type Parts } from './cycle.ts';
import { onlyWhile } from './guarded.ts';
import { knownPast } from './known-past.ts';
import { createElection, type Election, monotonic, stand } from './lease.ts';
import { workerMetrics } from './metrics.ts';
import { createPast } from './past.ts';
import { comeLast } from './priority.ts';
import { enabledByDefault, rulesOf } from './rules.ts';

/**
 * What the thread tells its parent: at the start and after each cycle its metrics as Prometheus text, after each look at
 * the lease until when (by `monotonic`) it leads. Whatever the parent says means: give the lease back and end.
 */
export type Told = { metrics: string; finished: boolean } | { leadsUntil: number };

/** A query that takes longer than this would not be answered usefully any more. */
const QUERY_TIMEOUT_MS = 30_000;

/** A watch event is milliseconds behind its write; a replica that has not seen it costs one more request, no more. */
const CATCH_UP_MS = 500;

/** The Lease's name; its namespace is the tuner's own. */
const LEASE = 'oaas-tuner';

const tell = (told: Told) => parentPort?.postMessage(told);

async function run(settings: Settings): Promise<void> {
  const log = createLog(settings.logLevel).child({ thread: 'worker' });
  const config = connect();
  // Outside a cluster nobody else is there to agree with.
  const election = settings.namespace === '' ? undefined : join(leaseClient(config, settings.namespace, LEASE));
  const abort = new AbortController();
  const leads = () => !abort.signal.aborted && (!election || monotonic() < election.leadsUntil());

  const api = createApi(config);
  const holder = holdLists(config, api, log);
  const records = recordType(settings.recordPlural);
  const guarded = onlyWhile(leads, clusterOf(api, records, settings.knative, holder));
  parentPort?.once('message', async () => {
    abort.abort();
    await guarded.idle();
    await election?.release().catch((error) => log.warn({ error: reason(error) }, 'cannot give the lease back'));
    process.exit(0);
  });

  let elected = () => {};
  if (election) {
    let led = false;
    const told = (leadsUntil: number) => {
      tell({ leadsUntil });
      if (leads() !== led) log.info(led ? 'leads no more' : 'leads');
      led = leads();
      if (led) elected();
      else holder.letGo();
    };
    void stand(election, told, { log, signal: abort.signal });
  } else tell({ leadsUntil: Number.POSITIVE_INFINITY });

  if (settings.prometheusUrl === '') return;
  const work = await worker(settings, considerate(guarded.cluster), log);
  for (;;) {
    if (!leads()) await new Promise<void>((resolve) => (elected = resolve));
    else await work();
  }
}

/** Under a name that tells a person which pod leads, and that a thread started after this one does not have. */
function join(lease: LeaseClient): Election {
  return createElection(`${hostname()}_${randomUUID()}`, lease, monotonic);
}

/** One cycle, and the rest of its interval. */
async function worker(settings: Settings, cluster: Cluster, log: Log): Promise<() => Promise<void>> {
  const registry = new Registry();
  const metrics = workerMetrics(registry);
  const prometheus = createPrometheus({
    url: settings.prometheusUrl,
    timeoutMs: QUERY_TIMEOUT_MS,
    params: settings.prometheusParams,
    access: accessOf(settings),
    told: metrics.asked,
  });
  const rules = rulesOf(settings);
  const collect = createCollector(prometheus, settings);
  const past = createPast(prometheus, settings, rules, settings.intervalSeconds);
  const collectLoad = createLoadCollector(prometheus, settings);
  const patienceMs = Math.max(settings.intervalSeconds * 1000, 2 * QUERY_TIMEOUT_MS);
  const parts: Parts = {
    cluster,
    known: knownPast(past, settings.enforcementBacktest === 'required' && settings.enforcement, log),
    usage: (targets, now) => collect(targets, now, AbortSignal.timeout(patienceMs)),
    ...(settings.knative && {
      load: (targets, now) => collectLoad(targets, now, AbortSignal.timeout(patienceMs)),
    }),
    storesCatchUp: () => sleep(CATCH_UP_MS),
    rules,
    limits: { perNamespace: settings.rolloutsPerNamespace, perCluster: settings.rolloutsPerCluster },
    gates: { enforcement: settings.enforcement, enabledByDefault: enabledByDefault(settings) },
    strategy: settings.strategy,
    record: { group: RECORD_GROUP, kind: settings.recordKind },
    ownNamespace: settings.namespace,
    log,
  };
  const tellMetrics = async (finished: boolean) => tell({ metrics: await registry.metrics(), finished });
  // Also of a replica that never leads: absent and zero are told apart.
  await tellMetrics(false);
  const interval = settings.intervalSeconds;
  return async () => {
    const started = Date.now();
    const seconds = () => (Date.now() - started) / 1000;
    try {
      const report = await cycle(parts, started);
      metrics.finished(report, seconds());
      const { figures: _, errors: __, ...counts } = report;
      log.debug({ ...counts, seconds: seconds() }, 'cycle finished');
    } catch (error) {
      metrics.failed(seconds());
      log.warn({ error: reason(error) }, 'cycle failed');
    }
    if (seconds() > interval) {
      metrics.overran();
      log.warn({ seconds: seconds(), interval }, 'the cycle took longer than its interval; the next one starts late');
    }
    await tellMetrics(true);
    // The next start does not drift, and a cycle that was too long is followed at once by the next, never overlapped.
    await sleep(Math.max(0, interval * 1000 - (Date.now() - started)));
  };
}

comeLast();

await run(workerData as Settings);
