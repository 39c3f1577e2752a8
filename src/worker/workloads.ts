/** What the cluster holds, as a cycle needs it: records with their workloads, and the LimitRanges around them. */
import { asWritten, readBook } from '../admit/book.ts';
import { leaveAlone, type RecordKind } from '../admit/scope.ts';
import type { Revision, Target } from '../collect/usage.ts';
import { at, type Json, type JsonObject, textAt } from '../domain/json.ts';
import { parseQuantity, readBytes } from '../domain/quantity.ts';
import type { RecordResource, Tuning } from '../domain/record.ts';
import {
  bytesOf,
  FIELDS,
  HARD_LIMIT,
  kindOf,
  memoryOf,
  ownerOf,
  type Pair,
  QUEUE_PROXY,
  tunedContainers,
  workloadRef,
} from '../domain/workload.ts';
import type { Range } from '../recommend/step.ts';
import { createRecordStore } from '../store/records.ts';

/** A tuned container, what its template says now, and what it would say without us. Bytes. */
export type LiveContainer = {
  name: string;
  current: Pair<number>;
  written: Pair<number>;
  /** an init container that restarts always (KEP-753); VPA 1.8 knows none (AEP-8905 is a proposal) */
  nativeSidecar: boolean;
};
export type Workload = Target & {
  name: string;
  containers: LiveContainer[];
  /** the Deployment that makes pods of the template as it is now; a Knative Service has none before its first Revision */
  newest?: string;
  /** how many pods it wants */
  replicas: number;
  /** as it was listed */
  object: JsonObject;
};
export type OwnedWorkloads = { record: RecordResource; tuning: Tuning; workloads: Workload[] };

/** The label by which Knative marks the Deployments of a Service's Revisions. */
const KNATIVE_SERVICE_LABEL = 'serving.knative.dev/service';
const KNATIVE_REVISION_LABEL = 'serving.knative.dev/revision';

/**
 * @param objects Deployments and Knative Services that carry the owner label
 * @param revisionDeployments Deployments that Knative made, for the pods of each Service
 */
export function byRecord(
  records: RecordResource[],
  objects: JsonObject[],
  revisionDeployments: JsonObject[],
  kind: RecordKind,
): OwnedWorkloads[] {
  const store = createRecordStore();
  store.replace(records);
  const owned = new Map<string, OwnedWorkloads>();
  for (const record of records) {
    const { namespace, name } = record.metadata;
    const tuning = store.get(namespace, name);
    if (tuning) owned.set(`${namespace}/${name}`, { record, tuning, workloads: [] });
  }
  const deploymentsOf = Map.groupBy(revisionDeployments, (deployment) =>
    [textAt(deployment, 'metadata', 'namespace'), textAt(deployment, 'metadata', 'labels', KNATIVE_SERVICE_LABEL)].join(
      '/',
    ),
  );
  for (const object of objects) {
    const namespace = textAt(object, 'metadata', 'namespace');
    const tuning = store.get(namespace, ownerOf(object) ?? '');
    if (!tuning || leaveAlone(object, namespace, kind)) continue;
    owned.get(`${namespace}/${tuning.name}`)?.workloads.push(readWorkload(object, namespace, deploymentsOf));
  }
  return [...owned.values()];
}

function readWorkload(object: JsonObject, namespace: string, deploymentsOf: Map<string, JsonObject[]>): Workload {
  const kind = kindOf(object) ?? 'Deployment';
  const name = textAt(object, 'metadata', 'name');
  const deployments = kind === 'Deployment' ? [object] : (deploymentsOf.get(`${namespace}/${name}`) ?? []);
  const replicas = deployments.map((deployment) => Number(at(deployment, 'spec', 'replicas') ?? 1));
  const latest = textAt(object, 'status', 'latestCreatedRevisionName');
  const newest =
    kind === 'Deployment'
      ? object
      : deployments.find((one) => textAt(one, 'metadata', 'labels', KNATIVE_REVISION_LABEL) === latest);
  const book = readBook(object);
  const containers = tunedContainers(object).map(({ name, json, pointer }) => ({
    name,
    current: currentMemory(memoryOf(json)),
    written: bytesOf(asWritten(json, book?.get(name))),
    nativeSidecar: pointer.includes('/initContainers/'),
  }));
  return {
    namespace,
    name,
    ref: workloadRef(kind, name),
    deployments: deployments.map((deployment) => textAt(deployment, 'metadata', 'name')),
    containers,
    replicas: replicas.reduce((sum, count) => sum + count, 0),
    object,
    ...(kind === 'KnativeService' && { revisions: deployments.map(revisionOf) }),
    open: containers.some(({ current }) => FIELDS.some((field) => current[field] === undefined)),
    ...(newest && { newest: textAt(newest, 'metadata', 'name') }),
  };
}

