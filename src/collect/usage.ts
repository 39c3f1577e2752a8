/**
 * Prometheus → usage, per workload and container. The long window changes slowly and costs most: it is read as often as the
 * short one is long, in turns, so that the two together always cover everything up to now.
 */
import { createHash } from 'node:crypto';
import { Gi } from '../domain/quantity.ts';
import type { Usage, WindowUsage } from '../domain/usage.ts';
import { type Prometheus, PrometheusError, type Row } from './prometheus.ts';
import { type QueryOptions, runningQuery, type Statistic, windowQueries } from './queries.ts';
import { type Deployment, halves, type Shard, shardsOf } from './shards.ts';

/** A workload as its pods show it in Prometheus. */
export type Target = {
  namespace: string;
  /** e.g. `Deployment/orders` */
  ref: string;
  /** the Deployments that run its pods: its own name, or one per Revision of a Knative Service */
  deployments: string[];
  /** its template leaves something open, so that what its pods have got is worth a look */
  open: boolean;
};

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

/** Queries at once: Prometheus runs 20 for everybody (`--query.max-concurrency`). */
const AT_ONCE = 3;

/** Deployments in one query, as long as the server does not find that too much. */
const MOST = 2500;

/** What one look told of a Deployment: statistics by container, and whether it may lack something. */
type Seen = { containers: Map<string, Statistics>; partial: boolean; trouble?: string };
type Statistics = Partial<Record<Statistic, number>>;

export function createCollector(prometheus: Prometheus, options: QueryOptions): Collector {
  /** by `namespace/deployment`: what the long window said, and when it is to be read again (milliseconds) */
  const longs = new Map<string, { seen: Seen; due: number }>();
  let most = MOST;

  return async (targets, now, signal) => {
    const all = deploymentsOf(targets);
    const look = async (wanted: Deployment[], queries: (shard: Shard) => string[]) => {
      const seen = new Map(wanted.map((one) => [nameOf(one), { containers: new Map(), partial: false } as Seen]));
      most = await ask(shardsOf(wanted, all, most), { seen, queries, all, most, prometheus, now, signal });
      return seen;
    };

    const names = new Set(all.map(nameOf));
    for (const name of longs.keys()) if (!names.has(name)) longs.delete(name);
    const due = all.filter((one) => (longs.get(nameOf(one))?.due ?? now) <= now);
    const { shortWindowSeconds, longWindowSeconds } = options;
    const read = await look(due, (shard) => windowQueries(shard, longWindowSeconds, options, true));
    for (const one of due) {
      const [name, seen] = [nameOf(one), read.get(nameOf(one)) as Seen];
      const again = seen.partial || seen.trouble !== undefined ? 0 : shortWindowSeconds * 1000;
      // All are read at the first look; from then on by turns.
      longs.set(name, { seen, due: now + again * (longs.has(name) ? 1 : turnOf(one.namespace)) });
    }
    const shorts = await look(all, (shard) => windowQueries(shard, shortWindowSeconds, options, false));
    const open = deploymentsOf(targets.filter((target) => target.open));
    const running = await look(open, (shard) => [runningQuery(shard, options)]);

    const usage = new Map<string, Usage>();
    const troubles = new Map<string, string>();
    for (const { namespace, ref, deployments } of targets) {
      for (const deployment of deployments) {
        const name = nameOf({ namespace, name: deployment });
        const [short, long] = [shorts.get(name), longs.get(name)];
        const trouble = short?.trouble ?? long?.seen.trouble;
        if (trouble !== undefined) troubles.set(`${namespace}/${ref}`, trouble);
        // It has appeared since the long window was read.
        if (long && short && short.containers.size > long.seen.containers.size) long.due = now;
        const looks = { short, long: long?.seen, running: running.get(name) };
        for (const [container, found] of usageOf(looks)) {
          const key = usageKey(namespace, ref, container);
          usage.set(key, largest(usage.get(key), found));
        }
      }
    }
    return { usage, troubles };
  };
}

type Asking = {
  seen: Map<string, Seen>;
  queries(shard: Shard): string[];
  all: Deployment[];
  most: number;
  prometheus: Prometheus;
  now: number;
  signal: AbortSignal;
};

/** Asks shard by shard, in smaller ones where one is too much. @returns how many Deployments a query may have from now on */
async function ask(shards: Shard[], asking: Asking): Promise<number> {
  let { most } = asking;
  for (let round = shards; round.length > 0; ) {
    const tooMuch: Shard[] = [];
    const queue = [...round];
    const lane = async () => {
      for (let shard = queue.shift(); shard; shard = queue.shift()) {
        if (await askShard(shard, asking)) continue;
        most = Math.min(most, Math.ceil(shard.deployments.length / 2));
        tooMuch.push(...halves(shard, asking.all));
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, lane));
    } finally {
      // After a failure: nobody would look at the other answers, and a Prometheus in trouble is left in peace.
      queue.length = 0;
    }
    round = tooMuch;
  }
  return most;
}

