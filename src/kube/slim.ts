/** What is kept of a listed object: ten thousand of them stand in the heap. */
import { asObject, at, type Json, type JsonObject } from '../domain/json.ts';
import { HARD_LIMIT, QUEUE_PROXY } from '../domain/workload.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Of a pod template's spec, and of each of its containers: everything that a decision reads. */
const POD_FIELDS = ['containers', 'initContainers', 'resources', 'containerConcurrency'];
const CONTAINER_FIELDS = ['name', 'image', 'resources', 'restartPolicy'];

/**
 * Takes out what is large and decides nothing: who owns which field, the manifest's copy, and of a pod template all but
 * its containers' names and resources. Changes the object that it is given, which is a third as large after it.
 */
export function slim(object: JsonObject): JsonObject {
  const metadata = asObject(object.metadata);
  delete metadata?.managedFields;
  delete asObject(metadata?.annotations)?.[LAST_APPLIED];
  const template = asObject(asObject(object.spec)?.template);
  const pod = asObject(template?.spec);
  if (!template || !pod) return object;
  const kept = only(pod, POD_FIELDS);
  for (const list of ['containers', 'initContainers']) {
    const containers = kept[list];
    if (Array.isArray(containers)) kept[list] = containers.map(slimContainer);
  }
  template.spec = kept;
  return object;
}

const ADMITTED_FIELDS = ['workload', 'name', 'applied'];

/**
 * Of a listed record what admission reads: the rest of its status is for people, and for the worker. Changes the object
 * that it is given.
 */
export function slimForAdmission(record: JsonObject): JsonObject {
  const recommendations = asObject(at(slim(record), 'status', 'nfr_recommendations'));
  const containers = at(recommendations, 'memory', 'containers');
  if (!recommendations || !Array.isArray(containers)) return record;
  const objects = containers.map(asObject).filter((one) => one !== undefined);
  recommendations.memory = { containers: objects.map((one) => only(one, ADMITTED_FIELDS)) };
  return record;
}

function only(object: JsonObject, fields: string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => fields.includes(key)));
}

function slimContainer(container: Json): Json {
  const object = asObject(container);
  if (!object) return container;
  const kept = only(object, CONTAINER_FIELDS);
  // Knative tells it the Revision's hard limit there, and nowhere else on the Deployment.
  if (object.name === QUEUE_PROXY && Array.isArray(object.env))
    kept.env = object.env.filter((one) => at(one, 'name') === HARD_LIMIT);
  return kept;
}
