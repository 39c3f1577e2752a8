/**
 * Prometheus → usage, per workload and container. The long window changes slowly and costs most: it is read as often as the
 * short one is long, in turns, so that the two together always cover everything up to now.
 */
import { createHash } from 'node:crypto';
import { Gi } from '../domain/quantity.ts';
import type { Usage, WindowUsage } from '../domain/usage.ts';
import { type Answer, ask, shardSize } from './ask.ts';
import type { Prometheus, Row } from './prometheus.ts';
import { type QueryOptions, runningQuery, type Statistic, windowQueries } from './queries.ts';
import { type Deployment, nameOf, type Shard } from './shards.ts';

/** A workload as its pods show it in Prometheus. */
export type Target = {
  namespace: string;
  /** e.g. `Deployment/orders` */
  ref: string;
  /** the Deployments that run its pods: its own name, or one per Revision of a Knative Service */
  deployments: string[];
  /** its template leaves something open, so that what its pods have got is worth a look */
  open: boolean;
  /** a Knative Service's Revisions, as far as they have Deployments */
  revisions?: Revision[];
};

export type Revision = { deployment: string; name: string; containerConcurrency: number };

/** Usage by `namespace/ref/container`, and why there is none of a workload, by `namespace/ref`. */
export type Collected = { usage: ReadonlyMap<string, Usage>; troubles: ReadonlyMap<string, string> };

export function usageKey(namespace: string, ref: string, container: string): string {
  return `${namespace}/${ref}/${container}`;
}

/**
 * Looks at all targets, at one evaluation time for all queries, so that they agree with each other.
 *
 * @param now milliseconds since the epoch
 * @throws {PrometheusError} when Prometheus as a whole cannot be read: half a look could lower what it did not see
 */
export type Collector = (targets: Target[], now: number, signal: AbortSignal) => Promise<Collected>;

/** What one look told of a Deployment: statistics by container, and whether it may lack something. */
type Seen = { containers: Map<string, Statistics>; partial: boolean; trouble?: string };
type Statistics = Partial<Record<Statistic, number>>;

export function createCollector(prometheus: Prometheus, options: QueryOptions): Collector {
  /** by `namespace/deployment`: what the long window said, and when it is to be read again (milliseconds) */
  const longs = new Map<string, { seen: Seen; due: number }>();
  const { shortWindowSeconds, longWindowSeconds } = options;
  const size = shardSize(shortWindowSeconds * 1000);

  return async (targets, now, signal) => {
    const all = deploymentsOf(targets);
    const asking = { all, size, prometheus, now, signal };
    const each = async (
      wanted: Deployment[],
      queries: (shard: Shard) => string[],
      tell: (name: string, seen: Seen, one: Deployment) => void,
    ) =>
      ask(wanted, queries, asking, ({ deployments }, answer) => {
        const seen = readAnswer(deployments, answer);
        for (const one of deployments) tell(nameOf(one), seen.get(nameOf(one)) as Seen, one);
      });
    const look = async (wanted: Deployment[], queries: (shard: Shard) => string[]) => {
      const all = new Map<string, Seen>();
      await each(wanted, queries, (name, seen) => all.set(name, seen));
      return all;
    };

    const names = new Set(all.map(nameOf));
    for (const name of longs.keys()) if (!names.has(name)) longs.delete(name);
    const due = all.filter((one) => (longs.get(nameOf(one))?.due ?? now) <= now);
    // Each is kept as soon as it is read, so that a look that runs out of time leaves less to the next one.
    await each(
      due,
      (shard) => windowQueries(shard, longWindowSeconds, options, true),
      (name, seen, one) => {
        const again = seen.partial || seen.trouble !== undefined ? 0 : shortWindowSeconds * 1000;
        // All are read at the first look; from then on by turns.
        longs.set(name, { seen, due: now + again * (longs.has(name) ? 1 : turnOf(one.namespace)) });
      },
    );
    const shorts = await look(all, (shard) => windowQueries(shard, shortWindowSeconds, options, false));
    const open = deploymentsOf(targets.filter((target) => target.open));
    const running = await look(open, (shard) => [runningQuery(shard, options)]);

    const usage = new Map<string, Usage>();
    const troubles = new Map<string, string>();
    for (const { namespace, ref, deployments } of targets) {
      const looks = deployments.map((deployment): Looks => {
        const name = nameOf({ namespace, name: deployment });
        const [short, long] = [shorts.get(name), longs.get(name)];
        const trouble = short?.trouble ?? long?.seen.trouble;
        if (trouble !== undefined) troubles.set(`${namespace}/${ref}`, trouble);
        // It has appeared since the long window was read.
        if (long && short && short.containers.size > long.seen.containers.size) long.due = now;
        return { short, long: long?.seen, running: running.get(name) };
      });
      for (const [container, found] of usageOf(looks)) usage.set(usageKey(namespace, ref, container), found);
    }
    return { usage, troubles };
  };
}

