/** An HTTP server that plays the API server: the test takes each request in turn and says what it is answered. */
import { EventEmitter, on, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { JsonObject } from '../../src/domain/json.ts';
import { Connection } from '../../src/kube/connect.ts';

/** A request that waits for its answer. */
export type Asked = {
  method: string;
  path: string;
  query: Record<string, string>;
  contentType: string;
  body: string;
  /** Answers with JSON; a text is sent as it is. */
  reply(body: JsonObject | string, status?: number): void;
  /** Answers as the API server refuses something. */
  refuse(status: number, message: string, headers?: Record<string, string>): void;
  /** For a watch: sends one event; the stream stays open. */
  event(type: string, object: JsonObject): void;
  /** For a watch: sends a line as it is; the stream stays open. */
  write(line: string): void;
  /** For a watch: says 200 and nothing else yet. */
  open(): void;
  /** For a watch: ends the stream in order. */
  end(): void;
  /** Breaks the connection. */
  reset(): void;
  /** When the asker has let go. */
  closed: Promise<unknown>;
};

export type PlayedApiServer = {
  config: Connection;
  /** a kubeconfig for a process of its own */
  kubeconfig: string;
  next(): Promise<Asked>;
  /** How many have been opened so far. */
  connections(): number;
  close(): Promise<void>;
};

/** @param limitMs how long a caller waits for an answer */
export async function playApiServer(limitMs?: number): Promise<PlayedApiServer> {
  const arrivals = new EventEmitter();
  const asked = on(arrivals, 'asked');
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://played');
    const body = await text(request);
    arrivals.emit('asked', {
      method: request.method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      contentType: request.headers['content-type'] ?? '',
      body,
      ...answersOf(response),
    });
  });
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const kubeconfig = kubeconfigOf(`http://127.0.0.1:${port}`);
  const config = new Connection(limitMs);
  config.loadFromString(kubeconfig);
  return {
    config,
    kubeconfig,
    connections: () => connections,
    async next() {
      const [one] = (await asked.next()).value as [Asked];
      return one;
    },
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function answersOf(response: ServerResponse) {
  const closed = once(response, 'close');
  const reply = (body: JsonObject | string, status = 200, headers: Record<string, string> = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  return {
    closed,
    reply,
    refuse: (code: number, message: string, headers?: Record<string, string>) =>
      reply({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code }, code, headers),
    event: (type: string, object: JsonObject) => response.write(`${JSON.stringify({ type, object })}\n`),
    write: (line: string) => response.write(`${line}\n`),
    open: () => response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders(),
    end: () => response.end(),
    reset: () => response.destroy(),
  };
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    // The client talks plain HTTP only to whom it need not verify.
    clusters: [{ name: 'played', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'tuner', user: {} }],
    contexts: [{ name: 'played', context: { cluster: 'played', user: 'tuner' } }],
    'current-context': 'played',
  });
}

/** A record as the API server holds it. */
export function stored(name: string, resourceVersion: string): JsonObject {
  return {
    apiVersion: 'oaas.io/v1alpha1',
    kind: 'DeploymentRecord',
    metadata: { name, namespace: 'shop', resourceVersion },
  };
}

/** A page of a list. */
export function page(items: JsonObject[], resourceVersion: string, next = ''): JsonObject {
  const metadata = { resourceVersion, ...(next && { continue: next }) };
  return { apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecordList', metadata, items };
}
