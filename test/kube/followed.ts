/** Someone who follows a played API server, and a sink that a test can wait on. */
import { EventEmitter, on } from 'node:events';
import type { Test } from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { createApi } from '../../src/kube/api.ts';
import { follow, type Sink } from '../../src/kube/follow.ts';
import { recordType } from '../../src/kube/records.ts';
import { type Listened, listenedLog } from '../serve/log-lines.ts';
import { type PlayedApiServer, playApiServer } from './played-api-server.ts';

export type Followed = Listened & {
  server: PlayedApiServer;
  /** What the sink was told next: `replace a,b`, `set a`, `delete a`. */
  told(): Promise<string>;
  confirmations(): number;
  sink: Sink;
  abort: AbortController;
  /** settles when following ends */
  ended: Promise<void>;
};

export async function followed(t: Test): Promise<Followed> {
  const server = await playApiServer();
  const calls = new EventEmitter();
  const heard = on(calls, 'call');
  let confirmations = 0;
  const name = (item: JsonObject) => String((item.metadata as JsonObject).name);
  const sink: Sink = {
    replace: (items) => calls.emit('call', `replace ${items.map(name).join()}`),
    set: (item) => calls.emit('call', `set ${name(item)}`),
    delete: (item) => calls.emit('call', `delete ${name(item)}`),
    confirm: () => {
      confirmations += 1;
    },
  };
  const abort = new AbortController();
  const listened = listenedLog();
  const ended = follow(server.config, createApi(server.config), recordType('deploymentrecords'), sink, {
    log: listened.log,
    signal: abort.signal,
  });
  t.teardown(async () => {
    abort.abort();
    await server.close();
    await ended;
  });
  const told = async () => {
    const [call] = (await heard.next()).value as [string];
    return call;
  };
  return { ...listened, server, told, confirmations: () => confirmations, sink, abort, ended };
}
