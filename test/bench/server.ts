/** One server under load, as a process of its own: `node server.ts <bare | fastify | tuner> <records>`. Prints its port. */

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { Registry } from 'prom-client';
import { OWN_BOUNDS } from '../../src/domain/knative-rules.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { createLog } from '../../src/log.ts';
import { admissionMetrics } from '../../src/metrics.ts';
import { readCertificate } from '../../src/serve/certificates.ts';
import { createReviewServer } from '../../src/serve/reviews.ts';
import { createPausedNamespaces } from '../../src/store/paused-namespaces.ts';
import { createRecordStore } from '../../src/store/records.ts';

const [kind = 'bare', records = '0'] = process.argv.slice(2);
const tls = await readCertificate('certs');

/** What any webhook has to do at least: read the review, answer with its uid. */
const allowed = (review: { request: { uid: string } }) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: review.request.uid, allowed: true },
});

async function start(): Promise<AddressInfo> {
  if (kind === 'bare') {
    const server = createServer(tls, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const text = JSON.stringify(allowed(JSON.parse(Buffer.concat(chunks).toString())));
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
        response.end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server.address() as AddressInfo;
  }
  const app = kind === 'fastify' ? plainFastify() : tuner();
  await app.listen({ host: '127.0.0.1', port: 0 });
  return app.server.address() as AddressInfo;
}

function plainFastify() {
  const app = fastify({ https: tls, bodyLimit: 7 << 20 });
  app.post('/mutate', async (request) => allowed(request.body as never));
  return app;
}

/** With the record `orders` that the reviews name among as many others. */
function tuner() {
  const store = createRecordStore();
  const overrides = Object.fromEntries(
    Array.from({ length: 4 }, (_, index) => [`tuned-${index}`, { request: '224Mi', limit: '336Mi' }]),
  );
  const record = (name: string): RecordResource => ({
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace: 'default' },
    spec: { nfr: { memory_tuning: { overrides } } },
  });
  store.replace([
    record('orders'),
    ...Array.from({ length: Number(records) - 1 }, (_, index) => record(`other-${index}`)),
  ]);
  const gates = { enforcement: true, enabledByDefault: true };
  const context = () => ({
    gates,
    record: { group: 'oaas.io', kind: 'DeploymentRecord' },
    ownAccount: undefined,
    knative: OWN_BOUNDS,
  });
  // As in production, but for the log's text: a line for each of a million identical changes would measure the disk.
  const log = createLog('warn');
  return createReviewServer({
    tls,
    store,
    namespaces: createPausedNamespaces(),
    context,
    metrics: admissionMetrics(new Registry()),
    log,
  }).app;
}

const { port } = await start();
process.send?.({ port });
for (const end of ['SIGINT', 'disconnect']) process.on(end, () => process.exit(0));
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ rss: process.memoryUsage().rss, cpuMicros: user + system });
});
