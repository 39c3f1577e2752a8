/** Plain HTTP for the kubelet and for Prometheus: `/livez`, `/readyz`, `/metrics`. */
import { type FastifyInstance, fastify } from 'fastify';
import type { Registry } from 'prom-client';

export type OpsOptions = {
  registry: Registry;
  /** further metrics in Prometheus' text format */
  workerMetrics(): string;
  /** why reviews cannot be answered yet (or any more), or `undefined` when they can */
  notReady(): string | undefined;
};

export function createOpsServer({ registry, workerMetrics, notReady }: OpsOptions): FastifyInstance {
  const app = fastify();
  app.get('/livez', async () => 'ok\n');
  app.get('/readyz', async (_request, reply) => {
    const why = notReady();
    return why === undefined ? 'ok\n' : reply.code(503).send(`not ready: ${why}\n`);
  });
  app.get('/metrics', async (_request, reply) => {
    reply.type(registry.contentType);
    return (await registry.metrics()) + workerMetrics();
  });
  return app;
}
