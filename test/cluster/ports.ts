import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port that the kernel gave us and that nobody else gets until it is released. */
export interface ReservedPort {
  /** The number. */
  port: number;
  /** Lets go of it: to be called right before the program that listens on it starts. Safe to call again. */
  release: () => Promise<void>;
}

/**
 * Reserves a free port on loopback. A port that was only looked up could be taken by another cluster before our program
 * listens on it; held until the program starts, the gap shrinks from seconds to the program's own start.
 */
export async function reservePort(): Promise<ReservedPort> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`expected a TCP port, got ${address}`);
  let open = true;
  const release = async () => {
    if (!open) return;
    open = false;
    server.close();
    await once(server, 'close');
  };
  return { port: address.port, release };
}
