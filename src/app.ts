/** Joins the parts from settings and edges; what `main.ts` runs and what tests start. */
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { type KnativeBounds, OWN_BOUNDS, readBounds } from './domain/knative-rules.ts';
import { createApi } from './kube/api.ts';
import { connect } from './kube/connect.ts';
import { followKnativeConfig } from './kube/knative-config.ts';
import { followNamespaces, followRecords, RECORD_GROUP } from './kube/records.ts';
import { secretClient } from './kube/secret.ts';
import { trustClient } from './kube/webhook-configuration.ts';
import { type Log, reason } from './log.ts';
import {
  admissionMetrics,
  CERTIFICATES_SERVED,
  canaryMetrics,
  certificateMetrics,
  countedMetric,
  LOG_LINES_LOST,
  leaderMetrics,
  storeMetrics,
  WORKER_DEATHS,
} from './metrics.ts';
import { followCanary } from './serve/canary.ts';
import { readCertificate, type Served } from './serve/certificates.ts';
import { createKeeper } from './serve/keeper.ts';
import { createOpsServer } from './serve/ops.ts';
import { followCertificate, ownCertificate, readClientCa, serveWith, tlsOptions } from './serve/reload.ts';
import { createReviewServer } from './serve/reviews.ts';
import type { Settings } from './settings.ts';
import { createPausedNamespaces, type PausedNamespaces } from './store/paused-namespaces.ts';
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
  /** what Knative's administrator allows */
  knative?(): KnativeBounds;
  workerMetrics?(): string;
  /** how often the worker's thread has died */
  workerDeaths?(): number;
  /** whether this replica is the one that works */
  leads?(): boolean;
  /** The cluster's certificate as of now, kept valid by the replica that works; `undefined` before there is one. */
  certificate?(now: number): Promise<Served | undefined>;
  /** how the API server calls us, e.g. `https://oaas-tuner.oaas-system.svc/mutate`; a canary goes that way now and then */
  path?: string;
  /** Lets another replica work, at once. */
  resign?(): Promise<void>;
  stop(): Promise<void>;
};

const ASK_AGAIN_MS = 5_000;

/** How often the certificate is looked after. */
const LOOK_EVERY_MS = 5_000;

const CANARY_EVERY_MS = 30_000;

const KNATIVE_CONFIG_EVERY_MS = 30_000;

/** The Secret that the chart makes, empty, for the tuner's own certificates. */
const TLS_SECRET = 'oaas-tuner-tls';

/**
 * Starts both servers, then the edges.
 *
 * @param open connects the store to its source; `openCluster` in production
 * @throws {Error} with one sentence, when a port is taken or a certificate cannot be read
 */
