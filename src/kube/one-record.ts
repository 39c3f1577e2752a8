/** One record and its workloads, read only: as `npm run explain` needs them, with no more rights than a person has. */
import { CustomObjectsApi, type KubeConfig, loadAllYaml } from '#kubernetes';
import { asObject, at, type JsonObject } from '../domain/json.ts';
import { ApiError, attempt, type ResourceType } from './api.ts';

/** @throws {ApiError} */
export async function readObject(
  config: KubeConfig,
  { group, version, plural }: ResourceType,
  namespace: string,
  name: string,
): Promise<JsonObject> {
  const custom = config.makeApiClient(CustomObjectsApi);
  return attempt(`get ${plural} ${namespace}/${name}`, () =>
    custom.getNamespacedCustomObject({ group, version, plural, namespace, name }),
  );
}

/** Of one namespace; empty where the cluster does not serve that type. @throws {ApiError} */
export async function listObjects(
  config: KubeConfig,
  { group, version, plural, kind }: ResourceType & { kind: string },
  namespace: string,
  labelSelector: string,
): Promise<JsonObject[]> {
  const custom = config.makeApiClient(CustomObjectsApi);
  try {
    const list = await attempt(`list ${plural}.${group} in ${namespace}`, () =>
      custom.listNamespacedCustomObject({ group, version, plural, namespace, labelSelector }),
    );
    // Items of a built-in list carry neither.
    return objectsOf(list.items).map((item) => ({ apiVersion: `${group}/${version}`, kind, ...item }));
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return [];
    throw error;
  }
}

/**
 * The objects of a manifest: one or several documents, YAML or JSON, lists opened.
 * @throws {Error} for what is no YAML
 */
export function readManifests(text: string): JsonObject[] {
  // YAML knows moments, JSON does not: what the API server would have sent.
  const documents: unknown[] = JSON.parse(JSON.stringify(loadAllYaml(text)));
  return objectsOf(documents).flatMap((one) => (Array.isArray(at(one, 'items')) ? objectsOf(one.items) : [one]));
}

function objectsOf(list: unknown): JsonObject[] {
  return Array.isArray(list) ? list.filter((item) => asObject(item)) : [];
}