/** A Revision, as the Deployment that Knative made of it shows it: its hard limit is told to its queue-proxy. */
function revisionOf(deployment: JsonObject): Revision {
  const [containers, metadata] = [at(deployment, 'spec', 'template', 'spec', 'containers'), deployment.metadata];
  const variables = (Array.isArray(containers) ? containers : []).flatMap((container) => {
    const env = at(container, 'env');
    return textAt(container, 'name') === QUEUE_PROXY && Array.isArray(env) ? env : [];
  });
  const hard = variables.find((one) => textAt(one, 'name') === HARD_LIMIT);
  return {
    deployment: textAt(metadata, 'name'),
    name: textAt(metadata, 'labels', KNATIVE_REVISION_LABEL),
    containerConcurrency: Number(textAt(hard, 'value')),
  };
}

/** In bytes. A container with a limit and no request gets the limit as its request (API server defaulting of pods). */
export function currentMemory(values: Pair<Json>): Pair<number> {
  const current = bytesOf(values);
  if (current.request === undefined && current.limit !== undefined) current.request = current.limit;
  return current;
}

/** What the namespace's LimitRanges give to a container that names no memory (bytes); of several any one may be first. */
export function defaultsOf(limitRanges: JsonObject[], namespace: string): Pair<number> {
  const defaults: Pair<number> = {};
  for (const limit of containerLimits(limitRanges, namespace)) {
    const [request, most] = [
      readBytes(at(limit, 'defaultRequest', 'memory')),
      readBytes(at(limit, 'default', 'memory')),
    ];
    if (request !== undefined) defaults.request ??= request;
    if (most !== undefined) defaults.limit ??= most;
  }
  return defaults;
}

/** What a pod of the template gets: a limit alone is the request, too, before the namespace's defaults fill the gaps. */
export function inPod(template: Pair<number>, defaults: Pair<number>): Pair<number> {
  return template.limit === undefined ? { ...defaults, ...template } : { request: template.limit, ...template };
}

/** The tightest memory bounds for containers that a namespace's LimitRanges set. */
export function rangeOf(limitRanges: JsonObject[], namespace: string): Range {
  const range: Range = {};
  for (const limit of containerLimits(limitRanges, namespace)) {
    const [min, max] = [readBytes(at(limit, 'min', 'memory')), readBytes(at(limit, 'max', 'memory'))];
    // A quantity without a unit, which the API server spells its own way: 1.5 is stored as 1500m.
    const ratio = Number(parseQuantity(at(limit, 'maxLimitRequestRatio', 'memory')) ?? 0n) / 1e9;
    if (min !== undefined) range.min = Math.max(min, range.min ?? 0);
    if (max !== undefined) range.max = Math.min(max, range.max ?? max);
    if (ratio > 0) range.maxLimitRequestRatio = Math.min(ratio, range.maxLimitRequestRatio ?? ratio);
  }
  return range;
}

function containerLimits(limitRanges: JsonObject[], namespace: string): Json[] {
  return limitRanges
    .filter((limitRange) => at(limitRange, 'metadata', 'namespace') === namespace)
    .flatMap((limitRange): Json[] => {
      const limits = at(limitRange, 'spec', 'limits');
      return Array.isArray(limits) ? limits : [];
    })
    .filter((limit) => at(limit, 'type') === 'Container');
}
