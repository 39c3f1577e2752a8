import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Api } from './api.ts';
import { podSeries } from './pod-series.ts';

/** A running stand-in. */
export interface KubeStateMetrics {
  url: string;
  close: () => Promise<void>;
}

/**
 * Serves the few series of kube-state-metrics that the tuner reads: the real one's module is not to be had as a Go module.
 * It lists the pods anew for each scrape, so what it says is never older than the question.
 */
export async function startKubeStateMetrics(api: Api): Promise<KubeStateMetrics> {
  const server = createServer(async (_request, response) => {
    try {
      const { status, body } = await api.send('/api/v1/pods?resourceVersion=0');
      if (status !== 200) throw new Error(`listing pods was answered ${status}: ${body?.message ?? body}`);
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end(podSeries(body.items));
    } catch (error) {
      // The scrape fails, as it would with the real one while its API server is away.
      response.statusCode = 503;
      response.end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`expected a TCP port, got ${address}`);
  const close = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${address.port}`, close };
}
