/** What a Service is to the API server: new connections go to a replica that is ready, open ones stay where they are. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

/** A replica: the port of its reviews, and where it says whether it is ready. */
export type Backend = { port: number; opsUrl: string };

export type Balancer = { port: number; close(): Promise<void> };

/** As often as the chart's probe and the endpoints together would notice, sped up. */
const PROBE_EVERY_MS = 200;

export async function openBalancer(backends: Backend[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const ready = new Set<Backend>();
  let turn = 0;
  const probe = async (backend: Backend) => {
    const answer = await request(`${backend.opsUrl}/readyz`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) ready.add(backend);
    else ready.delete(backend);
  };
  await Promise.all(backends.map(probe));
  let closed = false;
  // Each on its own: one that is slow to answer does not keep another's news from us.
  for (const backend of backends) {
    void (async () => {
      for (; !closed; await delay(PROBE_EVERY_MS)) await probe(backend);
    })();
  }
  const server = createServer((near) => {
    turn += 1;
    const backend = [...ready][turn % ready.size];
    if (!backend) return near.destroy();
    const far = connect(backend.port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    async close() {
      closed = true;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
