/**
 * Lists that are read once and then kept as the API server has them, by a watch each: of ten thousand workloads hardly one
 * changes in a minute, and to list them each minute is most of what that would cost, here and there.
 */
import type { KubeConfig } from '#kubernetes';
import { type JsonObject, textAt } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';
import { type Api, ApiError, type Listed, type ResourceType, typeName } from './api.ts';
import { slim } from './slim.ts';
import { type Changes, pause, watchOnce } from './watch.ts';

/** What is listed and written by the same hands; whoever reads a list must not change it. */
export type Lists = Pick<Api, 'apply' | 'applyStatus'> & {
  list(type: ResourceType, labelSelector?: string): Promise<Listed>;
};

export type Holder = Lists & {
  /** Forgets all, and watches nothing until somebody lists again. */
  letGo(): void;
};

type Held = {
  /** `plural.group` */
  type: string;
  labelSelector: string | undefined;
  /** by `namespace/name` */
  items: Map<string, JsonObject>;
  resourceVersion: string;
  /** the latest version that we wrote of these: before it has come back, the list does not show what we did */
  owed: bigint;
  /** when it was listed, by `performance.now` */
  since: number;
  abort: AbortController;
};

/** A server between us and the API server may close each watch at once. */
const WAIT_MS = 250;

/** A watch event is milliseconds behind its write. */
const CATCH_UP_MS = 500;

/**
 * After how many seconds the server shall end a watch: before the library takes it for dead (30 s, client-node 2.0.1
 * `dist/watch.js`), so that one which is silent for longer has lost its way. A bookmark may come at its end, and need not.
 */
const WATCH_SECONDS = 25;

/** A watch that ended before, and brought nothing, was ended by somebody who may not know what a watch is. */
const SHORT_MS = 20_000;

/** What no watch would show: a server whose store was set back beneath it, objects that a changed CRD spells otherwise. */
const LONGEST_MS = 30 * 60_000;

/**
 * A watch that ends in any way but in order ends the holding, as does one that does not bring what we wrote ourselves: the
 * next call lists anew, and says what is wrong if it cannot.
 */
export function holdLists(config: KubeConfig, api: Api, log: Log): Holder {
  const held = new Map<string, Held>();

  function drop(key: string, list: Held, why: string): void {
    if (list.abort.signal.aborted) return;
    log.debug({ what: key, error: why }, 'not held any more: the next cycle lists anew');
    list.abort.abort();
    held.delete(key);
  }

  async function keepUp(key: string, type: ResourceType, list: Held): Promise<void> {
    const { signal } = list.abort;
    const selected = list.labelSelector !== undefined && { labelSelector: list.labelSelector };
    const changes: Changes = {
      set: (item) => list.items.set(nameOf(item), slim(item)),
      delete: (item) => list.items.delete(nameOf(item)),
    };
    try {
      while (performance.now() - list.since < LONGEST_MS) {
        const began = performance.now();
        let heard = false;
        const from = { resourceVersion: list.resourceVersion, timeoutSeconds: WATCH_SECONDS, ...selected };
        const end = await watchOnce(config, type, from, changes, signal, (version) => {
          list.resourceVersion = version;
          heard = true;
        });
        if (signal.aborted) return;
        if (end.error) throw end.error;
        if (end.relist) throw new Error('what changed since its version is not known any more');
        if (end.silent) throw new Error('nothing came for half a minute');
        if (!heard && performance.now() - began < SHORT_MS)
          throw new Error('it was ended at once, and brought nothing');
        await pause(WAIT_MS, signal);
      }
      throw new Error('it was held for half an hour');
    } catch (error) {
      drop(key, list, reason(error));
    }
  }

  async function standing(key: string): Promise<Held | undefined> {
    const list = held.get(key);
    if (list && isBehind(list)) await pause(CATCH_UP_MS, list.abort.signal);
    if (list && isBehind(list)) drop(key, list, 'what we wrote has not come back');
    return held.get(key);
  }

  async function written(type: ResourceType, id: string, write: () => Promise<string>): Promise<string> {
    const lists = [...held].filter(([, list]) => list.type === typeName(type));
    try {
      const resourceVersion = await write();
      for (const [, list] of lists) {
        // Of a selection we cannot tell whether it would take in an object that it does not hold.
        const shows = list.labelSelector === undefined || list.items.has(id);
        const order = orderOf(resourceVersion);
        if (shows && order > list.owed) list.owed = order;
      }
      return resourceVersion;
    } catch (error) {
      // It may have been done all the same.
      const unknown = !(error instanceof ApiError) || error.code === 0 || error.code >= 500;
      if (unknown) for (const [key, list] of lists) drop(key, list, 'what became of a write is not known');
      throw error;
    }
  }

  return {
    async list(type, labelSelector) {
      const key = `${typeName(type)}${labelSelector === undefined ? '' : `?${labelSelector}`}`;
      const list = await standing(key);
      if (list) return { items: [...list.items.values()], resourceVersion: list.resourceVersion };
      const { items, resourceVersion } = await api.list(type, labelSelector);
      const fresh: Held = {
        ...{ type: typeName(type), labelSelector, resourceVersion, owed: 0n, abort: new AbortController() },
        since: performance.now(),
        items: new Map(items.map((item) => [nameOf(item), item])),
      };
      held.set(key, fresh);
      void keepUp(key, type, fresh);
      return { items, resourceVersion };
    },
    apply: (type, namespace, name, body) =>
      written(type, `${namespace}/${name}`, () => api.apply(type, namespace, name, body)),
    applyStatus: (type, namespace, name, body) =>
      written(type, `${namespace}/${name}`, () => api.applyStatus(type, namespace, name, body)),
    letGo() {
      for (const list of held.values()) list.abort.abort();
      held.clear();
    },
  };
}

/** Versions grow in the order of writes (KEP-5504); one that is no number, of a server that keeps its own, comes before all. */
function orderOf(resourceVersion: string): bigint {
  return /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n;
}

function isBehind({ resourceVersion, owed }: Held): boolean {
  return orderOf(resourceVersion) < owed;
}

function nameOf(item: JsonObject): string {
  return `${textAt(item, 'metadata', 'namespace')}/${textAt(item, 'metadata', 'name')}`;
}
