/** Joins the parts from settings and edges; what `main.ts` runs and what tests start. */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createApi } from './kube/api.ts';
import { connect } from './kube/connect.ts';
import { followRecords, RECORD_GROUP } from './kube/records.ts';
import { type Log, reason } from './log.ts';
import { admissionMetrics, certificateMetrics, leaderMetrics, storeMetrics } from './metrics.ts';
import { ensureCertificates, readCertificate } from './serve/certificates.ts';
import { createOpsServer } from './serve/ops.ts';
import { createReviewServer } from './serve/reviews.ts';
import type { Settings } from './settings.ts';
import { createRecordStore, type RecordStore } from './store/records.ts';
import { enabledByDefault } from './worker/rules.ts';
import { superviseWorker } from './worker/supervise.ts';

export type App = {
  /** where reviews are answered (HTTPS) and where health and metrics are (HTTP) */
  reviewsPort: number;
  opsPort: number;
  /** Answers reviews for `drainSeconds` more while readiness says no, then closes. */
  stop(drainSeconds: number): Promise<void>;
};

/** What fills the store and does the work; without it the app answers from whatever the store holds. */
export type Edges = {
  /** the account whose rollout requests count, once it is known */
  ownAccount?(): string | undefined;
  workerMetrics?(): string;
  /** whether this replica is the one that works */
  leads?(): boolean;
  /** Lets another replica work, at once. */
  resign?(): Promise<void>;
  stop(): Promise<void>;
};

const ASK_AGAIN_MS = 5_000;

/**
 * Starts both servers, then the edges.
 *
 * @param open connects the store to its source; `openCluster` in production
 * @throws {Error} with one sentence, when a port is taken or a certificate cannot be read
 */
export async function startApp(
  settings: Settings,
  log: Log,
  open: (store: RecordStore) => Promise<Edges>,
): Promise<App> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const store = createRecordStore();
  storeMetrics(registry, store);

  if (await ensureCertificates(settings.tlsDir, Date.now())) {
    log.warn({ folder: settings.tlsDir }, 'made a certificate for localhost, because there was none');
  }
  const served = await readCertificate(settings.tlsDir);
  certificateMetrics(registry, () => served.expiry);

  const edges = await open(store);
  leaderMetrics(registry, () => edges.leads?.() ?? false);
  const gates = { enforcement: settings.enforcement, enabledByDefault: enabledByDefault(settings) };
  const record = { group: RECORD_GROUP, kind: settings.recordKind };
  const context = () => ({ gates, record, ownAccount: edges.ownAccount?.() });
  const reviews = createReviewServer({ tls: served, store, context, metrics: admissionMetrics(registry), log });

  let stopping = false;
  const notReady = () => {
    if (stopping) return 'stopping';
    return store.ready() ? undefined : 'the records have not been listed yet';
  };
  const ops = createOpsServer({ registry, workerMetrics: () => edges.workerMetrics?.() ?? '', notReady });
  try {
    await reviews.app.listen({ host: settings.host, port: settings.port });
    await ops.listen({ host: settings.host, port: settings.metricsPort });
  } catch (error) {
    await Promise.all([reviews.app.close(), ops.close(), edges.stop()]);
    throw error;
  }
  const app = {
    reviewsPort: (reviews.app.server.address() as AddressInfo).port,
    opsPort: (ops.server.address() as AddressInfo).port,
    async stop(drainSeconds: number) {
      stopping = true;
      reviews.drain();
      await Promise.all([sleep(drainSeconds * 1000), edges.resign?.()]);
      await Promise.all([reviews.app.close(), ops.close(), edges.stop()]);
    },
  };
  const { profile, enforcement } = settings;
  // Without the user and the password that it may carry.
  const prometheus = settings.prometheusUrl && new URL(settings.prometheusUrl).host;
  log.info({ reviewsPort: app.reviewsPort, opsPort: app.opsPort, profile, enforcement, prometheus }, 'serving');
  return app;
}

/** The cluster as the store's source, and the worker on its own thread. */
export async function openCluster(store: RecordStore, settings: Settings, log: Log): Promise<Edges> {
  const config = connect();
  const api = createApi(config);
  const abort = new AbortController();
  const following = followRecords(config, api, settings.recordPlural, store, { log, signal: abort.signal });
  if (settings.prometheusUrl === '')
    log.warn('OPRC_CRM_PROM_URL is not set: nothing is observed, overrides still work');
  const needed = settings.prometheusUrl !== '' || settings.namespace !== '';
  const worker = needed ? superviseWorker(settings, log) : undefined;
  let account: string | undefined;
  void askOwnAccount(() => api.account(), log, abort.signal).then((name) => {
    account = name;
  });
  return {
    ownAccount: () => account,
    workerMetrics: () => worker?.metrics() ?? '',
    leads: () => worker?.leads() ?? false,
    resign: async () => worker?.stop(),
    async stop() {
      abort.abort();
      // Who we are is not waited for: an API server that hangs must not keep us from ending.
      await Promise.all([following, worker?.stop()]);
    },
  };
}

/**
 * Asks who we are until the API server answers. As long as it is not known rollout requests are not honoured, which is
 * safe: a metadata update then changes nothing.
 */
async function askOwnAccount(ask: () => Promise<string>, log: Log, signal: AbortSignal): Promise<string | undefined> {
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      log.debug({ error: reason(error) }, 'the own account is not known yet');
      await sleep(ASK_AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}
