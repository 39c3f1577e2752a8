/**
 * Keeps a sink equal to what the API server holds: list, then watch from there, for ever. The library's informer stops
 * after any error but a 410 (client-node 2.0.1 `dist/cache.js`); here every end of a watch leads to the next one, and a
 * resource version that is too old to a new list.
 */
import { once } from 'node:events';
import type { KubeConfig } from '#kubernetes';
import type { JsonObject } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';
import { type Api, type ResourceType, typeName } from './api.ts';
import { type Changes, pause, watchOnce } from './watch.ts';

export type Sink = Changes & {
  replace(items: JsonObject[]): void;
  /** Of a listed object what `replace` has to see: of ten thousand the rest is in memory only for a page's time. */
  keep?(item: JsonObject): JsonObject;
};

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 15_000;

/**
 * Follows until the signal aborts; never rejects. What is on its way then is not waited for: a process that ends must not
 * hang on a server that does.
 */
export async function follow(
  config: KubeConfig,
  api: Api,
  type: ResourceType,
  sink: Sink,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  if (signal.aborted) return;
  await Promise.race([followForEver(config, api, type, sink, log, signal), once(signal, 'abort')]);
}

async function followForEver(
  config: KubeConfig,
  api: Api,
  type: ResourceType,
  sink: Sink,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const what = typeName(type);
  let wait = FIRST_WAIT_MS;
  let version: string | undefined;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        version = await listOnce(api, type, sink, log, signal);
        if (signal.aborted) return;
      }
      const end = await watchOnce(config, type, { resourceVersion: version }, sink, signal, (next) => {
        version = next;
        wait = FIRST_WAIT_MS;
      });
      if (end.relist) version = undefined;
      if (end.error) throw end.error;
      // Someone between us and the server may close every watch at once.
      await pause(FIRST_WAIT_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ what, retryMs: wait, error: reason(error) }, 'cannot follow the API server');
      await pause(wait, signal);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }
}

/**
 * A function of its own, because a local of the loop would be kept for as long as the watch lasts: a list of ten thousand
 * records with their statuses.
 *
 * @returns the version to watch from
 */
async function listOnce(api: Api, type: ResourceType, sink: Sink, log: Log, signal: AbortSignal): Promise<string> {
  const { items, resourceVersion } = await api.list(type, undefined, sink.keep);
  if (signal.aborted) return resourceVersion;
  sink.replace(items);
  sink.confirm?.(Date.now());
  log.info({ what: typeName(type), items: items.length }, 'listed');
  return resourceVersion;
}
