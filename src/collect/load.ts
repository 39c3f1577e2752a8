/**
 * Prometheus → the requests of each Knative Service. As with memory the long window is read as often as the short one is
 * long; with it come the moments from which a container's memory is told apart by its requests.
 */
import type { Load, LoadWindow, Point } from '../domain/usage.ts';
import { type Answer, type Asking, ask, shardSize } from './ask.ts';
import { DIALECTS, type Dialect } from './dialects.ts';
import { dialectsQuery, type LoadStatistic, loadQuery, type PointStatistic, pointsQuery } from './load-queries.ts';
import type { Prometheus } from './prometheus.ts';
import type { QueryOptions } from './queries.ts';
import { type Deployment, nameOf } from './shards.ts';
import { type Revision, type Target, turnOf } from './usage.ts';

/** By `namespace/ref`; `absent`: Prometheus has no series of Knative at all. */
export type Loads = { loads: ReadonlyMap<string, Load>; troubles: ReadonlyMap<string, string>; absent: boolean };

/** @throws {PrometheusError} when Prometheus as a whole cannot be read */
export type LoadCollector = (targets: Target[], now: number, signal: AbortSignal) => Promise<Loads>;

export type LoadOptions = QueryOptions & { knativeMetrics: Dialect | 'auto' };

type Statistics = Partial<Record<LoadStatistic, number>>;
/** What one look told of a Revision. `points`: by moment (seconds) and, for bytes, container. */
type Seen = { statistics: Statistics; partial: boolean; trouble?: string; points: Map<number, Moment> };
type Moment = { inflightThen?: number; stableThen?: number; bytes: Map<string, number> };

export function createLoadCollector(prometheus: Prometheus, options: LoadOptions): LoadCollector {
  /** by `namespace/deployment`: what the long window said, and when it is to be read again (milliseconds) */
  const longs = new Map<string, { seen: Seen; due: number }>();
  const { shortWindowSeconds, longWindowSeconds, knativeMetrics } = options;
  const size = shardSize(shortWindowSeconds * 1000);
  let known: readonly Dialect[] = [];

  /** Those that are there now, else those that were: while everything is scaled to zero there are none. */
  async function dialects(now: number, signal: AbortSignal): Promise<readonly Dialect[]> {
    const wanted = knativeMetrics === 'auto' ? DIALECTS : [knativeMetrics];
    for (const seconds of [shortWindowSeconds, ...(known.length > 0 ? [] : [longWindowSeconds])]) {
      const { rows } = await prometheus.query(dialectsQuery(wanted, seconds, options), now, signal);
      const found = wanted.filter((dialect) => rows.some(({ labels }) => labels.dialect === dialect));
      if (found.length > 0) return found;
    }
    return known;
  }

  return async (targets, now, signal) => {
    const services = targets.filter(({ revisions }) => revisions !== undefined);
    const troubles = new Map<string, string>();
    if (services.length === 0) return { loads: new Map(), troubles, absent: false };
    known = await dialects(now, signal);
    if (known.length === 0) return { loads: new Map(), troubles, absent: true };

    const wanted = deploymentsOf(services);
    const names = new Set(wanted.map(nameOf));
    for (const name of longs.keys()) if (!names.has(name)) longs.delete(name);
    const asking: Asking = { all: deploymentsOf(targets), size, prometheus, now, signal };
    const due = wanted.filter((one) => (longs.get(nameOf(one))?.due ?? now) <= now);
    const longQueries = (shard: Parameters<typeof loadQuery>[0]) =>
      known.flatMap((dialect) => [
        loadQuery(shard, longWindowSeconds, dialect, options),
        pointsQuery(shard, dialect, options),
      ]);
    await ask(due, longQueries, asking, ({ deployments }, answer) => {
      for (const [name, seen] of readAnswer(deployments, answer)) {
        const again = seen.partial || seen.trouble !== undefined ? 0 : shortWindowSeconds * 1000;
        longs.set(name, { seen, due: now + again * (longs.has(name) ? 1 : turnOf(name.slice(0, name.indexOf('/')))) });
      }
    });
    const shorts = new Map<string, Seen>();
    const shortQueries = (shard: Parameters<typeof loadQuery>[0]) =>
      known.map((dialect) => loadQuery(shard, shortWindowSeconds, dialect, options));
    await ask(wanted, shortQueries, asking, ({ deployments }, answer) => {
      for (const [name, seen] of readAnswer(deployments, answer)) shorts.set(name, seen);
    });

    const loads = new Map<string, Load>();
    for (const { namespace, ref, revisions = [] } of services) {
      const key = `${namespace}/${ref}`;
      const looks = revisions.map((revision) => {
        const name = nameOf({ namespace, name: revision.deployment });
        const [short, long] = [shorts.get(name), longs.get(name)];
        const trouble = short?.trouble ?? long?.seen.trouble;
        if (trouble !== undefined) troubles.set(key, trouble);
        // It has taken its first requests since the long window was read.
        if (long && short && isSeen(short) && !isSeen(long.seen)) long.due = now;
        return { revision, short, long: long?.seen };
      });
      loads.set(key, loadOf(looks));
    }
    return { loads, troubles, absent: false };
  };
}