export async function startApp(
  settings: Settings,
  log: Log,
  open: (store: RecordStore, namespaces: PausedNamespaces) => Promise<Edges>,
): Promise<App> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const store = createRecordStore();
  const namespaces = createPausedNamespaces(settings.namespace);
  storeMetrics(registry, store);
  countedMetric(registry, LOG_LINES_LOST, () => log.lost?.() ?? 0);

  const clientCa = settings.clientCa === '' ? undefined : await readClientCa(settings.clientCa);
  let served = settings.certificates === 'files' ? await ownCertificate(settings.tlsDir, log) : undefined;
  certificateMetrics(registry, () => served?.expiry ?? Number.NaN);
  let certificates = 0;
  countedMetric(registry, CERTIFICATES_SERVED, () => certificates);

  const edges = await open(store, namespaces);
  leaderMetrics(registry, () => edges.leads?.() ?? false);
  countedMetric(registry, WORKER_DEATHS, () => edges.workerDeaths?.() ?? 0);
  // What VPA gives to pods must not stand in their template, too: the proportion that VPA keeps is the template's.
  const enforcement = settings.enforcement && settings.strategy !== 'vpa';
  const gates = { enforcement, enabledByDefault: enabledByDefault(settings) };
  const record = { group: RECORD_GROUP, kind: settings.recordKind };
  const context = () => ({
    ...{ gates, record, ownAccount: edges.ownAccount?.() },
    knative: edges.knative?.() ?? OWN_BOUNDS,
  });
  const reviews = createReviewServer({
    tls: tlsOptions(served, clientCa),
    store,
    namespaces,
    context,
    metrics: admissionMetrics(registry),
    log,
  });

  let stopping = false;
  const notReady = () => {
    if (stopping) return 'stopping';
    if (!served) return 'there is no certificate yet';
    if (!namespaces.ready()) return 'the namespaces have not been listed yet';
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
  const abort = new AbortController();
  void followCertificate({
    look: edges.certificate ?? (() => readCertificate(settings.tlsDir)),
    use: (next) => {
      served = next;
      certificates += 1;
      serveWith(reviews.app.server as Server, next, clientCa);
    },
    everyMs: Math.min(LOOK_EVERY_MS, (settings.certificateLifeSeconds * 1000) / 12),
    ...{ log, signal: abort.signal },
  });
  const told = canaryMetrics(registry);
  // Who asks for a client certificate asks the canary, too, and it has none.
  if (edges.path !== undefined && clientCa === undefined) {
    const ca = () => (notReady() === undefined ? served?.ca : undefined);
    void followCanary({ url: edges.path, ca, told, everyMs: CANARY_EVERY_MS, log, signal: abort.signal });
  }
  const app = {
    reviewsPort: (reviews.app.server.address() as AddressInfo).port,
    opsPort: (ops.server.address() as AddressInfo).port,
    async stop(drainSeconds: number) {
      stopping = true;
      reviews.drain();
      await Promise.all([sleep(drainSeconds * 1000), edges.resign?.()]);
      abort.abort();
      await Promise.all([reviews.app.close(), ops.close(), edges.stop()]);
    },
  };
  const { profile, strategy } = settings;
  // Without the user and the password that it may carry.
  const prometheus = settings.prometheusUrl && new URL(settings.prometheusUrl).host;
  log.info(
    {
      reviewsPort: app.reviewsPort,
      opsPort: app.opsPort,
      profile,
      enforcement: settings.enforcement,
      strategy,
      prometheus,
    },
    'serving',
  );
  return app;
}

/** The cluster as the stores' source, and the worker on its own thread. */
export async function openCluster(
  store: RecordStore,
  namespaces: PausedNamespaces,
  settings: Settings,
  log: Log,
): Promise<Edges> {
  const config = connect();
  const api = createApi(config);
  const abort = new AbortController();
  const following = Promise.all([
    followRecords(config, api, settings.recordPlural, store, { log, signal: abort.signal }),
    followNamespaces(config, api, namespaces, { log, signal: abort.signal }),
  ]);
  if (settings.prometheusUrl === '')
    log.warn('OPRC_CRM_PROM_URL is not set: nothing is observed, overrides still work');
  const needed = settings.prometheusUrl !== '' || settings.namespace !== '';
  const worker = needed ? superviseWorker(settings, log) : undefined;
  let account: string | undefined;
  void askOwnAccount(() => api.account(), log, abort.signal).then((name) => {
    account = name;
  });
  let bounds = OWN_BOUNDS;
  if (settings.knative) {
    const use = (config: Parameters<typeof readBounds>[0]) => {
      bounds = readBounds(config);
    };
    void followKnativeConfig(api, { use, everyMs: KNATIVE_CONFIG_EVERY_MS, log, signal: abort.signal });
  }
  return {
    ownAccount: () => account,
    knative: () => bounds,
    ...(settings.namespace !== '' && { path: `https://oaas-tuner.${settings.namespace}.svc/mutate` }),
    workerMetrics: () => worker?.metrics() ?? '',
    workerDeaths: () => worker?.deaths() ?? 0,
    leads: () => worker?.leads() ?? false,
    ...(settings.certificates === 'secret' && {
      certificate: createKeeper({
        secret: secretClient(config, settings.namespace, TLS_SECRET),
        trust: trustClient(config),
        host: `oaas-tuner.${settings.namespace}.svc`,
        life: settings.certificateLifeSeconds * 1000,
        leads: () => worker?.leads() ?? false,
        log,
      }),
    }),
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
