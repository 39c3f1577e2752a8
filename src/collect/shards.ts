/**
 * What is asked for in one query: the pods of some Deployments, as whole namespaces where that is possible. A query that
 * is too much for the server is asked again in smaller shards.
 */

/** A Deployment as its pods show it: its own, or the one that runs a Knative Revision. */
export type Deployment = { namespace: string; name: string; revision?: string };

export type Shard = {
  deployments: Deployment[];
  namespaces: string[];
  /** how the names of their pods begin; empty where the namespaces are read whole */
  prefixes: string[];
};

/** Pods' names are cut (`generateName` keeps 58 characters of `<name>-<hash>-`): what is longer would match none. */
export const LONGEST_PREFIX = 45;

/**
 * @param wanted what is to be asked for
 * @param all the Deployments whose data we could read at all: it decides whether a namespace is read whole
 * @param most Deployments in one shard
 */
export function shardsOf(wanted: Deployment[], all: Deployment[], most: number): Shard[] {
  const everything = Map.groupBy(all, ({ namespace }) => namespace);
  const shards: Shard[] = [];
  let open: Shard | undefined;
  for (const [namespace, deployments] of Map.groupBy(wanted, ({ namespace }) => namespace)) {
    const others = everything.get(namespace) ?? deployments;
    if (deployments.length === others.length && deployments.length <= most) {
      if (!open || open.deployments.length + deployments.length > most) {
        open = { deployments: [], namespaces: [], prefixes: [] };
        shards.push(open);
      }
      open.deployments.push(...deployments);
      open.namespaces.push(namespace);
    } else {
      const sorted = deployments.toSorted(byName);
      for (let start = 0; start < sorted.length; start += most) {
        const part = sorted.slice(start, start + most);
        shards.push({ deployments: part, namespaces: [namespace], prefixes: prefixesOf(part, others) });
      }
    }
  }
  return shards;
}

/** The shard in two. */
export function halves({ deployments }: Shard, all: Deployment[]): Shard[] {
  return shardsOf(deployments, all, Math.ceil(deployments.length / 2));
}

/**
 * Pods of a Deployment are named after it (an adopted ReplicaSet's are not: they are seen where a namespace is read whole).
 * The shortest beginnings that tell these names from the others, so that a thousand names do not become a matcher of a
 * thousand alternatives. A name that begins another one of them may read that one's pods, too; rows tell whose they are.
 */
function prefixesOf(part: Deployment[], all: Deployment[]): string[] {
  const wanted = new Set(part.map(({ name }) => name));
  const sorted = all.toSorted(byName).map(({ name }) => name);
  const prefixes = new Set<string>();
  let before = '';
  const nextOthers = othersAfter(sorted, wanted);
  for (const [index, name] of sorted.entries()) {
    if (wanted.has(name)) {
      const shared = Math.max(sharedStart(name, before), sharedStart(name, nextOthers[index] ?? ''));
      prefixes.add(name.slice(0, Math.min(shared + 1, LONGEST_PREFIX)));
    } else before = name;
  }
  return [...prefixes];
}

/** For each name the first one after it that is not wanted: in sorted order nobody unwanted is more like it. */
function othersAfter(sorted: string[], wanted: Set<string>): string[] {
  const after: string[] = [];
  let next = '';
  for (let index = sorted.length - 1; index >= 0; index -= 1) {
    after[index] = next;
    const name = sorted[index] ?? '';
    if (!wanted.has(name)) next = name;
  }
  return after;
}

function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}

function byName(a: Deployment, b: Deployment): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** Unique in the cluster. */
export function nameOf({ namespace, name }: Deployment): string {
  return `${namespace}/${name}`;
}
