/** One watch of the API server: what changes from a resource version on, until it ends for whatever reason. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type KubeConfig, Watch } from '#kubernetes';
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import type { ResourceType } from './api.ts';

/** Who is told of changes. */
export type Changes = {
  set(item: JsonObject): void;
  delete(item: JsonObject): void;
  /** the server answered: what was told is all that there is as of now (milliseconds since the epoch) */
  confirm?(now: number): void;
};

/** Why a watch ended, and whether what we hold has to be listed anew; `silent`: nothing had come for half a minute. */
export type End = { relist: boolean; error?: unknown; silent?: true };

/** What to watch from, of which objects, and after how many seconds the server shall end it: without, it does in its own time. */
export type From = { resourceVersion: string; labelSelector?: string; timeoutSeconds?: number };

/** @param progress is told each version from which the next watch may go on */
export async function watchOnce(
  config: KubeConfig,
  { group, version, plural }: ResourceType,
  from: From,
  changes: Changes,
  signal: AbortSignal,
  progress: (resourceVersion: string) => void,
): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>();
  let ended = false;
  const watch = new Watch(config);
  const onEvent = (event: string, object: unknown) => {
    const item = asObject(object);
    if (!item || signal.aborted) return;
    if (event === 'ERROR') return resolve(endOf(item.code, new Error(`the watch failed: ${item.message}`)));
    try {
      if (event === 'DELETED') changes.delete(item);
      else if (event === 'ADDED' || event === 'MODIFIED') changes.set(item);
    } catch (error) {
      // The library would swallow it, and with it the event.
      return resolve({ relist: true, error });
    }
    changes.confirm?.(Date.now());
    progress(textAt(item, 'metadata', 'resourceVersion') || from.resourceVersion);
  };
  const connection = await watch.watch(
    `/${group === '' ? 'api' : `apis/${group}`}/${version}/${plural}`,
    { ...from, allowWatchBookmarks: true },
    onEvent,
    (error: unknown) => {
      ended = true;
      resolve(endOf(at(error, 'statusCode'), error));
    },
  );
  if (signal.aborted) connection.abort();
  else if (!ended) changes.confirm?.(Date.now());
  const abort = () => connection.abort();
  signal.addEventListener('abort', abort, { once: true });
  const end = await promise;
  signal.removeEventListener('abort', abort);
  connection.abort();
  return end;
}

/**
 * A quiet resource ends its watch by inactivity: that is no error, only a reason to watch again. After a refusal there
 * may be no way on from our version: it is too old (410), or too new for a server that was restored from a backup (504).
 *
 * @param code the HTTP status; absent when the connection broke
 */
function endOf(code: unknown, error: unknown): End {
  if (code === 410) return { relist: true };
  if (error instanceof Error && error.name === 'TimeoutError') return { relist: false, silent: true };
  const relist = code !== undefined;
  return error ? { relist, error } : { relist };
}

/** Not longer than until the signal. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return sleep(milliseconds, undefined, { signal }).catch(() => {});
}
