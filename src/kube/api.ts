/**
 * The few verbs that oaas-tuner needs, over plain JSON. The custom-objects client is used for built-in groups too: it
 * returns what the server sent, spelled as a watch spells it, without building thousands of typed objects on each list.
 */
import {
  ApiException,
  AuthenticationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  type KubeConfig,
  PatchStrategy,
  setHeaderOptions,
} from '#kubernetes';
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { reason } from '../log.ts';
import { slim } from './slim.ts';

/** A kind of resource, as it stands in the API's path; the core group's name is empty. */
export type ResourceType = { group: string; version: string; plural: string };

/** As people and logs call it: `deployments.apps`. */
export function typeName({ plural, group }: ResourceType): string {
  return `${plural}.${group}`;
}

/** A list as of one resource version. */
export type Listed = { items: JsonObject[]; resourceVersion: string };

export type Api = {
  /**
   * Everything of one type in all namespaces, read in pages; of each object what `keep` leaves.
   * @throws {ApiError}
   */
  list(type: ResourceType, labelSelector?: string, keep?: (object: JsonObject) => JsonObject): Promise<Listed>;
  /** One object, whole. @throws {ApiError} with code 404 when there is none */
  get(type: ResourceType, namespace: string, name: string): Promise<JsonObject>;
  /** What a ConfigMap holds; nothing where there is none. @throws {ApiError} */
  texts(namespace: string, configMap: string): Promise<Record<string, string>>;
  /**
   * Server-side apply of a namespaced object, as the field manager `oaas-tuner`; made where it is not there.
   *
   * @returns its resource version from then on
   * @throws {ApiError}
   */
  apply(type: ResourceType, namespace: string, name: string, body: JsonObject): Promise<string>;
  /** The same of a namespaced object's status. @throws {ApiError} */
  applyStatus(type: ResourceType, namespace: string, name: string, body: JsonObject): Promise<string>;
  /** Deletes one object as it was read; one that is gone already is fine. @throws {ApiError} with code 409 when it has changed */
  remove(type: ResourceType, namespace: string, name: string, resourceVersion: string): Promise<void>;
  createEvent(namespace: string, body: JsonObject): Promise<void>;
  /** The account that these requests are made as, e.g. `system:serviceaccount:oaas-system:oaas-tuner`. */
  account(): Promise<string>;
};

export const NAMESPACES: ResourceType = { group: '', version: 'v1', plural: 'namespaces' };

/** The name under which our fields stand in `managedFields`. */
export const FIELD_MANAGER = 'oaas-tuner';
const PAGE = 500;

/** A refusal by the API server, in its own words; `code` is the HTTP status, 0 when it was not reached. */
export class ApiError extends Error {
  readonly code: number;
  /** after how many seconds the server wants to be asked again, where it says so */
  readonly retryAfter: number | undefined;
  constructor(attempt: string, cause: unknown) {
    // Not as its `cause`: the message tells it already, and the library's own is a dump of headers and body.
    super(`${attempt}: ${describe(cause)}`);
    this.name = 'ApiError';
    this.code = cause instanceof ApiException ? cause.code : 0;
    this.retryAfter = cause instanceof ApiException ? wholeSeconds(cause.headers?.['retry-after']) : undefined;
  }
}

