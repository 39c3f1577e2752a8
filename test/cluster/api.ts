import { Agent, request } from 'undici';

/** One request to the API server, without a client library between the test and the wire. */
export interface ApiRequest {
  method?: string;
  /** An object goes out as JSON. */
  body?: unknown;
  /** For a patch: `application/apply-patch+yaml`, `application/merge-patch+json`… */
  contentType?: string;
}

/** What came back. */
export interface ApiAnswer {
  status: number;
  /** Parsed JSON where it is JSON, else the text. */
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of every kind; the test that reads one knows its shape.
  body: any;
}

/** Sends requests to one API server as one user. */
export interface Api {
  /** Any request; a status ≥ 400 is an answer, not an exception. */
  send: (path: string, options?: ApiRequest) => Promise<ApiAnswer>;
  /** Creates an object of a kind in `collections`; one that is there already is fine; any other failure is an exception. */
  create: (object: KubernetesObject) => Promise<void>;
  close: () => Promise<void>;
}

/** The least that an object must have to be created. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

/** The kinds that the harness itself creates. */
const collections: Record<string, string> = {
  ClusterRoleBinding: 'clusterrolebindings',
  ConfigMap: 'configmaps',
  CustomResourceDefinition: 'customresourcedefinitions',
  Image: 'images',
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  Namespace: 'namespaces',
  Node: 'nodes',
  Secret: 'secrets',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
};

/** Opens connections to an API server. */
export function openApi(url: string, ca: string, token: string): Api {
  // bodyTimeout: a frozen API server must not hold a test for the default of five minutes.
  const agent = new Agent({ connect: { ca }, headersTimeout: 30_000, bodyTimeout: 30_000 });

  async function send(
    path: string,
    { method = 'GET', body, contentType = 'application/json' }: ApiRequest = {},
  ): Promise<ApiAnswer> {
    const answer = await request(new URL(path, url), {
      dispatcher: agent,
      method: method as 'GET',
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': contentType },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    const isJson = String(answer.headers['content-type'] ?? '').startsWith('application/json');
    return { status: answer.statusCode, body: isJson ? JSON.parse(text) : text };
  }

  async function create(object: KubernetesObject): Promise<void> {
    const { status, body } = await send(collectionOf(object), { method: 'POST', body: object });
    if (status >= 400 && status !== 409) {
      throw new Error(
        `creating ${object.kind} ${object.metadata.name} was answered ${status}: ${body?.message ?? JSON.stringify(body)}`,
      );
    }
  }

  return { send, create, close: () => agent.destroy() };
}

function collectionOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  const plural = collections[kind];
  if (plural === undefined)
    throw new Error(`the harness does not know the collection of kind ${kind}; create it with kubectl`);
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return metadata.namespace === undefined
    ? `${group}/${plural}`
    : `${group}/namespaces/${metadata.namespace}/${plural}`;
}
