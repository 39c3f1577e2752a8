/**
 * Which series a query reads: by name, by a shard's namespaces and pods, and by what a person set.
 *
 * An exporter that is scraped without `honorLabels` has its own labels renamed to `exported_namespace`, `exported_pod`
 * and `exported_container` by Prometheus, because the target's come first. Both forms are read, each series in one of
 * them; a label that no series has costs a look into the index.
 */
import type { SeriesName, SeriesNames } from '../domain/series.ts';
import type { Shard } from './shards.ts';

export type SeriesOptions = {
  /** matchers that pick the container series of cAdvisor, e.g. `container!="POD",image!=""` */
  matchers: string;
  /** matchers that every series has to satisfy, e.g. `cluster="prod"`; may be empty */
  selector: string;
  seriesNames: SeriesNames;
};

const EXPORTED = ['namespace', 'pod', 'container', 'replicaset'] as const;

/**
 * @param matchers of this series, e.g. `resource="memory"`
 * @param over what is done with the selector, e.g. a function over a range
 * @returns an expression with the labels `namespace`, `pod`, `container` (or `replicaset`) wherever they came from
 */
export function series(
  name: SeriesName,
  matchers: string,
  shard: Shard,
  options: SeriesOptions,
  over: (selector: string) => string,
): string {
  const select = (...more: string[]) =>
    over(`${renamesOf(options)(name)}{${[matchers, options.selector, ...more].filter(Boolean).join(',')}}`);
  const namespaces = `namespace=~"${shard.namespaces.join('|')}"`;
  const own = select(namespaces, podsOf(name, shard), 'exported_namespace=""');
  const renamed = EXPORTED.reduce(
    (expression, label) => `label_replace(${expression}, "${label}", "$1", "exported_${label}", "(.+)")`,
    select(`exported_${namespaces}`),
  );
  return `(${own} or ${renamed})`;
}

/** Namespaces and names are DNS labels: a dot is all that would need escaping. */
export function podsOf(name: SeriesName, { prefixes }: Shard): string {
  if (prefixes.length === 0) return '';
  const label = name === 'kube_replicaset_owner' ? 'replicaset' : 'pod';
  return `${label}=~"(?:${prefixes.map((prefix) => prefix.replaceAll('.', '[.]')).join('|')}).*"`;
}

/** Under which name this Prometheus keeps a series. */
export function renamesOf({ seriesNames }: Pick<SeriesOptions, 'seriesNames'>): (name: SeriesName) => string {
  return (name) => seriesNames[name] ?? name;
}