export function createApi(config: KubeConfig): Api {
  const custom = config.makeApiClient(CustomObjectsApi);
  const core = config.makeApiClient(CoreV1Api);
  const authentication = config.makeApiClient(AuthenticationV1Api);

  return {
    async list(type, labelSelector, keep = slim) {
      const { group, version, plural } = type;
      const items: JsonObject[] = [];
      let page: JsonObject | undefined;
      do {
        const next = textAt(page, 'metadata', 'continue');
        const options = {
          limit: PAGE,
          ...(labelSelector !== undefined && { labelSelector }),
          ...(next !== '' && { _continue: next }),
        };
        page = (await attempt(`list ${typeName(type)}`, () =>
          custom.listCustomObjectForAllNamespaces({ group, version, resourcePlural: plural, ...options }),
        )) as JsonObject;
        const apiVersion = group === '' ? version : `${group}/${version}`;
        const kind = textAt(page, 'kind').replace(/List$/, '');
        // Items of a built-in list carry neither; a reader of a single object expects both.
        for (const item of listOf(page?.items)) items.push(keep({ apiVersion, kind, ...item }));
      } while (textAt(page, 'metadata', 'continue') !== '');
      return { items, resourceVersion: textAt(page, 'metadata', 'resourceVersion') };
    },
    async get({ group, version, plural }, namespace, name) {
      return await attempt(`read ${plural} ${namespace}/${name}`, () =>
        custom.getNamespacedCustomObject({ group, version, namespace, plural, name }),
      );
    },
    async texts(namespace, name) {
      try {
        const read = () => core.readNamespacedConfigMap({ namespace, name });
        return (await attempt(`read configmap ${namespace}/${name}`, read)).data ?? {};
      } catch (error) {
        if (error instanceof ApiError && error.code === 404) return {};
        throw error;
      }
    },
    async apply({ group, version, plural }, namespace, name, body) {
      const applied = await attempt(`apply ${plural} ${namespace}/${name}`, () =>
        custom.patchNamespacedCustomObject(
          { group, version, namespace, plural, name, body, fieldManager: FIELD_MANAGER, force: true },
          setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
        ),
      );
      return textAt(applied, 'metadata', 'resourceVersion');
    },
    async applyStatus({ group, version, plural }, namespace, name, body) {
      const applied = await attempt(`apply the status of ${plural} ${namespace}/${name}`, () =>
        custom.patchNamespacedCustomObjectStatus(
          { group, version, namespace, plural, name, body, fieldManager: FIELD_MANAGER, force: true },
          setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
        ),
      );
      return textAt(applied, 'metadata', 'resourceVersion');
    },
    async remove({ group, version, plural }, namespace, name, resourceVersion) {
      const body = { preconditions: { resourceVersion } };
      try {
        await attempt(`delete ${plural} ${namespace}/${name}`, () =>
          custom.deleteNamespacedCustomObject({ group, version, namespace, plural, name, body }),
        );
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 404)) throw error;
      }
    },
    async createEvent(namespace, body) {
      await attempt(`create an Event in ${namespace}`, () =>
        core.createNamespacedEvent({ namespace, body: body as never }),
      );
    },
    async account() {
      const review = await attempt('ask who we are', () => authentication.createSelfSubjectReview({ body: {} }));
      return review.status?.userInfo?.username ?? '';
    },
  };
}

/** Makes a call; its failure says what was attempted. @throws {ApiError} */
export async function attempt<T>(what: string, call: () => Promise<T>): Promise<T> {
  const started = performance.now();
  try {
    return await call();
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError';
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    throw new ApiError(what, late ? new Error(`no answer within ${seconds} s`) : error);
  }
}

function listOf(items: unknown): JsonObject[] {
  return Array.isArray(items) ? items.filter((item) => asObject(item)) : [];
}

/** `Retry-After` may also be a date, which the API server never sends. */
function wholeSeconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The Status message of the answer, not the library's dump of headers and body. */
function describe(error: unknown): string {
  if (error instanceof ApiException) {
    const message = messageOf(error.body);
    return message === undefined ? `HTTP ${error.code}` : `${message} (HTTP ${error.code})`;
  }
  // "fetch failed" says nothing; its cause does.
  return reason(error instanceof Error ? (error.cause ?? error) : error);
}

function messageOf(body: unknown): string | undefined {
  try {
    const message = at(typeof body === 'string' ? JSON.parse(body) : body, 'message');
    return typeof message === 'string' ? message.trim() : undefined;
  } catch {
    return undefined;
  }
}
