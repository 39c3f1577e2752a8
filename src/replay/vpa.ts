/**
 * VerticalPodAutoscaler 1.7.1 with its defaults, for one container in a pod of its own (autoscaler 55c37cd5,
 * `vertical-pod-autoscaler/pkg`; the file beside each number). Written from what it does; none of it is its code.
 */
import { Mi } from '../domain/quantity.ts';
import type { Pair } from '../domain/workload.ts';
import type { Policy } from './replay.ts';
import { createClock } from './window.ts';

const DAY_MS = 86_400_000;

/** Exponential buckets: the first 10 MB wide, each 5 % wider than the one before (`recommender/model/aggregations_config.go`). */
const FIRST_BUCKET = 1e7;
const GROWTH = 1.05;
/** One peak a day (`--memory-aggregation-interval`), which weighs half a day later (`--memory-histogram-decay-half-life`). */
const INTERVAL_MS = DAY_MS;
const HALF_LIFE_MS = DAY_MS;
/** A bucket that weighs less is empty: 0.001 × the smallest weight of a sample, 0.1 (the same file). */
const EPSILON = 0.0001;
/** `--target-memory-percentile`, and the bounds' (`recommender/config/config.go`). */
const PERCENTILE = { lower: 0.5, target: 0.9, upper: 0.95 };
/** `--recommendation-margin-fraction` */
const MARGIN = 1.15;
/** `--pod-recommendation-min-memory-mb`, of the whole pod */
const FLOOR = 250 * Mi;
/** `--oom-bump-up-ratio`, `--oom-min-bump-up-bytes` */
const OOM_RATIO = 1.2;
const OOM_BYTES = 100 * Mi;
/** `--in-recommendation-bounds-eviction-lifetime-threshold`, `--pod-update-threshold`, `--evict-after-oom-threshold` (`updater/config/config.go`). */
const SETTLED_MS = 12 * 3_600_000;
const UPDATE_RATIO = 0.1;
const QUICK_OOM_MS = 10 * 60_000;
/** `--recommender-interval`, `--updater-interval` */
const LOOP_SECONDS = 60;

/** @returns the bucket that holds the amount (bytes) */
function bucketOf(bytes: number): number {
  return bytes < FIRST_BUCKET ? 0 : Math.floor(Math.log((bytes * (GROWTH - 1)) / FIRST_BUCKET + 1) / Math.log(GROWTH));
}

/** @returns where the bucket ends (bytes): that is what a percentile in it is taken for */
function endOf(bucket: number): number {
  return (FIRST_BUCKET * (GROWTH ** (bucket + 1) - 1)) / (GROWTH - 1);
}

/** What the recommender says (bytes). */
export type Recommendation = { lower: number; target: number; upper: number };

export type Recommender = {
  /** @param at milliseconds since the epoch */
  sample(at: number, bytes: number): void;
  /** An OOM kill of a container with this request (bytes). */
  kill(at: number, request: number): void;
  recommend(): Recommendation | undefined;
};

