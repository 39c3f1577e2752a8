/** The HTTPS server on loopback, and a client that trusts its CA only, as the API server does. */

import { Registry } from 'prom-client';
import { Agent } from 'undici';
import type { AdmissionReview } from '../../src/admit/review.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { OWN_BOUNDS } from '../../src/domain/knative-rules.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { admissionMetrics } from '../../src/metrics.ts';
import { issueAuthority, issueLeaf } from '../../src/serve/certificates.ts';
import { createReviewServer, type ReviewOptions } from '../../src/serve/reviews.ts';
import { createPausedNamespaces, type PausedNamespaces } from '../../src/store/paused-namespaces.ts';
import { createRecordStore, type RecordStore } from '../../src/store/records.ts';
import { container, deployment } from '../admit/objects.ts';
import { type Line, listenedLog } from './log-lines.ts';

export type Reply = {
  status: number;
  headers: Record<string, unknown>;
  body: { error?: string; response: AdmissionReview['response'] };
};

export type Client = {
  post(path: string, body: unknown, contentType?: string): Promise<Reply>;
  close(): Promise<void>;
};

export type Served = Client & {
  port: number;
  ca: string;
  store: RecordStore;
  namespaces: PausedNamespaces;
  lines: Line[];
  server: ReturnType<typeof createReviewServer>;
  /** how the reviews so far ended: `Deployment/CREATE/changed/injected` → how often */
  counted(): Promise<Record<string, number>>;
  registry: Registry;
};

// One pair for all tests of a file: making an RSA key takes a while.
const ca = issueAuthority('the tests', Date.now());
const leaf = issueLeaf(ca, ['localhost', '127.0.0.1'], Date.now());

/** @param connections how many the client may open; one is a client that keeps its connection */
export function clientOf(port: number, authority: string, connections = 4): Client {
  // Who is flooded on a busy machine takes more than undici's 10 s to shake hands.
  const agent = new Agent({ connect: { ca: authority, timeout: 60_000 }, connections });
  return {
    async post(path, body, contentType = 'application/json') {
      const {
        statusCode,
        headers,
        body: answer,
      } = await agent.request({
        origin: `https://localhost:${port}`,
        path,
        method: 'POST',
        headers: { 'content-type': contentType },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      });
      return { status: statusCode, headers, body: (await answer.json()) as Reply['body'] };
    },
    close: () => agent.close(),
  };
}

/** A ready server whose store holds these records. */
export async function serve(
  records: RecordResource[] = [record()],
  context: ReviewOptions['context'] = () => ({
    gates: { enforcement: true, enabledByDefault: true },
    record: { group: 'oaas.io', kind: 'DeploymentRecord' },
    ownAccount: undefined,
    knative: OWN_BOUNDS,
  }),
): Promise<Served> {
  const registry = new Registry();
  const store = createRecordStore();
  store.replace(records);
  const namespaces = createPausedNamespaces();
  const { log, lines } = listenedLog();
  const server = createReviewServer({
    tls: leaf,
    store,
    namespaces,
    context,
    metrics: admissionMetrics(registry),
    log,
  });
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.app.server.address() as { port: number };
  const client = clientOf(port, ca.cert);
  const counted = async () => {
    const { values = [] } = (await registry.getSingleMetric('oaas_tuner_admissions_total')?.get()) ?? {};
    const happened = values.filter(({ value }) => value > 0);
    return Object.fromEntries(
      happened.map(({ labels, value }) => [
        [labels.kind, labels.operation, labels.result, labels.reason].join('/'),
        value,
      ]),
    );
  };
  const close = async () => {
    await client.close();
    await server.app.close();
  };
  return { ...client, close, port, ca: ca.cert, store, namespaces, lines, server, counted, registry };
}

/** A record whose override gives the container `function` 300Mi/400Mi. */
export function record(name = 'orders', overrides: Json = { function: { request: '300Mi', limit: '400Mi' } }) {
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace: 'shop' },
    spec: { nfr: { memory_tuning: { overrides } } },
  };
}

/** A Deployment as a person writes it. */
export const orders = deployment([container('function', '256Mi', '512Mi')]);

/** A review as the API server sends it. */
export function review(object: JsonObject | null = orders, more: JsonObject = {}): JsonObject {
  const request = { uid: '7f0b2c1e', operation: 'CREATE', namespace: 'shop', userInfo: { username: 'ann' }, object };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { ...request, ...more } };
}
