/** What one cycle found out about a record: what the status is made of. */
import type { Backtest, Problem, RolloutStatus } from '../domain/record.ts';
import type { Pair } from '../domain/workload.ts';
import type { Finding, Look } from '../recommend/container.ts';
import type { ServiceFinding, ServiceLook } from '../recommend/service.ts';

/** What one cycle found out about one container of a record. */
export type ContainerFinding = {
  /** e.g. `Deployment/orders` */
  workload: string;
  name: string;
  /** bytes */
  current: Pair<number>;
  /** what a pod would get by the manifest alone; bytes */
  manifest: Pair<number>;
  /** the override in force, as the person wrote it */
  override: Pair<string>;
  /** what the finding was made from */
  look: Look;
  finding: Finding;
};

/** What one cycle found out about one Knative Service of a record. */
export type ServiceFound = { workload: string; look: ServiceLook; finding: ServiceFinding };

/** OOM kills of a record's pods, within the same time before its values were tuned as up to now. */
export type Kills = { before: number; after: number; overSeconds: number };

/** What one cycle found out about a record. */
export type Report = {
  enabled: boolean;
  enforced: boolean;
  /** the record's applied values are to go through VPA, and whether the cluster has one */
  vpa?: 'served' | 'absent';
  /** overrides are in force, whether or not memory is tuned */
  overridden: boolean;
  workloads: number;
  /** why usage could not be read at all; the containers of the last status stay */
  trouble?: string;
  problems: readonly Problem[];
  containers: ContainerFinding[];
  /** of Knative Services their concurrency; absent where there are none, or Knative is switched off */
  services?: ServiceFound[];
  /** why requests could not be read, though memory could */
  loadTrouble?: string;
  /** Prometheus has no series of Knative */
  noKnativeMetrics?: true;
  /** how far each workload's rollout is; absent where nothing was looked at, so that those of the last status stay */
  rollouts?: RolloutStatus[];
  /** OOM kills before and since tuning, where Prometheus could tell lately */
  kills?: Kills;
  /** what a replay has shown last, where one is required */
  backtest?: Backtest;
  /** the long window as people write it, e.g. `6h` */
  window: string;
  /** the rules' settings that differ from their defaults, by variable */
  settings: Readonly<Record<string, string>>;
};
