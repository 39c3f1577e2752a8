/** What stands around a workload and bounds its rollouts: other autoscalers, pauses, quotas. */
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { readBytes } from '../domain/quantity.ts';
import type { Hold } from '../domain/waits.ts';
import { FIELDS, isPaused, type Pair } from '../domain/workload.ts';

/** As the cluster holds them. */
export type Around = {
  namespaces: JsonObject[];
  autoscalers: JsonObject[];
  /** `undefined` where the cluster does not serve them */
  verticalAutoscalers: JsonObject[] | undefined;
  quotas: JsonObject[];
  /** the tuner's own namespace is paused, and with it the whole cluster */
  allPaused?: boolean;
};

/**
 * What stands around the workloads of one namespace: found once, not searched for each of ten thousand workloads.
 *
 * @param own the tuner's own namespace
 */
export function aroundBy(
  { namespaces, autoscalers, verticalAutoscalers, quotas }: Around,
  own: string,
): (namespace: string) => Around {
  const homeOf = (one: JsonObject) => textAt(one, 'metadata', 'namespace');
  const homes = Map.groupBy(namespaces, (one) => textAt(one, 'metadata', 'name'));
  const [horizontal, bounds] = [Map.groupBy(autoscalers, homeOf), Map.groupBy(quotas, homeOf)];
  const vertical = verticalAutoscalers && Map.groupBy(verticalAutoscalers, homeOf);
  const allPaused = (homes.get(own) ?? []).some(isPaused);
  return (namespace) => ({
    allPaused,
    namespaces: homes.get(namespace) ?? [],
    autoscalers: horizontal.get(namespace) ?? [],
    verticalAutoscalers: vertical && (vertical.get(namespace) ?? []),
    quotas: bounds.get(namespace) ?? [],
  });
}

/** What holds refer to: a workload, with the Deployments that run its pods. */
type Held = { namespace: string; name: string; ref: string; deployments: string[]; containers: { name: string }[] };

/** The recommender whose VerticalPodAutoscalers are ours. */
const OWN_RECOMMENDER = 'oaas-tuner';

/** @returns why the workload is observed only, with the name of what is in the way */
export function holdOf(
  workload: Held & { object: JsonObject },
  record: unknown,
  { namespaces, autoscalers, verticalAutoscalers, allPaused = false }: Around,
): { reason: Hold; detail: string } | undefined {
  const { namespace } = workload;
  const home = namespaces.find((one) => textAt(one, 'metadata', 'name') === namespace);
  const where = isPaused(workload.object)
    ? 'workload'
    : isPaused(record)
      ? 'record'
      : isPaused(home)
        ? 'namespace'
        : allPaused
          ? "tuner's own namespace"
          : '';
  if (where !== '') return { reason: 'paused', detail: `on the ${where}` };
  const near = (one: JsonObject) => textAt(one, 'metadata', 'namespace') === namespace;
  const hpa = autoscalers.find(
    (one) => near(one) && targets(at(one, 'spec', 'scaleTargetRef'), workload) && onMemory(one),
  );
  if (hpa) return { reason: 'hpa-on-memory', detail: textAt(hpa, 'metadata', 'name') };
  const vpa = verticalAutoscalers?.find(
    (one) => near(one) && targets(at(one, 'spec', 'targetRef'), workload) && isActive(one) && setsMemory(one, workload),
  );
  if (vpa) return { reason: 'other-vpa', detail: textAt(vpa, 'metadata', 'name') };
  return undefined;
}

/** A Knative Service is scaled through the Deployments of its Revisions. */
function targets(reference: unknown, { ref, name, deployments }: Held): boolean {
  const [kind, target] = [textAt(reference, 'kind'), textAt(reference, 'name')];
  if (kind === 'Deployment') return deployments.includes(target);
  return kind === 'Service' && ref.startsWith('KnativeService/') && target === name;
}

/** Utilization is relative to the request; a metric by `averageValue` does not mind what we do. */
function onMemory(autoscaler: JsonObject): boolean {
  return listAt(autoscaler, 'spec', 'metrics').some((metric) => {
    const source = at(metric, 'resource') ?? at(metric, 'containerResource');
    return textAt(source, 'name') === 'memory' && textAt(source, 'target', 'type') === 'Utilization';
  });
}

function isActive(autoscaler: JsonObject): boolean {
  const ours = listAt(autoscaler, 'spec', 'recommenders').some((one) => textAt(one, 'name') === OWN_RECOMMENDER);
  return !ours && textAt(autoscaler, 'spec', 'updatePolicy', 'updateMode') !== 'Off';
}

/** A VerticalPodAutoscaler can be for cpu only, or spare containers. */
function setsMemory(autoscaler: JsonObject, { containers }: Held): boolean {
  const policies = listAt(autoscaler, 'spec', 'resourcePolicy', 'containerPolicies');
  return containers.some(({ name }) => {
    const policy = [name, '*'].map((key) => policies.find((one) => textAt(one, 'containerName') === key)).find(Boolean);
    const resources = at(policy, 'controlledResources');
    return textAt(policy, 'mode') !== 'Off' && (!Array.isArray(resources) || resources.includes('memory'));
  });
}

/** The names under which a ResourceQuota counts memory. */
const COUNTED: Required<Pair<string[]>> = { request: ['requests.memory', 'memory'], limit: ['limits.memory'] };

/** Scopes that the pods of a Deployment are in: they have memory requests, and no deadline. */
const OUR_SCOPES = ['NotTerminating', 'NotBestEffort'];

/** By namespace, what its tightest ResourceQuotas have left, in bytes; below 0 where they are overdrawn. */
export function headroomOf(quotas: JsonObject[]): Map<string, Pair<number>> {
  const headroom = new Map<string, Pair<number>>();
  for (const quota of quotas) {
    const scopes = listAt(quota, 'spec', 'scopes');
    const others =
      asObject(at(quota, 'spec', 'scopeSelector')) || scopes.some((one) => !OUR_SCOPES.includes(String(one)));
    if (others) continue;
    const namespace = textAt(quota, 'metadata', 'namespace');
    const room = headroom.get(namespace) ?? {};
    headroom.set(namespace, room);
    for (const field of FIELDS) {
      for (const key of COUNTED[field]) {
        const hard = readBytes(at(quota, 'status', 'hard', key));
        const left = hard === undefined ? undefined : hard - (readBytes(at(quota, 'status', 'used', key)) ?? 0);
        if (left !== undefined) room[field] = Math.min(left, room[field] ?? left);
      }
    }
  }
  return headroom;
}

function listAt(value: unknown, ...keys: string[]) {
  const list = at(value, ...keys);
  return Array.isArray(list) ? list : [];
}
