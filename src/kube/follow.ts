/**
 * Keeps a sink equal to what the API server holds: list, then watch from there, for ever. The library's informer stops
 * after any error but a 410 (client-node 2.0.1 `dist/cache.js`); here every end of a watch leads to the next one, and a
 * resource version that is too old to a new list.
 */
import { type KubeConfig, Watch } from '@kubernetes/client-node';
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';
import type { Api, ResourceType } from './api.ts';

export type Sink = {
  replace(items: JsonObject[]): void;
  set(item: JsonObject): void;
  delete(item: JsonObject): void;
  /** the server answered: what the sink holds is current as of now (milliseconds since the epoch) */
  confirm(now: number): void;
};

/** Why a watch ended. */
type End = { gone: boolean; error?: unknown };

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 15_000;

/** Follows until the signal aborts; never rejects. */
export async function follow(
  config: KubeConfig,
  api: Api,
  type: ResourceType,
  sink: Sink,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const what = `${type.plural}.${type.group}`;
  let wait = FIRST_WAIT_MS;
  let version: string | undefined;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const listed = await api.list(type);
        if (signal.aborted) return;
        sink.replace(listed.items);
        sink.confirm(Date.now());
        version = listed.resourceVersion;
        log.info({ what, items: listed.items.length }, 'listed');
      }
      const end = await watchOnce(config, type, version, sink, signal, (next) => {
        version = next;
        wait = FIRST_WAIT_MS;
      });
      if (end.gone) version = undefined;
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

/** One watch, until it ends for whatever reason. */
async function watchOnce(
  config: KubeConfig,
  { group, version, plural }: ResourceType,
  resourceVersion: string,
  sink: Sink,
  signal: AbortSignal,
  progress: (resourceVersion: string) => void,
): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  let ended = false;
  const watch = new Watch(config);
  const onEvent = (event: string, object: unknown) => {
    const item = asObject(object);
    if (!item) return;
    if (event === 'ERROR') {
      const gone = item.code === 410;
      resolve(gone ? { gone } : { gone, error: new Error(`the watch failed: ${item.message}`) });
      return;
    }
    if (event === 'DELETED') sink.delete(item);
    else if (event === 'ADDED' || event === 'MODIFIED') sink.set(item);
    sink.confirm(Date.now());
    progress(textAt(item, 'metadata', 'resourceVersion') || resourceVersion);
  };
  const connection = await watch.watch(
    `/apis/${group}/${version}/${plural}`,
    { resourceVersion, allowWatchBookmarks: true },
    onEvent,
    (error: unknown) => {
      ended = true;
      resolve(endOf(error));
    },
  );
  if (!ended) sink.confirm(Date.now());
  const abort = () => connection.abort();
  signal.addEventListener('abort', abort, { once: true });
  const end = await promise;
  signal.removeEventListener('abort', abort);
  connection.abort();
  return end;
}

/** A quiet resource ends its watch by inactivity: that is no error, only a reason to watch again. */
function endOf(error: unknown): End {
  if (at(error, 'statusCode') === 410) return { gone: true };
  const quiet = error instanceof Error && error.name === 'TimeoutError';
  return error && !quiet ? { gone: false, error } : { gone: false };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
