/**
 * The PromQL about the requests of Knative's Revisions, for the same shards as memory's, in the words of one dialect: one
 * row per Revision and statistic. A row names its `revision`, or, where a pod's own series do not, the pod's `workload`.
 */
import type { SeriesName } from '../domain/series.ts';
import { formatSeconds } from '../domain/time.ts';
import { type Dialect, WORDS, type Words } from './dialects.ts';
import { byWorkload, largestWorkingSet, named, type QueryOptions, workloads } from './queries.ts';
import { podsOf, renamesOf } from './selectors.ts';
import type { Shard } from './shards.ts';

/**
 * What a row says. Requests of one pod: `inflight` (says its queue-proxy), `stable` (says the autoscaler: the average of
 * the pods), `held` (in flight and waiting together), `queued` (waiting before the pods). Of all pods: `rate`, a second.
 * The others count how often the first two were looked at.
 */
export type LoadStatistic = 'inflight' | 'stable' | 'held' | 'queued' | 'rate' | 'inflightLooks' | 'stableLooks';

/** What a point's row says: the requests of one pod, from either source, or the largest working set in bytes. */
export type PointStatistic = 'inflightThen' | 'stableThen' | 'bytes';

/** So many looks make a short window: often enough for a percentile. */
const LOOKS = 10;

/** How far apart the looks at requests within such a window are (seconds); further in the long one, which is cheaper. */
export function lookEvery(seconds: number, shortWindowSeconds: number): number {
  return Math.max(1, Math.round(seconds === shortWindowSeconds ? seconds / LOOKS : shortWindowSeconds / 2));
}

/** The percentiles of one window. */
export function loadQuery(shard: Shard, seconds: number, dialect: Dialect, options: QueryOptions): string {
  const words = WORDS[dialect];
  const looks = `[${formatSeconds(seconds)}:${formatSeconds(lookEvery(seconds, options.shortWindowSeconds))}]`;
  const p95 = (of: string) => `quantile_over_time(0.95, (${of})${looks})`;
  const count = (of: string) => `count_over_time((${of})${looks})`;
  const range = formatSeconds(seconds);
  const byPod = (form: Form) => [
    named('inflight', p95(inflight(form, words, options))),
    named('inflightLooks', count(inflight(form, words, options))),
    named('held', p95(`max by (${form.pod}) (${form.at(words.held, (selector) => selector)})`)),
  ];
  const rate = (form: Form) => named('rate', total(form, words, words.handled, range));
  const revisions = byRevision(words, shard, options);
  const rows = [
    ofRevision('max', [
      named('stable', p95(stable(revisions, words))),
      named('stableLooks', count(stable(revisions, words))),
      ...(words.queued ? [named('queued', p95(queued(revisions, words, words.queued)))] : []),
      ...byPod(revisions),
    ]),
    ofRevision('sum', [rate(revisions)]),
  ];
  if (words.podsOnly) {
    const bare = byPodAlone(words, shard, options);
    const owners = workloads(shard, range, options);
    rows.push(byWorkload('max', byPod(bare), owners), byWorkload('sum', [rate(bare)], owners));
  }
  return rows.join(' or ');
}

/** Moments of the long window, one for each short window in it: what one pod had to do, and what memory it used. */
export function pointsQuery(shard: Shard, dialect: Dialect, options: QueryOptions): string {
  const words = WORDS[dialect];
  const step = formatSeconds(options.shortWindowSeconds);
  const look = formatSeconds(lookEvery(options.shortWindowSeconds, options.shortWindowSeconds));
  const most = (of: string) => `max_over_time((${of})[${step}:${look}])`;
  const revisions = byRevision(words, shard, options);
  const owners = workloads(shard, step, options);
  const rows = [
    ofRevision('max', [
      named('stableThen', most(stable(revisions, words))),
      named('inflightThen', most(inflight(revisions, words, options))),
    ]),
    byWorkload('max', [named('bytes', largestWorkingSet(shard, step, options))], owners),
  ];
  if (words.podsOnly) {
    const bare = byPodAlone(words, shard, options);
    rows.push(byWorkload('max', [named('inflightThen', most(inflight(bare, words, options)))], owners));
  }
  return `(${rows.join(' or ')})[${formatSeconds(options.longWindowSeconds)}:${step}]`;
}

