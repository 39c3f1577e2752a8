/**
 * Lists that are read once and then kept as the API server has them, by a watch each: of ten thousand workloads hardly one
 * changes in a minute, and to list them each minute is most of what that would cost, here and there.
 */
import type { KubeConfig } from '#kubernetes';
import { type JsonObject, textAt } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';
import type { Api, ResourceType } from './api.ts';
import { slim } from './slim.ts';
import { type Changes, pause, watchOnce } from './watch.ts';

export type Holder = {
  /** As the one that it was made of; its lists are held. Whoever reads them must not change them. */
  api: Api;
  /** Forgets all, and watches nothing until somebody lists again. */
  letGo(): void;
};

type Held = { items: Map<string, JsonObject>; resourceVersion: string };

/** A server between us and the API server may close each watch at once. */
const WAIT_MS = 250;

/**
 * When the server shall end a watch: before the library takes it for dead (30 s, client-node 2.0.1 `dist/watch.js`). So one
 * that ends in order has brought all that there was, and one that is silent for longer has lost its way.
 */
const WATCH_SECONDS = 25;

/** A watch that ends in any way but in order ends the holding: the next call lists anew, and says what is wrong if it cannot. */
export function holdLists(config: KubeConfig, api: Api, log: Log): Holder {
  const held = new Map<string, Held>();
  let abort = new AbortController();

  async function keepUp(key: string, type: ResourceType, labelSelector: string | undefined, list: Held): Promise<void> {
    const { signal } = abort;
    const selected = labelSelector !== undefined && { labelSelector };
    const changes: Changes = {
      set: (item) => list.items.set(nameOf(item), slim(item)),
      delete: (item) => list.items.delete(nameOf(item)),
      confirm: () => {},
    };
    try {
      while (!signal.aborted) {
        const from = { resourceVersion: list.resourceVersion, timeoutSeconds: WATCH_SECONDS, ...selected };
        const end = await watchOnce(config, type, from, changes, signal, (version) => {
          list.resourceVersion = version;
        });
        if (end.error) throw end.error;
        if (end.silent) throw new Error('nothing came for half a minute');
        if (end.relist) throw new Error('what changed since its version is not known any more');
        await pause(WAIT_MS, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      log.debug({ what: key, error: reason(error) }, 'cannot watch: the next cycle lists anew');
      held.delete(key);
    }
  }

  return {
    api: {
      ...api,
      async list(type, labelSelector) {
        const key = `${type.plural}.${type.group}${labelSelector === undefined ? '' : `?${labelSelector}`}`;
        const standing = held.get(key);
        if (standing) return { items: [...standing.items.values()], resourceVersion: standing.resourceVersion };
        const { items, resourceVersion } = await api.list(type, labelSelector);
        const list = { items: new Map(items.map((item) => [nameOf(item), item])), resourceVersion };
        held.set(key, list);
        void keepUp(key, type, labelSelector, list);
        return { items, resourceVersion };
      },
    },
    letGo() {
      abort.abort();
      abort = new AbortController();
      held.clear();
    },
  };
}

function nameOf(item: JsonObject): string {
  return `${textAt(item, 'metadata', 'namespace')}/${textAt(item, 'metadata', 'name')}`;
}
