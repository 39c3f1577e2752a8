/** An HTTP server that plays Prometheus: the test says what each query is answered. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Json } from '../../src/domain/json.ts';

export type Question = {
  method: string;
  path: string;
  contentType: string;
  authorization: string;
  headers: IncomingMessage['headers'];
  form: URLSearchParams;
};

export type PlayedPrometheus = {
  url: string;
  questions: Question[];
  /** the most questions that were open at once */
  atOnce(): number;
  close(): Promise<void>;
};

/** @param answer writes the answer; what it leaves open stays open */
export async function playPrometheus(
  answer: (question: Question, response: ServerResponse) => void | Promise<void>,
): Promise<PlayedPrometheus> {
  const questions: Question[] = [];
  let [open, most] = [0, 0];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    open += 1;
    most = Math.max(most, open);
    response.on('close', () => {
      open -= 1;
    });
    const question = {
      method: request.method ?? '',
      path: request.url ?? '',
      contentType: request.headers['content-type'] ?? '',
      authorization: request.headers.authorization ?? '',
      headers: request.headers,
      form: new URLSearchParams(await text(request)),
    };
    questions.push(question);
    await answer(question, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    questions,
    atOnce: () => most,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export function sendJson(response: ServerResponse, body: Json, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function sendText(response: ServerResponse, body: string, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
}

/** A vector as Prometheus answers it: values are texts. */
export function vector(rows: [labels: Record<string, string>, value: string | number][], more = {}): Json {
  const result = rows.map(([metric, value]) => ({ metric, value: [1_769_853_600, String(value)] }));
  return { status: 'success', data: { resultType: 'vector', result }, ...more };
}
