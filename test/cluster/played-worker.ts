/** The worker's own cycle against a real API server; the clock, and what Prometheus would say, are the test's. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { usageKey } from '../../src/collect/usage.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { createApi } from '../../src/kube/api.ts';
import { Connection } from '../../src/kube/connect.ts';
import { RECORD_GROUP, recordType } from '../../src/kube/records.ts';
import type { RolloutLimits } from '../../src/recommend/rollouts.ts';
import { clusterOf, type Cluster as Hands } from '../../src/worker/cluster.ts';
import { considerate } from '../../src/worker/considerate.ts';
import { type CycleReport, cycle, type Parts } from '../../src/worker/cycle.ts';
import { RULES } from '../recommend/rules.ts';

export type Worker = {
  /** One cycle at that moment (milliseconds since the epoch). */
  work(now: number): Promise<CycleReport>;
};

export type Played = {
  /** What Prometheus would say of each container of a workload; nothing where it knows none. */
  usage(workload: { namespace: string; ref: string }, now: number): Usage | undefined;
  /** Which records it sees; all, unless it is told otherwise. */
  sees?(record: RecordResource): boolean;
  limits?: RolloutLimits;
  knative?: boolean;
  /** What it does with its hands on the way. */
  through?(hands: Hands): Hands;
};

/** The containers' names in the manifests of the stage. */
const CONTAINERS = ['function', 'sidecar'];

/** As in `worker/thread.ts`. */
const CATCH_UP_MS = 500;

/** @param kubeconfig file of the tuner's account */
export function playWorker(kubeconfig: string, played: Played): Worker {
  const config = new Connection();
  config.loadFromFile(kubeconfig);
  const { sees = () => true, through = (same) => same, knative = false } = played;
  const hands = considerate(clusterOf(createApi(config), recordType('deploymentrecords'), knative));
  const parts: Parts = {
    cluster: through({ ...hands, records: async () => (await hands.records()).filter(sees) }),
    async usage(targets, now) {
      const all = targets.flatMap((target) => {
        const found = played.usage(target, now);
        return found ? CONTAINERS.map((name) => [usageKey(target.namespace, target.ref, name), found] as const) : [];
      });
      return { usage: new Map(all), troubles: new Map() };
    },
    storesCatchUp: () => sleep(CATCH_UP_MS),
    rules: RULES,
    limits: played.limits ?? { perNamespace: 100, perCluster: 100 },
    gates: { enforcement: true, enabledByDefault: true },
    strategy: 'rollout',
    record: { group: RECORD_GROUP, kind: 'DeploymentRecord' },
    ownNamespace: '',
    log: pino({ level: 'silent' }),
  };
  return { work: (now) => cycle(parts, now) };
}
