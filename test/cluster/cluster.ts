import { type Api, openApi } from './api.ts';
import { ensureBinaries } from './binaries.ts';
import { startCertManager } from './cert-manager.ts';
import { type CommandResult, run } from './command.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { startControllers } from './controllers.ts';
import { type KnativeExtent, startKnative } from './knative.ts';
import { startKubeStateMetrics } from './kube-state-metrics.ts';
import type { PartName } from './parts.ts';
import { PortTakenError, type Program } from './program.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import type { Series } from './remote-write.ts';
import { openSite, type Site } from './site.ts';
import { kubeconfigFile, type User } from './users.ts';
import { startVpa, type VpaExtent } from './vpa.ts';

/** What a cluster has beside etcd and an API server. */
export interface ClusterOptions {
  /** The controller manager, the scheduler, and four fake nodes on which every pod runs at once. */
  controllers?: boolean;
  /** A Prometheus that scrapes the nodes (with `controllers`) and a stand-in for kube-state-metrics. */
  prometheus?: boolean;
  /** Default 1. */
  scrapeIntervalSecs?: number;
  /** Knative Serving's CRDs and its real webhook; `controller` adds what turns a Service into pods. */
  knative?: KnativeExtent;
  /** The VerticalPodAutoscaler's CRDs; `controllers` adds what applies it to pods. */
  vpa?: VpaExtent;
  /** cert-manager's CRDs and its controllers, which make Secrets of Certificates and fill in `caBundle`. */
  certManager?: boolean;
  /** The API server writes down every request of the tuner's account in `<folder>/audit.log`, one JSON a line. */
  audit?: boolean;
  /** Keep the folder with logs and data after the end. Default: whether OAAS_TUNER_KEEP_CLUSTER is set. */
  keep?: boolean;
  /** Gets a line for a person whenever something takes its time. */
  say?: (line: string) => void;
}

/** The name of a program of the cluster, and of its log. */
export type ProgramName =
  | 'etcd'
  | 'apiserver'
  | 'controller-manager'
  | 'scheduler'
  | 'kwok'
  | 'prometheus'
  | 'knative-webhook'
  | 'knative-controller'
  | 'vpa-admission-controller'
  | 'vpa-updater'
  | 'cert-manager';

/** A running cluster on loopback. It keeps the process alive until `stop`, and never outlives it. */
export interface Cluster {
  /** Data, keys, kubeconfigs and logs; removed by `stop`. */
  folder: string;
  /** The folder with kubectl and the other programs. */
  bin: string;
  url: string;
  ca: string;
  caFile: string;
  tokens: Record<User, string>;
  /** The admin's kubeconfig file. */
  kubeconfig: string;
  kubeconfigFor: (user: User) => string;
  /** Plain requests to the API server. Default: as admin. */
  api: (user?: User) => Api;
  /** Runs kubectl, as admin unless told otherwise. A failure is a code ≠ 0, not an exception. */
  kubectl: (args: string[], options?: { stdin?: string; user?: User }) => Promise<CommandResult>;
  /** `kubectl apply -f -`; gives what it printed, warnings included; a failure is an exception. */
  apply: (yaml: string, options?: { user?: User }) => Promise<string>;
  prometheusUrl: string;
  /** Writes series, of any age up to a week, into Prometheus. */
  metricsPush: (series: Series[]) => Promise<void>;
  /** Has Prometheus scrape these addresses, too: the tuner's, the API server's own. */
  scrape: (urls: string[]) => void;
  /** What a program has printed. */
  logs: (name: ProgramName) => string;
  /** Kills a program with SIGKILL. */
  kill: (name: ProgramName) => Promise<void>;
  /** Starts a killed one again, on the same port and data, and waits until it is ready. */
  start: (name: ProgramName) => Promise<void>;
  /** SIGSTOP makes a program hang, SIGCONT wakes it. */
  signal: (name: ProgramName, signal: NodeJS.Signals) => void;
  /** The process of a program that runs. */
  pid: (name: ProgramName) => number;
  /** Kills everything and removes the folder. Safe to call twice. */
  stop: () => Promise<void>;
}

/** The parts that have to be there for a cluster: what to ask `available` about before a test decides to run. */
export function partsFor({ controllers, prometheus, knative, vpa, certManager }: ClusterOptions): PartName[] {
  const names: PartName[] = ['apiserver', 'etcd'];
  if (controllers) names.push('controllers', 'kwok');
  if (prometheus) names.push('prometheus');
  if (knative) names.push('knative');
  if (vpa) names.push('vpa');
  if (certManager) names.push('certManager');
  return names;
}