/** More than any container uses. What is in use is never undercut, so a number beyond would reach a workload as it is. */
const MOST_BYTES = 1024 * Gi;
const BYTES = ['p95', 'max', 'oom', 'rss'];

/** By `namespace/deployment`. */
function readAnswer(deployments: Deployment[], { rows, partial, trouble }: Answer): Map<string, Seen> {
  const mine = new Map<string, Seen>();
  for (const one of deployments) {
    mine.set(nameOf(one), { containers: new Map(), partial, ...(trouble !== undefined && { trouble }) });
  }
  for (const row of rows) addRow(mine, row);
  return mine;
}

function addRow(mine: Map<string, Seen>, { labels, value }: Row): void {
  const { namespace = '', workload = '', container = '', statistic = '' } = labels;
  const seen = mine.get(nameOf({ namespace, name: workload }));
  // Nothing measured is not the same as nothing used.
  if (value === 0) return;
  if (seen && BYTES.includes(statistic) && value > MOST_BYTES) {
    seen.partial = true;
    return;
  }
  const containers = seen?.containers;
  const statistics = containers?.get(container) ?? {};
  statistics[statistic as Statistic] = value;
  containers?.set(container, statistics);
}

/** What was seen of one Deployment. */
type Looks = Record<'short' | 'long' | 'running', Seen | undefined>;

/** One workload's containers, from all that was seen of its Deployments: several only for a Knative Service. */
function* usageOf(looks: Looks[]): Generator<[string, Usage]> {
  const all = looks.flatMap(({ short, long, running }) => [short, long, running].filter((seen) => seen !== undefined));
  const partial = all.some((seen) => seen.partial);
  for (const name of new Set(all.flatMap(({ containers }) => [...containers.keys()]))) {
    const of = (which: keyof Looks) => looks.flatMap((look) => look[which]?.containers.get(name) ?? []);
    const usage: Usage = { partial };
    for (const window of ['short', 'long'] as const) {
      const statistics = of(window);
      const whole = statistics.filter(isWhole);
      if (whole.length > 0) usage[window] = windowOf(whole.reduce(together));
      // A window that lacks one of its statistics (NaN, say, was no number) would look like little use.
      const isBroken = (one: Statistics) =>
        !isWhole(one) && Object.keys(one).some((key) => key !== 'oom' && key !== 'kills');
      if (statistics.some(isBroken)) usage.partial = true;
      const { oom, rss, kills } = statistics.reduce(together, {});
      if (oom !== undefined) usage.oomLimit = Math.max(oom, usage.oomLimit ?? 0);
      if (rss !== undefined) usage.rss = rss;
      if (kills !== undefined) usage.kills = Math.round(kills);
    }
    const { request, limit } = of('running').reduce(together, {});
    if (request !== undefined || limit !== undefined) {
      usage.running = { ...(request !== undefined && { request }), ...(limit !== undefined && { limit }) };
    }
    yield [name, usage];
  }
}

type Whole = Statistics & Record<'sum' | 'count' | 'p95' | 'max' | 'samples', number>;

function isWhole(statistics: Statistics): statistics is Whole {
  return (['sum', 'count', 'p95', 'max', 'samples'] as const).every((key) => statistics[key] !== undefined);
}

function windowOf({ sum, count, p95, max, samples }: Whole): WindowUsage {
  return { avg: sum / count, p95, max, samples };
}

const COUNTED: Statistic[] = ['sum', 'count', 'kills'];

/** Of two Deployments of one workload: their samples and kills count together, and of everything else the largest decides. */
function together<T extends Statistics>(one: T, other: T): T {
  const both: Statistics = { ...one };
  for (const [key, value] of Object.entries(other) as [Statistic, number][]) {
    const mine = one[key] ?? 0;
    both[key] = COUNTED.includes(key) ? mine + value : Math.max(mine, value);
  }
  return both as T;
}

function deploymentsOf(targets: Target[]): Deployment[] {
  return targets.flatMap(({ namespace, deployments }) => deployments.map((name) => ({ namespace, name })));
}

/** When in its turn a namespace is read, from 0 to 1: the same for all of its workloads, and spread over namespaces. */
export function turnOf(namespace: string): number {
  return createHash('sha256').update(namespace).digest().readUInt32BE(0) / 2 ** 32;
}
