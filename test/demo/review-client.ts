/** The API server's part: sends AdmissionReviews over verified TLS, and applies the patch that comes back. */
import { randomUUID } from 'node:crypto';
import jsonpatch from 'fast-json-patch';
import { Agent } from 'undici';
import type { Operation } from '../../src/admit/patch.ts';
import type { AdmissionReview } from '../../src/admit/review.ts';
import { at, type JsonObject } from '../../src/domain/json.ts';
import { NotAsTold } from './expect.ts';

export type Reply = {
  allowed: boolean;
  /** the object with the patch applied: what the API server stores */
  object: JsonObject;
  operations: Operation[];
  warnings: string[];
  /** why it was refused */
  message: string;
  /** from sending the review to having read its answer */
  milliseconds: number;
};

export type ReviewClient = {
  create(path: '/mutate' | '/validate', object: JsonObject): Promise<Reply>;
  update(path: '/mutate' | '/validate', object: JsonObject, oldObject: JsonObject): Promise<Reply>;
  /** how many reviews were answered */
  count(): number;
  close(): Promise<void>;
};

/** @param ca the only authority that is trusted, as with the `caBundle` of a webhook configuration */
export function createReviewClient(port: number, ca: string): ReviewClient {
  const agent = new Agent({ connect: { ca } });
  let count = 0;

  async function ask(path: string, operation: string, object: JsonObject, oldObject?: JsonObject): Promise<Reply> {
    const uid = randomUUID();
    const body = JSON.stringify(reviewOf(uid, operation, object, oldObject));
    const started = performance.now();
    const answer = await agent.request({
      origin: `https://127.0.0.1:${port}`,
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const text = await answer.body.text();
    const milliseconds = performance.now() - started;
    if (answer.statusCode !== 200) throw new NotAsTold(`POST ${path} was answered ${answer.statusCode}: ${text}`);
    count += 1;
    const { response } = JSON.parse(text) as AdmissionReview;
    if (response.uid !== uid) throw new NotAsTold(`the answer is to review ${response.uid}, asked was ${uid}`);
    const { allowed, patch, warnings = [], status } = response;
    const operations: Operation[] = patch ? JSON.parse(Buffer.from(patch, 'base64').toString('utf8')) : [];
    const patched = jsonpatch.applyPatch(structuredClone(object), structuredClone(operations), true).newDocument;
    return { allowed, object: patched, operations, warnings, message: status?.message ?? '', milliseconds };
  }

  return {
    create: (path, object) => ask(path, 'CREATE', object),
    update: (path, object, oldObject) => ask(path, 'UPDATE', object, oldObject),
    count: () => count,
    close: () => agent.close(),
  };
}

function reviewOf(uid: string, operation: string, object: JsonObject, oldObject?: JsonObject) {
  const [group, version] = String(object.apiVersion).split('/');
  const [name, namespace] = [at(object, 'metadata', 'name'), at(object, 'metadata', 'namespace')];
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid,
      kind: { group, version, kind: object.kind },
      name,
      namespace,
      operation,
      userInfo: { username: 'ann' },
      object,
      oldObject: oldObject ?? null,
      dryRun: false,
    },
  };
}
