/**
 * Decided values → the VerticalPodAutoscaler that says them, for one Deployment: spec and status as VPA's own recommender
 * would leave them, so that VPA's updater and admission controller apply them (`pkg/apis/autoscaling.k8s.io/v1`).
 */
import { at, type Json, type JsonObject } from '../domain/json.ts';
import { formatBytes } from '../domain/quantity.ts';
import type { RecordResource } from '../domain/record.ts';
import { bytesOf, FIELDS, type Pair } from '../domain/workload.ts';
import { type Said, sayThroughVpa } from '../recommend/vpa.ts';

export const VPA_GROUP = 'autoscaling.k8s.io';
export const VPA_VERSION = 'v1';

/** By this name VPA's own recommender knows that an object is not its own. */
export const RECOMMENDER = 'oaas-tuner';

/** What marks a VerticalPodAutoscaler as made by us; only those are ever changed or removed. */
export const OURS = { 'app.kubernetes.io/managed-by': RECOMMENDER };

/** What VPA is told about one container. */
export type VpaContainer = {
  name: string;
  /** what pods may be made from (bytes): the template as it is, and as it would be without anything of ours */
  templates: Pair<number>[];
  /** what a person fixed, as the person wrote it */
  override: Pair<string>;
  applied?: { request: number; limit: number };
  recommended?: { request: number; limit: number };
};

/**
 * @param deployment name of the Deployment whose pods are meant; for a Knative Service one of its Revisions'
 * @param previous the object as it stands in the cluster, if it does
 * @param now milliseconds since the epoch
 * @returns `undefined` when there is nothing to say about any container
 */
export function vpaOf(
  record: RecordResource,
  deployment: string,
  containers: VpaContainer[],
  previous: JsonObject | undefined,
  now: number,
): JsonObject | undefined {
  const said = containers.flatMap((container) => {
    const target = saidOf(container)?.request;
    return target === undefined ? [] : [{ name: container.name, target, uncapped: uncapped(container, target) }];
  });
  if (said.length === 0) return undefined;
  const { namespace, name, uid } = record.metadata;
  return {
    apiVersion: `${VPA_GROUP}/${VPA_VERSION}`,
    kind: 'VerticalPodAutoscaler',
    metadata: {
      namespace,
      name: vpaName(deployment),
      labels: { ...OURS },
      // With the record it goes, too. Not as its controller, and holding up nobody's deletion: that would need more rights.
      ownerReferences: [{ apiVersion: record.apiVersion, kind: record.kind, name, uid: uid ?? '' }],
    },
    spec: {
      targetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment },
      recommenders: [{ name: RECOMMENDER }],
      updatePolicy: { updateMode: 'InPlaceOrRecreate' },
      resourcePolicy: {
        containerPolicies: [
          ...said.map(({ name }) => ({
            ...{ containerName: name, mode: 'Auto' },
            ...{ controlledResources: ['memory'], controlledValues: 'RequestsAndLimits' },
          })),
          { containerName: '*', mode: 'Off' },
        ],
      },
    },
    status: {
      recommendation: {
        containerRecommendations: said.map(({ name, target, uncapped }) => ({
          containerName: name,
          target: memory(target),
          // No tolerance: what was decided has passed the hysteresis, and is meant for every pod.
          lowerBound: memory(target),
          upperBound: memory(target),
          uncappedTarget: memory(uncapped),
        })),
      },
      conditions: [
        {
          ...{ type: 'RecommendationProvided', status: 'True', lastTransitionTime: providedSince(previous, now) },
          ...{ reason: 'AppliedByRecord', message: `applied in ${record.kind} ${name}, whose status says why` },
        },
      ],
    },
  };
}

/** One that a person made is hardly called like this. */
export function vpaName(deployment: string): string {
  return `oaas-tuner-${deployment}`;
}

/** Whether it says the same: only then it need not be written. What the API server or VPA's webhook adds is no difference. */
export function saysTheSame(wanted: JsonObject, stands: JsonObject): boolean {
  return holds(stands, wanted);
}

function holds(stands: Json | undefined, wanted: Json | undefined): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(stands) && stands.length === wanted.length && wanted.every((one, i) => holds(stands[i], one));
  }
  if (typeof wanted !== 'object' || wanted === null) return stands === wanted;
  return Object.entries(wanted).every(([key, value]) => holds(at(stands, key), value));
}

/**
 * What VPA is told about a container, if anything. An override is said as the template carries it, because then the
 * proportion gives back the template's limit, too, exactly. Before the template carries it nothing is said: the override
 * comes with the next update of the workload, and until then its pods are left alone.
 */
export function saidOf({ templates, override, applied }: VpaContainer): Said | undefined {
  const fixed = bytesOf(override);
  const fields = FIELDS.filter((field) => fixed[field] !== undefined);
  if (fields.length === 0) return applied && sayThroughVpa(applied, templates);
  const { request, limit } = templates[0] ?? {};
  if (request === undefined || fields.some((field) => fixed[field] !== { request, limit }[field])) return undefined;
  const reason = 'through VPA as the template has it, because of the override';
  return limit === undefined ? { request, reason } : { request, limit, reason };
}

/** What the rules alone would have it be, without steps, bounds and proportion. */
function uncapped({ override, recommended }: VpaContainer, target: number): number {
  return Object.keys(override).length > 0 ? target : (recommended?.request ?? target);
}

function memory(bytes: number): JsonObject {
  return { memory: formatBytes(bytes) };
}

function providedSince(previous: JsonObject | undefined, now: number): string {
  const since = at(previous, 'status', 'conditions', 0, 'lastTransitionTime');
  return typeof since === 'string' ? since : new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}
