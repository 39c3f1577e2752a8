/** Workloads, records and reviews as the tests need them, and the API server's part of an admission. */

import jsonpatch from 'fast-json-patch';
import type { Context } from '../../src/admit/decide.ts';
import type { AdmissionRequest } from '../../src/admit/request.ts';
import { type Answer, answer } from '../../src/admit/review.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { OWN_BOUNDS } from '../../src/domain/knative-rules.ts';
import type { Tuning } from '../../src/domain/record.ts';
import { APPLIED_ANNOTATION, memoryOf, type Pair } from '../../src/domain/workload.ts';

/** A container with memory as a person writes it; a side that is `undefined` is not in the manifest. */
export function container(name: string, request?: Json, limit?: Json, more: JsonObject = {}): JsonObject {
  const resources: JsonObject = {};
  if (request !== undefined) resources.requests = { memory: request };
  if (limit !== undefined) resources.limits = { memory: limit };
  return { name, image: `registry/${name}:1`, resources, ...more };
}

export function deployment(containers: JsonObject[], podSpec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'orders', namespace: 'shop', labels: { 'oaas.io/owner': 'orders' } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'orders' } },
      template: { metadata: { labels: { app: 'orders' } }, spec: { containers, ...podSpec } },
    },
  };
}

/** A Knative Service as a person writes it: none of Knative's defaults. */
export function service(containers: JsonObject[], podSpec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'orders', namespace: 'shop', labels: { 'oaas.io/owner': 'orders' } },
    spec: { template: { spec: { containers, ...podSpec } } },
  };
}

/** What the record says; by default nothing. */
export function tuning(more: Partial<Tuning> = {}): Tuning {
  return {
    namespace: 'shop',
    name: 'orders',
    enabled: undefined,
    enforce: true,
    paused: false,
    overrides: {},
    applied: {},
    concurrency: { overrides: { annotations: {} }, applied: {} },
    problems: [],
    ...more,
  };
}

/** A record whose worker decided 224Mi/336Mi for the container `function`. */
export function applied(request = '224Mi', limit = '336Mi', more: Partial<Tuning> = {}): Tuning {
  return tuning({
    applied: {
      'Deployment/orders/function': { request, limit },
      'KnativeService/orders/function': { request, limit },
      'KnativeService/orders/user-container': { request, limit },
    },
    ...more,
  });
}

export const OWN_ACCOUNT = 'system:serviceaccount:oaas-system:oaas-tuner';

/** The gate is open and the profile enables tuning, unless the test says otherwise. */
export function context(record: Tuning | undefined, more: Partial<Context> = {}): Context {
  return {
    tuning: record,
    storeReady: true,
    gates: { enforcement: true, enabledByDefault: true },
    namespacePaused: false,
    record: { group: 'oaas.io', kind: 'DeploymentRecord' },
    ownAccount: OWN_ACCOUNT,
    knative: OWN_BOUNDS,
    ...more,
  };
}

export function create(object: JsonObject | undefined, more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: '7f0b2c1e',
    operation: 'CREATE',
    namespace: 'shop',
    username: 'ann',
    subResource: '',
    object,
    oldObject: undefined,
    ...more,
  };
}

export function update(
  object: JsonObject | undefined,
  oldObject: JsonObject | undefined,
  more: Partial<AdmissionRequest> = {},
): AdmissionRequest {
  return create(object, { operation: 'UPDATE', oldObject, ...more });
}

export type Admitted = Answer & { object: JsonObject; warnings: string[] };

/** Asks, and applies the patch that was sent, by an implementation that is not ours. Inputs are frozen: a change throws. */
export function admit(request: AdmissionRequest, more: Context): Admitted {
  const answered = answer(freeze(request), freeze(more));
  const { patch, warnings = [] } = answered.review.response;
  const operations = patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString('utf8'));
  return { ...answered, object: patched(request.object ?? {}, operations), warnings };
}

/** `object` after a JSON Patch, applied strictly: a missing parent or an absent target throws. */
export function patched(object: JsonObject, operations: Answer['operations']): JsonObject {
  const travelled = JSON.parse(JSON.stringify(object));
  return jsonpatch.applyPatch(travelled, structuredClone(operations), true, true, false).newDocument;
}

/** Creates the workload as the API server would, and returns what it stores. */
export function created(manifest: JsonObject, record: Tuning | undefined, more: Partial<Context> = {}): JsonObject {
  return admit(create(manifest), context(record, more)).object;
}

/** The same manifest applied again: the object keeps the annotations that the manifest does not name. */
export function reapplied(manifest: JsonObject, live: JsonObject): JsonObject {
  return edited(manifest, (object) => {
    object.metadata.annotations = { ...annotationsOf(live), ...object.metadata.annotations };
  });
}

function annotationsOf(live: JsonObject): JsonObject {
  return ((live.metadata as JsonObject).annotations ?? {}) as JsonObject;
}

/** A copy of the object with an edit. Tests know the shape of their own objects. */
// biome-ignore lint/suspicious/noExplicitAny: an edit reaches deep into plain JSON
export function edited(object: JsonObject, edit: (copy: any) => void): JsonObject {
  const copy = structuredClone(object);
  edit(copy);
  return copy;
}

/** Memory of every container, sidecars and init containers too, as `request/limit`. */
export function memory(object: JsonObject): Record<string, string> {
  // biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
  const { containers = [], initContainers = [] } = (object as any).spec.template.spec;
  return Object.fromEntries([...containers, ...initContainers].map((one) => [one.name, pair(memoryOf(one))]));
}

function pair({ request, limit }: Pair<Json>): string {
  return `${request ?? '-'}/${limit ?? '-'}`;
}

/** What our annotation remembers; `undefined` when the object does not carry it. */
export function remembered(object: JsonObject): unknown {
  const text = annotationsOf(object)[APPLIED_ANNOTATION];
  return typeof text === 'string' ? JSON.parse(text) : undefined;
}

export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const key of Object.keys(value)) freeze((value as Record<string, unknown>)[key]);
  }
  return value;
}
