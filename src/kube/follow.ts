/**
 * Keeps a sink equal to what the API server holds: list, then watch from there, for ever. The library's informer stops
 * after any error but a 410 (client-node 2.0.1 `dist/cache.js`); here every end of a watch leads to the next one, and a
 * resource version that is too old to a new list.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KubeConfig, Watch } from '#kubernetes';
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';
import type { Api, ResourceType } from './api.ts';

export type Sink = {
  replace(items: JsonObject[]): void;
  set(item: JsonObject): void;
  delete(item: JsonObject): void;
  /** the server answered: what the sink holds is current as of now (milliseconds since the epoch) */
  confirm(now: number): void;
  /** Of a listed object what `replace` has to see: of ten thousand the rest is in memory only for a page's time. */
  keep?(item: JsonObject): JsonObject;
};

/** Why a watch ended, and whether what we hold has to be listed anew. */
type End = { relist: boolean; error?: unknown };

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
  const what = nameOf(type);
  let wait = FIRST_WAIT_MS;
  let version: string | undefined;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        version = await listOnce(api, type, sink, log, signal);
        if (signal.aborted) return;
      }
      const end = await watchOnce(config, type, version, sink, signal, (next) => {
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
  sink.confirm(Date.now());
  log.info({ what: nameOf(type), items: items.length }, 'listed');
  return resourceVersion;
}

function nameOf({ plural, group }: ResourceType): string {
  return `${plural}.${group}`;
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
    if (!item || signal.aborted) return;
    if (event === 'ERROR') return resolve(endOf(item.code, new Error(`the watch failed: ${item.message}`)));
    try {
      if (event === 'DELETED') sink.delete(item);
      else if (event === 'ADDED' || event === 'MODIFIED') sink.set(item);
    } catch (error) {
      // The library would swallow it, and with it the event.
      return resolve({ relist: true, error });
    }
    sink.confirm(Date.now());
    progress(textAt(item, 'metadata', 'resourceVersion') || resourceVersion);
  };
  const connection = await watch.watch(
    `/${group === '' ? 'api' : `apis/${group}`}/${version}/${plural}`,
    { resourceVersion, allowWatchBookmarks: true },
    onEvent,
    (error: unknown) => {
      ended = true;
      resolve(endOf(at(error, 'statusCode'), error));
    },
  );
  if (signal.aborted) connection.abort();
  else if (!ended) sink.confirm(Date.now());
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
  const quiet = error instanceof Error && error.name === 'TimeoutError';
  const relist = code !== undefined;
  return error && !quiet ? { relist, error } : { relist };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return sleep(milliseconds, undefined, { signal }).catch(() => {});
}
