/** Everything that the acts play with: the real app on loopback, the cluster and the usage that it is shown, a client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApp } from '../../src/app.ts';
import { type Series, usageOfSamples } from '../../src/collect/recorded.ts';
import { type Collected, usageKey } from '../../src/collect/usage.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { RECORD_GROUP } from '../../src/kube/records.ts';
import { createLog } from '../../src/log.ts';
import { readSettings, type Settings } from '../../src/settings.ts';
import { cycle, type Parts } from '../../src/worker/cycle.ts';
import { enabledByDefault, rulesOf } from '../../src/worker/rules.ts';
import type { Workload } from '../../src/worker/workloads.ts';
import { type PlayedCluster, playCluster } from './played-cluster.ts';
import { createReviewClient, type ReviewClient } from './review-client.ts';

export type Stage = {
  settings: Settings;
  cluster: PlayedCluster;
  client: ReviewClient;
  recordings: Recordings;
  port: number;
  /** One cycle of the worker. @param now milliseconds since the epoch */
  work(now: number): Promise<void>;
  close(): Promise<void>;
};

/** By `Deployment/orders/function`: the samples of each pod. */
export type Recordings = Map<string, Series[]>;

/**
 * @param tlsDir where the certificate is made
 * @throws {Error} when a port or the folder cannot be had
 */
export async function setStage(
  records: JsonObject[],
  workloads: JsonObject[],
  recordings: Recordings,
  tlsDir: string,
): Promise<Stage> {
  const settings = settingsOf({
    OPRC_CRM_PROFILE: 'full',
    OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'true',
    // The demo shows what a person's own apply does.
    OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission',
    OAAS_TUNER_HOST: '127.0.0.1',
    OAAS_TUNER_PORT: '0',
    OAAS_TUNER_METRICS_PORT: '0',
    OAAS_TUNER_TLS_DIR: tlsDir,
    OAAS_TUNER_LOG_LEVEL: 'silent',
  });
  const log = createLog(settings.logLevel);
  const opened = Promise.withResolvers<PlayedCluster>();
  const app = await startApp(settings, log, async (store, namespaces) => {
    namespaces.replace([]);
    opened.resolve(playCluster(records as unknown as RecordResource[], workloads, store));
    return { stop: async () => {} };
  });
  const cluster = await opened.promise;
  const client = createReviewClient(app.reviewsPort, readFileSync(join(tlsDir, 'ca.crt'), 'utf8'));
  const parts: Parts = {
    cluster,
    usage: async (targets, now) => usageOf(targets, recordings, settings, now),
    storesCatchUp: async () => {},
    ownNamespace: '',
    rules: rulesOf(settings),
    limits: { perNamespace: settings.rolloutsPerNamespace, perCluster: settings.rolloutsPerCluster },
    gates: { enforcement: settings.enforcement, enabledByDefault: enabledByDefault(settings) },
    strategy: settings.strategy,
    record: { group: RECORD_GROUP, kind: settings.recordKind },
    log,
  };
  return {
    settings,
    cluster,
    client,
    recordings,
    port: app.reviewsPort,
    async work(now) {
      await cycle(parts, now);
    },
    async close() {
      await client.close();
      await app.stop(0);
    },
  };
}

function settingsOf(env: Record<string, string>): Settings {
  const read = readSettings(env);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return read.settings;
}

/** Recorded samples in the place of Prometheus. */
function usageOf(targets: Workload[], recordings: Recordings, settings: Settings, now: number): Collected {
  const usage = new Map<string, Usage>();
  for (const { namespace, ref, containers } of targets) {
    for (const { name } of containers) {
      const pods = recordings.get(`${ref}/${name}`);
      if (!pods) continue;
      const { shortWindowSeconds, longWindowSeconds } = settings;
      usage.set(
        usageKey(namespace, ref, name),
        usageOfSamples(pods, now / 1000, shortWindowSeconds, longWindowSeconds),
      );
    }
  }
  return { usage, troubles: new Map() };
}
