/**
 * A load generator that is not the limit: raw TLS sockets, one request in flight each, the same bytes again and again,
 * answers read only as far as their length. Against 127.0.0.1 only, for a bounded time.
 */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export type LoadResult = { requests: number; failures: number; seconds: number; latenciesMs: Float64Array };

export async function load(
  port: number,
  ca: string,
  body: Buffer,
  connections: number,
  seconds: number,
): Promise<LoadResult> {
  const head = `POST /mutate?timeout=3s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const request = Buffer.concat([Buffer.from(head), body]);
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port, ca)));
  const latencies: number[] = [];
  let failures = 0;
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    sockets.map(async (socket) => {
      const answer = answers(socket);
      while (performance.now() < end) {
        const sent = performance.now();
        socket.write(request);
        if (!(await answer.next())) failures += 1;
        latencies.push(performance.now() - sent);
      }
      socket.destroy();
    }),
  );
  const took = (performance.now() - started) / 1000;
  return { requests: latencies.length, failures, seconds: took, latenciesMs: Float64Array.from(latencies).sort() };
}

async function open(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  return socket;
}

/** Each answer of a connection, as whether its status was 200. */
function answers(socket: TLSSocket): { next(): Promise<boolean> } {
  let buffered = Buffer.alloc(0);
  let wake: ((ok: boolean) => void) | undefined;
  socket.on('data', (chunk) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    const headEnd = buffered.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = buffered.toString('latin1', 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (buffered.length < headEnd + 4 + length) return;
    buffered = buffered.subarray(headEnd + 4 + length);
    wake?.(head.startsWith('HTTP/1.1 200'));
  });
  socket.on('close', () => wake?.(false));
  return {
    next: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
  };
}

/** @param q 0 to 1, of sorted values */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