/** Which dialects Prometheus has within the range: a row for each. */
export function dialectsQuery(dialects: readonly Dialect[], seconds: number, options: QueryOptions): string {
  const range = formatSeconds(seconds);
  const alive = (name: SeriesName) => `last_over_time(${renamesOf(options)(name)}{${options.selector}}[${range}])`;
  return dialects
    .map((dialect) => {
      const { stable, busy } = WORDS[dialect];
      return `label_replace(count(${alive(stable)} or ${alive(busy)}), "dialect", "${dialect}", "", "")`;
    })
    .join(' or ');
}

/** How series are found, and by which labels a pod is told from others. */
type Form = { pod: string; at(name: SeriesName, over: (selector: string) => string): string };

/** Series that name their Revision; `namespace` and `pod` of whoever was scraped give way to the Revision's own. */
function byRevision({ labels }: Words, shard: Shard, options: QueryOptions): Form {
  return {
    pod: 'namespace, revision, pod',
    at(name, over) {
      const namespaces = `${labels.namespace}=~"${shard.namespaces.join('|')}"`;
      const matchers = [namespaces, revisionsOf(shard, labels.revision), `${labels.revision}!=""`, options.selector];
      const selector = `${renamesOf(options)(name)}{${matchers.filter(Boolean).join(',')}}`;
      return (['namespace', 'revision', 'pod'] as const).reduce(
        (expression, label) => `label_replace(${expression}, "${label}", "$1", "${labels[label]}", "(.+)")`,
        over(selector),
      );
    },
  };
}

/** Series of a pod that was scraped: whose it is, its ReplicaSet tells. */
function byPodAlone({ labels }: Words, shard: Shard, options: QueryOptions): Form {
  return {
    pod: 'namespace, pod',
    at(name, over) {
      const namespaces = `namespace=~"${shard.namespaces.join('|')}"`;
      const matchers = [namespaces, podsOf('kube_pod_owner', shard), `${labels.revision}=""`, options.selector];
      return over(`${renamesOf(options)(name)}{${matchers.filter(Boolean).join(',')}}`);
    },
  };
}

/**
 * Requests in flight in each pod: for how many seconds requests were handled in a second (Little's law). It knows no
 * queue, and works without a hard limit, too. Two Prometheus may have scraped the same pod, hence the max.
 */
function inflight(form: Form, words: Words, options: QueryOptions): string {
  const range = formatSeconds(Math.max(1, Math.round(options.shortWindowSeconds / 2)));
  const seconds = total(form, words, words.busy, range);
  return words.unit === 1 ? seconds : `${seconds} / ${words.unit}`;
}

/** What a counter gained a second in each pod, over all answers' codes. */
function total({ pod, at }: Form, { labels }: Words, counter: SeriesName, range: string): string {
  const perCode = `max by (${pod}, ${labels.code}) (${at(counter, (selector) => `rate(${selector}[${range}])`)})`;
  return `sum by (${pod}) (${perCode})`;
}

/** The autoscaler counts the requests of all pods together; it may run more than once, each for its own Revisions. */
function stable({ at }: Form, { stable: requests, pods }: Words): string {
  const of = (name: SeriesName) => `max by (namespace, revision) (${at(name, (selector) => selector)})`;
  return `${of(requests)} / clamp_min(${of(pods)}, 1)`;
}

/** Requests that wait in the activators, for each pod. */
function queued({ at }: Form, { pods }: Words, waiting: SeriesName): string {
  const each = `max by (namespace, revision, pod, instance) (${at(waiting, (selector) => selector)})`;
  const of = `max by (namespace, revision) (${at(pods, (selector) => selector)})`;
  return `sum by (namespace, revision) (${each}) / clamp_min(${of}, 1)`;
}

function ofRevision(aggregate: 'sum' | 'max', values: string[]): string {
  return `${aggregate} by (namespace, revision, statistic) (${values.join(' or ')})`;
}

/** A long Revision's Deployment keeps so many characters of its name (knative/pkg `kmeta.ChildName`). */
const KEPT = 20;

/** Rows tell whose they are, so that matching a few more costs no more than reading them. */
function revisionsOf({ prefixes }: Shard, label: string): string {
  if (prefixes.length === 0) return '';
  const beginnings = prefixes.map((prefix) => prefix.replace(/-d?e?p?l?o?y?m?e?n?t?$/, '').slice(0, KEPT));
  return `${label}=~"(?:${[...new Set(beginnings)].join('|')}).*"`;
}