/** Peaks of the days so far → what fits them (`recommender/model/container.go`, `recommender/logic/recommender.go`). */
export function createRecommender(): Recommender {
  const weights = new Map<number, number>();
  let origin: number | undefined;
  let [first, last, samples] = [0, 0, 0];
  let intervalEnd = 0;
  let [usagePeak, killPeak] = [0, 0];
  let percentiles: [lower: number, target: number, upper: number] | undefined;

  /** Newer peaks weigh more; a weight that is relative to the first needs no ageing. */
  function weigh(bytes: number, sign: 1 | -1): void {
    const weight = sign * 2 ** ((intervalEnd - (origin ?? 0)) / HALF_LIFE_MS);
    const [bucket, standing] = [bucketOf(bytes), weights.get(bucketOf(bytes)) ?? 0];
    weights.set(bucket, standing + weight < EPSILON ? 0 : standing + weight);
    percentiles = undefined;
  }

  function add(at: number, bytes: number, isKill: boolean): void {
    origin ??= at;
    intervalEnd ||= at;
    const peak = Math.max(usagePeak, killPeak);
    if (at < intervalEnd) {
      if (peak === 0 || bytes <= peak) return;
      weigh(peak, -1);
    } else {
      intervalEnd += (Math.floor((at - intervalEnd) / INTERVAL_MS) + 1) * INTERVAL_MS;
      [usagePeak, killPeak] = [0, 0];
    }
    weigh(bytes, 1);
    if (isKill) killPeak = bytes;
    else usagePeak = bytes;
  }

  function percentile(share: number): number {
    const filled = [...weights].filter(([, weight]) => weight >= EPSILON).sort(([a], [b]) => a - b);
    const threshold = share * filled.reduce((sum, [, weight]) => sum + weight, 0);
    let sum = 0;
    for (const [bucket, weight] of filled) {
      sum += weight;
      if (sum >= threshold) return endOf(bucket);
    }
    return endOf(filled.at(-1)?.[0] ?? 0);
  }

  return {
    sample(at, bytes) {
      if (samples === 0) first = at;
      last = at;
      samples += 1;
      add(at, bytes, false);
    },
    kill(at, request) {
      const used = Math.max(request, usagePeak);
      add(at, Math.max(used + OOM_BYTES, used * OOM_RATIO), true);
    },
    recommend() {
      if (samples === 0) return undefined;
      // Days of history, as many as there are samples for at one a minute (`recommender/logic/estimator.go`).
      const days = Math.min((last - first) / DAY_MS, samples / (24 * 60));
      percentiles ??= [percentile(PERCENTILE.lower), percentile(PERCENTILE.target), percentile(PERCENTILE.upper)];
      const [lower, target, upper] = percentiles;
      return {
        lower: Math.max(lower * MARGIN * (1 + 0.001 / days) ** -2, FLOOR),
        target: Math.max(target * MARGIN, FLOOR),
        upper: Math.max(upper * MARGIN * (1 + 1 / days), FLOOR),
      };
    },
  };
}

/**
 * The updater acts at once where the request is out of bounds, or after an OOM kill soon after a start, else on a pod that
 * has run for long with a request that is off by a tenth (`updater/priority/update_priority_calculator.go`). The limit
 * keeps the manifest's proportion (`utils/vpa/limit_and_request_scaling.go`); where the manifest is not known, that is 1.
 * What it decides runs from the next sample on: no eviction budget and no two replicas at least, which would hold it back.
 */
export const vpa: Policy = {
  name: 'VPA',
  begin(manifest) {
    const recommender = createRecommender();
    const loop = createClock(LOOP_SECONDS);
    let podStarted: number | undefined;
    let containerStarted = 0;
    let quickKill = false;

    return ({ at, bytes, killedAt, running }) => {
      if (podStarted === undefined) podStarted = containerStarted = at;
      recommender.sample(at, bytes);
      if (killedAt !== undefined) {
        recommender.kill(at, running.request ?? 0);
        quickKill = at - containerStarted < QUICK_OOM_MS;
        containerStarted = at;
      }
      const said = loop(at) ? recommender.recommend() : undefined;
      const request = said && Math.round(said.target);
      if (!said || request === undefined) return running;
      const from = running.request;
      const outside = from === undefined || from < said.lower || from > said.upper;
      const off = from === undefined ? Number.POSITIVE_INFINITY : Math.abs(request - from) / from;
      const acts = outside || (quickKill && off > 0) || (at - podStarted >= SETTLED_MS && off >= UPDATE_RATIO);
      if (!acts) return running;
      podStarted = containerStarted = at;
      quickKill = false;
      return { request, ...limitFor(request, manifest) };
    };
  },
};

function limitFor(request: number, manifest: Pair<number>): Pair<number> {
  if (manifest.request === undefined && manifest.limit === undefined) return { limit: request };
  if (manifest.limit === undefined) return {};
  return { limit: Math.round((request * manifest.limit) / (manifest.request ?? manifest.limit)) };
}
