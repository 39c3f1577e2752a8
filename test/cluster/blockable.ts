/** A way to the API server that a test can cut: bytes are held, nothing is closed, as when a network goes away. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type Blockable = {
  /** where it listens; the certificate of the API server holds for it, too */
  url: string;
  /** From now on nothing passes, in either direction. */
  cut(): void;
  /** What was cut is broken for good; new connections pass. */
  heal(): void;
  close(): Promise<void>;
};

export async function openBlockable(target: string): Promise<Blockable> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let blocked = false;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!blocked) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as { port: number };
  const breakAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `https://127.0.0.1:${address.port}`,
    cut: () => {
      blocked = true;
    },
    heal: () => {
      breakAll();
      blocked = false;
    },
    async close() {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}