/** Starts a cluster of its own: own folder, own ports, nothing shared but the programs' files. Ready when it returns. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { say = () => {}, keep = Boolean(process.env.OAAS_TUNER_KEEP_CLUSTER) } = options;
  if (options.knative === 'controller' && !options.controllers) {
    throw new Error("knative: 'controller' makes Deployments that nobody would run: it needs controllers: true");
  }
  const bin = await ensureBinaries(partsFor(options), say);
  for (let attempt = 1; ; attempt += 1) {
    const started = performance.now();
    const site = openSite(bin, keep);
    try {
      const parts = await startParts(site, options);
      say(
        `cluster ready in ${((performance.now() - started) / 1_000).toFixed(1)} s: ${parts.plane.url}, ${site.folder}`,
      );
      return clusterOf(site, parts);
    } catch (error) {
      await site.clear();
      if (!(error instanceof PortTakenError) || attempt === 3) throw error;
      say('a port that was free was taken by somebody else; trying again with others…');
    }
  }
}

interface Parts {
  plane: ControlPlane;
  prometheus?: Prometheus;
}

async function startParts(site: Site, options: ClusterOptions): Promise<Parts> {
  const { controllers, prometheus, scrapeIntervalSecs = 1, knative, vpa, certManager, audit = false } = options;
  const plane = await startControlPlane(site, audit);
  const others = [
    knative ? startKnative(site, plane.api, knative) : undefined,
    vpa ? startVpa(site, plane.api, vpa) : undefined,
    certManager ? startCertManager(site, plane.api) : undefined,
  ];
  const observed = async (): Promise<Omit<Parts, 'plane'>> => {
    const kwokUrl = controllers ? await startControllers(site, plane) : undefined;
    return prometheus ? startObserving(site, plane, kwokUrl, scrapeIntervalSecs) : {};
  };
  const [rest] = await Promise.all([observed(), ...others]);
  return { plane, ...rest };
}

/** After the nodes are there: what Prometheus does not find at its first look, it finds seconds later. */
async function startObserving(
  site: Site,
  { api, tokens }: ControlPlane,
  kwokUrl: string | undefined,
  scrapeIntervalSecs: number,
) {
  const kubeStateMetrics = await startKubeStateMetrics(api);
  site.atEnd(kubeStateMetrics.close);
  const prometheus = await startPrometheus(site, {
    kwokUrl,
    kubeStateMetricsUrl: kubeStateMetrics.url,
    scrapeIntervalSecs,
    token: tokens.admin,
  });
  return { prometheus };
}

function clusterOf(site: Site, { plane, prometheus }: Parts): Cluster {
  const { url, ca, caFile, tokens } = plane;
  const apis = new Map<User, Api>([['admin', plane.api]]);
  const kubeconfigFor = (user: User) => kubeconfigFile(site.folder, user);

  function programNamed(name: ProgramName): Program {
    const found = site.programs.find((program) => program.name === name);
    if (found !== undefined) return found;
    const names = site.programs.map((program) => program.name).join(', ');
    throw new Error(`this cluster was started without ${name}; it has ${names}`);
  }

  function theirPrometheus(): Prometheus {
    if (prometheus === undefined) throw new Error('this cluster was started without prometheus: true');
    return prometheus;
  }

  function api(user: User = 'admin'): Api {
    let open = apis.get(user);
    if (open === undefined) {
      open = openApi(url, ca, tokens[user]);
      apis.set(user, open);
      site.atEnd(open.close);
    }
    return open;
  }

  function kubectl(
    args: string[],
    { stdin = '', user = 'admin' }: { stdin?: string; user?: User } = {},
  ): Promise<CommandResult> {
    return run(
      `${site.bin}/kubectl`,
      [`--kubeconfig=${kubeconfigFor(user)}`, `--cache-dir=${site.path('kubectl')}`, ...args],
      stdin,
    );
  }

  async function apply(yaml: string, { user = 'admin' }: { user?: User } = {}): Promise<string> {
    const { code, stdout, stderr } = await kubectl(['apply', '-f', '-'], { stdin: yaml, user });
    if (code !== 0) throw new Error(`kubectl apply as ${user} ended with ${code}:\n${stderr}${stdout}`);
    return stderr + stdout;
  }

  return {
    folder: site.folder,
    bin: site.bin,
    url,
    ca,
    caFile,
    tokens,
    kubeconfig: kubeconfigFor('admin'),
    kubeconfigFor,
    api,
    kubectl,
    apply,
    get prometheusUrl() {
      return theirPrometheus().url;
    },
    metricsPush: (series) => theirPrometheus().push(series),
    scrape: (urls) => theirPrometheus().scrape(urls),
    logs: (name) => programNamed(name).log(),
    kill: (name) => programNamed(name).kill(),
    start: (name) => programNamed(name).start(),
    signal: (name, signal) => programNamed(name).signal(signal),
    pid: (name) => programNamed(name).pid(),
    stop: site.clear,
  };
}
