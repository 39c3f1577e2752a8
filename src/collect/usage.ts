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
  const { shortWindowSeconds, longWindowSeconds } = options;
  const size = shardSize(shortWindowSeconds * 1000);

  return async (targets, now, signal) => {
    const all = deploymentsOf(targets);
    const asking = { all, size, prometheus, now, signal };
    const look = async (wanted: Deployment[], queries: (shard: Shard) => string[]) => {
      const seen = new Map<string, Seen>();
      await ask(wanted, queries, asking, ({ namespace, name }, one) => seen.set(nameOf({ namespace, name }), one));
      return seen;
    };

    const names = new Set(all.map(nameOf));
    for (const name of longs.keys()) if (!names.has(name)) longs.delete(name);
    const due = all.filter((one) => (longs.get(nameOf(one))?.due ?? now) <= now);
    // Each is kept as soon as it is read, so that a look that runs out of time leaves less to the next one.
    await ask(
      due,
      (shard) => windowQueries(shard, longWindowSeconds, options, true),
      asking,
      (one, seen) => {
        const name = nameOf(one);
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

/** How many Deployments a question may be about: half of what was too much, and after a while twice as many again. */
type ShardSize = { most(now: number): number; tooMuch(count: number, now: number): void };

/** @param everyMs how long a size is kept; what was too much may have been a bad hour of the server */
function shardSize(everyMs: number): ShardSize {
  let most = MOST;
  let changed = Number.NEGATIVE_INFINITY;
  return {
    most(now) {
      if (most < MOST && now >= changed + everyMs) {
        most = Math.min(MOST, most * 2);
        changed = now;
      }
      return most;
    },
    tooMuch(count, now) {
      most = Math.min(most, Math.ceil(count / 2));
      changed = now;
    },
  };
}

type Asking = {
  /** what could be asked about at all */
  all: Deployment[];
  size: ShardSize;
  prometheus: Prometheus;
  now: number;
  signal: AbortSignal;
};

/** Asks shard by shard, in smaller ones where one is too much. @param tell hears of each Deployment when its shard is answered */
async function ask(
  wanted: Deployment[],
  queries: (shard: Shard) => string[],
  asking: Asking,
  tell: (one: Deployment, seen: Seen) => void,
): Promise<void> {
  const { all, size, now } = asking;
  for (let round = shardsOf(wanted, all, size.most(now)); round.length > 0; ) {
    const tooMuch: Shard[] = [];
    const queue = [...round];
    const lane = async () => {
      for (let shard = queue.shift(); shard; shard = queue.shift()) {
        const { deployments } = shard;
        const seen = await askShard(shard, queries(shard), asking);
        if (seen) for (const one of deployments) tell(one, seen.get(nameOf(one)) as Seen);
        else {
          size.tooMuch(deployments.length, now);
          tooMuch.push(...halves(shard, all));
        }
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
}

/** @returns what was seen, by `namespace/deployment`; `undefined` when the shard is too much and can be made smaller */
async function askShard(
  { deployments }: Shard,
  queries: string[],
  { prometheus, now, signal }: Asking,
): Promise<Map<string, Seen> | undefined> {
  const mine = new Map(
    deployments.map((one): [string, Seen] => [nameOf(one), { containers: new Map(), partial: false }]),
  );
  try {
    for (const promql of queries) {
      const { rows, partial } = await prometheus.query(promql, now, signal);
      if (partial) for (const seen of mine.values()) seen.partial = true;
      for (const row of rows) addRow(mine, row);
    }
  } catch (error) {
    if (!(error instanceof PrometheusError && error.fate === 'too-much')) throw error;
    if (deployments.length > 1) return undefined;
    for (const seen of mine.values()) seen.trouble = error.message;
  }
  return mine;
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
      const isBroken = (one: Statistics) => !isWhole(one) && Object.keys(one).some((key) => key !== 'oom');
      if (statistics.some(isBroken)) usage.partial = true;
      const { oom, rss } = statistics.reduce(together, {});
      if (oom !== undefined) usage.oomLimit = Math.max(oom, usage.oomLimit ?? 0);
      if (rss !== undefined) usage.rss = rss;
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

/** Of two Deployments of one workload: their samples count together, and of everything else the largest decides. */
function together<T extends Statistics>(one: T, other: T): T {
  const both: Statistics = { ...one };
  for (const [key, value] of Object.entries(other) as [Statistic, number][]) {
    const mine = one[key] ?? 0;
    both[key] = key === 'sum' || key === 'count' ? mine + value : Math.max(mine, value);
  }
  return both as T;
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
