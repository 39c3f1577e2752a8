/**
 * A load generator that is not the limit: raw TLS sockets, one request in flight each, the same bytes again and again,
 * answers read only as far as their length. Against 127.0.0.1 only, for a bounded time.
 */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export type LoadResult = {
  requests: number;
  failures: number;
  seconds: number;
  latenciesMs: Float64Array;
  /** the share of the time in which the generator itself was at work: what is left is its headroom */
  busy: number;
};

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
  const [started, before] = [performance.now(), performance.eventLoopUtilization()];
  const end = started + seconds * 1000;
  await Promise.all(
    sockets.map((socket) =>
      repeat(socket, request, (ok, tookMs) => {
        if (!ok) failures += 1;
        latencies.push(tookMs);
        return performance.now() < end;
      }),
    ),
  );
  const took = (performance.now() - started) / 1000;
  const busy = performance.eventLoopUtilization(before).utilization;
  return {
    requests: latencies.length,
    failures,
    seconds: took,
    latenciesMs: Float64Array.from(latencies).sort(),
    busy,
  };
}

async function open(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  return socket;
}

/** Sends, waits for the whole answer, and sends again as long as `answered` says so. */
function repeat(socket: TLSSocket, request: Buffer, answered: (ok: boolean, tookMs: number) => boolean): Promise<void> {
  let buffered = Buffer.alloc(0);
  let sent = 0;
  const send = () => {
    sent = performance.now();
    socket.write(request);
  };
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      const length = answerLength(buffered);
      if (length === undefined || buffered.length < length) return;
      const ok = buffered.toString('latin1', 0, 12) === 'HTTP/1.1 200';
      buffered = buffered.subarray(length);
      if (answered(ok, performance.now() - sent)) send();
      else socket.destroy();
    });
    socket.on('close', resolve);
    socket.on('error', () => answered(false, performance.now() - sent));
    send();
  });
}

/** @returns how many bytes head and body have; `undefined` before the head is there */
function answerLength(buffered: Buffer): number | undefined {
  const headEnd = buffered.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(buffered.toString('latin1', 0, headEnd))?.[1];
  return headEnd + 4 + Number(length ?? 0);
}

/** @param q 0 to 1, of sorted values */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