/** @returns whether the shard is done with: `false` when it is too much and can be made smaller */
async function askShard(shard: Shard, asking: Asking): Promise<boolean> {
  const mine = new Map(shard.deployments.map((one) => [nameOf(one), asking.seen.get(nameOf(one)) as Seen]));
  try {
    for (const promql of asking.queries(shard)) {
      const { rows, partial } = await asking.prometheus.query(promql, asking.now, asking.signal);
      if (partial) for (const seen of mine.values()) seen.partial = true;
      for (const row of rows) addRow(mine, row);
    }
    return true;
  } catch (error) {
    if (!(error instanceof PrometheusError && error.fate === 'too-much')) throw error;
    if (shard.deployments.length > 1) return false;
    for (const seen of mine.values()) seen.trouble = error.message;
    return true;
  }
}

/** More than any container uses. What is in use is never undercut, so a number beyond would reach a workload as it is. */
const MOST_BYTES = 1024 * Gi;
const BYTES = ['p95', 'max', 'oom', 'rss'];

function addRow(mine: Map<string, Seen>, { labels, value }: Row): void {
  const { namespace = '', workload = '', container = '', statistic = '' } = labels;
  const seen = mine.get(nameOf({ namespace, name: workload }));
  if (seen && BYTES.includes(statistic) && value > MOST_BYTES) {
    seen.partial = true;
    return;
  }
  const containers = seen?.containers;
  const statistics = containers?.get(container) ?? {};
  statistics[statistic as Statistic] = value;
  containers?.set(container, statistics);
}

/** One Deployment's containers, from all that was seen of it. */
function* usageOf(looks: Record<'short' | 'long' | 'running', Seen | undefined>): Generator<[string, Usage]> {
  const { short, long, running } = looks;
  const names = new Set([short, long, running].flatMap((seen) => [...(seen?.containers.keys() ?? [])]));
  for (const name of names) {
    const usage: Usage = { partial: [short, long, running].some((seen) => seen?.partial) };
    for (const [window, seen] of [
      ['short', short],
      ['long', long],
    ] as const) {
      const statistics = seen?.containers.get(name) ?? {};
      const found = windowOf(statistics);
      if (found) usage[window] = found;
      // A window that lacks one of its statistics (NaN, say, was no number) would look like little use.
      else if (Object.keys(statistics).some((key) => key !== 'oom' && key !== 'kills')) usage.partial = true;
      if (statistics.oom !== undefined) usage.oomLimit = Math.max(statistics.oom, usage.oomLimit ?? 0);
      if (statistics.rss !== undefined) usage.rss = statistics.rss;
      if (statistics.kills !== undefined) usage.kills = Math.round(statistics.kills);
    }
    const { request, limit } = running?.containers.get(name) ?? {};
    if (request !== undefined || limit !== undefined) {
      usage.running = { ...(request !== undefined && { request }), ...(limit !== undefined && { limit }) };
    }
    yield [name, usage];
  }
}

function windowOf({ sum, count, p95, max, samples }: Statistics): WindowUsage | undefined {
  if (sum === undefined || count === undefined || p95 === undefined || max === undefined || samples === undefined) {
    return undefined;
  }
  return { avg: sum / count, p95, max, samples };
}

/** Of several Revisions of one Knative Service the largest of each number decides. */
function largest(one: Usage | undefined, other: Usage): Usage {
  if (!one) return other;
  const merged: Usage = { ...one, ...other, partial: one.partial || other.partial };
  for (const key of ['short', 'long', 'running'] as const) {
    if (one[key] && other[key]) Object.assign(merged, { [key]: eachLargest(one[key], other[key]) });
  }
  for (const key of ['oomLimit', 'rss'] as const) {
    if (one[key] !== undefined) merged[key] = Math.max(one[key], other[key] ?? 0);
  }
  if (one.kills !== undefined) merged.kills = one.kills + (other.kills ?? 0);
  return merged;
}

function eachLargest<T extends Partial<Record<string, number>>>(one: T, other: T): T {
  const keys = Object.keys({ ...one, ...other });
  return Object.fromEntries(keys.map((key) => [key, Math.max(one[key] ?? 0, other[key] ?? 0)])) as T;
}

function deploymentsOf(targets: Target[]): Deployment[] {
  return targets.flatMap(({ namespace, deployments }) => deployments.map((name) => ({ namespace, name })));
}

function nameOf({ namespace, name }: Deployment): string {
  return `${namespace}/${name}`;
}

/** When in its turn a namespace is read, from 0 to 1: the same for all of its workloads, and spread over namespaces. */
function turnOf(namespace: string): number {
  return createHash('sha256').update(namespace).digest().readUInt32BE(0) / 2 ** 32;
}
