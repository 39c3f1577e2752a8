import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port that was free, and that nobody else gets until it is released. */
export interface ReservedPort {
  /** The number. */
  port: number;
  /** Lets go of it: to be called right before the program that listens on it starts. Safe to call again. */
  release: () => Promise<void>;
}

/** Below the ports that kernels give to connections, and to whoever listens on port 0. */
const [FIRST, END] = [16_384, 32_768];

/**
 * Reserves a free port on loopback. A port that was only looked up could be taken by another cluster before our program
 * listens on it; held until the program starts, the gap shrinks from seconds to the program's own start. One of the kernel's
 * own could also be given away while the program is down for a test.
 */
export async function reservePort(): Promise<ReservedPort> {
  const port = randomInt(FIRST, END);
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return reservePort();
    throw error;
  }
  let open = true;
  const release = async () => {
    if (!open) return;
    open = false;
    server.close();
    await once(server, 'close');
  };
  return { port, release };
}
