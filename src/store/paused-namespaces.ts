/** Which namespaces carry the annotation that pauses enforcement: kept by the watch in `kube`, read by `serve`. */
import { type JsonObject, textAt } from '../domain/json.ts';
import { isPaused } from '../domain/workload.ts';

export type PausedNamespaces = {
  has(namespace: string): boolean;
  /** One namespace was added or changed. */
  set(namespace: JsonObject): void;
  delete(namespace: JsonObject): void;
  /** The whole list was read. Makes the store ready. */
  replace(namespaces: JsonObject[]): void;
  /** Whether the first list has arrived. */
  ready(): boolean;
};

/**
 * Of all the namespaces only the names of the paused ones are kept.
 *
 * @param own the tuner's own namespace, whose pause is that of the whole cluster
 */
export function createPausedNamespaces(own = ''): PausedNamespaces {
  const paused = new Set<string>();
  let isReady = false;
  const nameOf = (namespace: JsonObject) => textAt(namespace, 'metadata', 'name');
  const set = (namespace: JsonObject) => {
    if (isPaused(namespace)) paused.add(nameOf(namespace));
    else paused.delete(nameOf(namespace));
  };
  return {
    has: (namespace) => paused.has(namespace) || paused.has(own),
    set,
    delete: (namespace) => paused.delete(nameOf(namespace)),
    replace(namespaces) {
      paused.clear();
      for (const namespace of namespaces) set(namespace);
      isReady = true;
    },
    ready: () => isReady,
  };
}
