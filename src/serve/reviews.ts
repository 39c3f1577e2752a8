/**
 * HTTPS for the API server: `POST /mutate` and `POST /validate`. HTTP/1.1, because that is what the API server speaks to
 * a Service (kubernetes `pkg/util/webhook/client.go`).
 */
import type { Server } from 'node:https';
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { Context } from '../admit/decide.ts';
import { readReview } from '../admit/request.ts';
import { answer } from '../admit/review.ts';
import { validate } from '../admit/validate.ts';
import { describeChanges, subjectOf } from '../admit/warnings.ts';
import { ownerOf } from '../domain/workload.ts';
import { type Log, reason } from '../log.ts';
import type { AdmissionMetrics } from '../metrics.ts';
import type { PausedNamespaces } from '../store/paused-namespaces.ts';
import type { RecordStore } from '../store/records.ts';
import { watchUnanswered } from './unanswered.ts';

export type ReviewOptions = {
  /** without a certificate no handshake succeeds, until one is loaded; with a CA only who has its certificate may ask */
  tls: { cert?: string; key?: string; ca?: string; requestCert?: boolean; rejectUnauthorized?: boolean };
  store: RecordStore;
  namespaces: PausedNamespaces;
  /** what a decision depends on beside the two */
  context(): Omit<Context, 'tuning' | 'storeReady' | 'namespacePaused'>;
  metrics: AdmissionMetrics;
  log: Log;
};

/** An UPDATE carries the object twice, each up to 3 MiB (controller-runtime `pkg/webhook/admission/http.go` reasons alike). */
const BODY_LIMIT = 7 * 1024 * 1024;

/**
 * Bytes of reviews that are open together. An apply is some KiB, and the API server has at most 200 under way; with more
 * than this, unpacked, the process would run out of memory and answer nobody.
 */
const MOST_AT_ONCE = 32 * 1024 * 1024;

/** Longer than the 90 s for which the API server keeps idle connections: whoever closes first loses a request. */
const KEEP_ALIVE_MS = 100_000;

/** A record and its workload often arrive in one `kubectl apply`; the record's watch event is milliseconds behind. */
const WAIT_FOR_RECORD_MS = 250;

export type ReviewServer = {
  app: FastifyInstance;
  /** from now on each answer asks the API server to use another connection */
  drain(): void;
};

export function createReviewServer({ tls, store, namespaces, context, metrics, log }: ReviewOptions): ReviewServer {
  let draining = false;
  const app = fastify({
    // Node looks for slow requests only now and then, and its own limit for headers is longer than ours for all of it.
    https: { ...tls, minVersion: 'TLSv1.2', headersTimeout: 5_000, connectionsCheckingInterval: 5_000 },
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 10_000,
    // Until the very end a review is answered: a 503 would let the object pass without its values.
    return503OnClosing: false,
  });
  // fastify would read plain text, too; whoever sends it is not the API server.
  app.removeContentTypeParser('text/plain');
  const careful = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const review = parsed(String(body));
    return review === undefined ? careful(request, String(body), done) : done(null, review);
  });
  let open = 0;
  app.addHook('onRequest', (request, reply, done) => {
    const size = Math.min(Number(request.headers['content-length'] ?? BODY_LIMIT), BODY_LIMIT);
    if (open + size > MOST_AT_ONCE) {
      metrics.answered('other', 'other', 'too-busy');
      log.warn({ open, size }, 'too busy: refused a review');
      refuse(reply, 503, 'more reviews are open than fit into memory');
      return;
    }
    open += size;
    reply.raw.on('close', () => {
      open -= size;
    });
    done();
  });
  watchUnanswered(app.server as Server, metrics.unanswered, log);
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (draining) reply.header('connection', 'close');
    done(null, payload);
  });

  app.post('/mutate', async (request) => {
    const started = performance.now();
    const review = readReview(request.body);
    if (typeof review === 'string') throw Object.assign(new Error(review), { statusCode: 400 });
    const owner = ownerOf(review.object);
    let tuning = owner === undefined ? undefined : store.get(review.namespace, owner);
    // Only where there is something to wait for: the event loop's next turn would cost every review something.
    if (owner !== undefined && tuning === undefined && review.operation === 'CREATE' && store.ready())
      tuning = await store.waitFor(review.namespace, owner, WAIT_FOR_RECORD_MS);
    const namespacePaused = namespaces.has(review.namespace);
    const answered = answer(review, { ...context(), tuning, storeReady: store.ready(), namespacePaused });
    const subject = subjectOf(review);
    metrics.answered(subject.kind, review.operation, answered.reason, (performance.now() - started) / 1000);
    if (answered.error) log.error({ ...subject, err: answered.error }, 'a defect: admitted unchanged');
    else if (answered.operations.length > 0 && answered.decision) {
      log.info(
        { ...subject, uid: review.uid, reason: answered.reason, changes: describeChanges(answered.decision) },
        'admission',
      );
    }
    return answered.review;
  });

  app.post('/validate', async (request) => {
    const review = readReview(request.body);
    if (typeof review === 'string') throw Object.assign(new Error(review), { statusCode: 400 });
    const answered = validate(review);
    metrics.validated(answered.response.allowed);
    return answered;
  });

  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (request.url.startsWith('/mutate'))
      metrics.answered('other', 'other', status < 500 ? 'bad-review' : 'internal-error');
    log.warn({ status, path: request.url, error: reason(error) }, 'not answered');
    return refuse(reply, status, error.message);
  });
  return {
    app,
    drain: () => {
      draining = true;
    },
  };
}

/**
 * What fastify's own parser looks for with two patterns over the whole body, which costs a fifth of the parsing,
 * is only there when the word is. @returns `undefined` for what that parser shall judge, and word the refusal of
 */
function parsed(body: string): unknown {
  if (body.includes('__proto__')) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** A failed call, which `failurePolicy: Ignore` covers. */
function refuse(reply: FastifyReply, status: number, message: string) {
  return reply.code(status).send({ error: message });
}