function readAnswer(deployments: Deployment[], { rows, partial, trouble }: Answer): Map<string, Seen> {
  const mine = new Map<string, Seen>();
  const byRevision = new Map<string, Seen>();
  for (const one of deployments) {
    const seen: Seen = { statistics: {}, partial, points: new Map(), ...(trouble !== undefined && { trouble }) };
    mine.set(nameOf(one), seen);
    if (one.revision !== undefined) byRevision.set(`${one.namespace}/${one.revision}`, seen);
  }
  for (const { labels, value, at } of rows) {
    const { namespace, revision, workload, statistic = '', container } = labels;
    const seen = revision ? byRevision.get(`${namespace}/${revision}`) : mine.get(`${namespace}/${workload}`);
    if (!seen) continue;
    if (!isPoint(statistic)) {
      const key = statistic as LoadStatistic;
      seen.statistics[key] = Math.max(value, seen.statistics[key] ?? 0);
      continue;
    }
    const moment: Moment = seen.points.get(at) ?? { bytes: new Map() };
    seen.points.set(at, moment);
    if (statistic === 'bytes') moment.bytes.set(container ?? '', value);
    else moment[statistic] = value;
  }
  return mine;
}

function isPoint(statistic: string): statistic is PointStatistic {
  return statistic === 'bytes' || statistic.endsWith('Then');
}

type Looked = { revision: Revision; short: Seen | undefined; long: Seen | undefined };

/** Of several Revisions the largest of each number decides, and all of them give points; their rates add up. */
function loadOf(looks: Looked[]): Load {
  const load: Load = { partial: looks.some(({ short, long }) => short?.partial || long?.partial), points: {} };
  for (const window of ['short', 'long'] as const) {
    const each = looks.flatMap(({ revision, [window]: seen }) => windowOf(seen, revision));
    if (each.length > 0) load[window] = each.reduce(largest);
  }
  const points: Record<string, Point[]> = Object.create(null);
  for (const { long } of looks) {
    for (const { inflightThen, stableThen, bytes } of long?.points.values() ?? []) {
      const requests = inflightThen ?? stableThen;
      if (requests === undefined) continue;
      for (const [container, used] of bytes) {
        points[container] ??= [];
        points[container].push({ requests, bytes: used });
      }
    }
  }
  return { ...load, points };
}

/** What its queue-proxy says of each pod counts more than the autoscaler's average, which has waiting requests in it. */
function windowOf(seen: Seen | undefined, { containerConcurrency: hard }: Revision): LoadWindow[] {
  const { inflight, stable, held, queued, rate, inflightLooks, stableLooks } = seen?.statistics ?? {};
  const concurrency = inflight ?? stable;
  if (concurrency === undefined) return [];
  // Those in flight are held, too, so only what is beyond the hard limit waits (knative/serving `pkg/queue/breaker.go`).
  const waiting = [held === undefined ? [] : [Math.max(0, held - hard)], queued === undefined ? [] : [queued]].flat();
  const window: LoadWindow = {
    concurrency: hundredths(concurrency),
    samples: (inflight === undefined ? stableLooks : inflightLooks) ?? 0,
  };
  if (waiting.length > 0) window.queue = hundredths(Math.max(...waiting));
  if (rate !== undefined) window.rate = hundredths(rate);
  return [window];
}

function largest(one: LoadWindow, other: LoadWindow): LoadWindow {
  const window: LoadWindow = {
    concurrency: Math.max(one.concurrency, other.concurrency),
    samples: Math.max(one.samples, other.samples),
  };
  const [queue, rate] = [one.queue ?? other.queue, one.rate ?? other.rate];
  if (queue !== undefined) window.queue = Math.max(queue, other.queue ?? 0);
  if (rate !== undefined) window.rate = hundredths(one.rate === undefined ? rate : rate + (other.rate ?? 0));
  return window;
}

function isSeen({ statistics }: Seen): boolean {
  return statistics.inflight !== undefined || statistics.stable !== undefined;
}

function deploymentsOf(targets: Target[]): Deployment[] {
  return targets.flatMap(({ namespace, deployments, revisions = [] }) =>
    deployments.map((name) => {
      const revision = revisions.find(({ deployment }) => deployment === name)?.name;
      return { namespace, name, ...(revision !== undefined && { revision }) };
    }),
  );
}

/** As status shows it: what the rules see is what a person reads. */
function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
