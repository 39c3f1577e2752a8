/**
 * The records in memory, as admission needs them: one map lookup per review, whatever the number of records. Filled by
 * the watch in `kube`, read by `serve`; knows neither.
 */
import type { RecordResource, Tuning } from '../domain/record.ts';
import { dns1035 } from '../domain/workload.ts';
import { readTuning } from '../record/wishes.ts';

export type RecordStore = {
  /** The record that an owner label names: by its name, else by its name's DNS-1035 form. */
  get(namespace: string, owner: string): Tuning | undefined;
  /** As `get`, waiting for a record that is not known yet. */
  waitFor(namespace: string, owner: string, milliseconds: number): Promise<Tuning | undefined>;
  /** One record was added or changed. */
  set(record: RecordResource): void;
  delete(record: RecordResource): void;
  /** The whole list was read: what is not in it is gone. Makes the store ready. */
  replace(records: RecordResource[]): void;
  /** The source answered (a watch event, a bookmark, a list): what is here is current as of `now` (milliseconds). */
  confirm(now: number): void;
  /** Whether the first list has arrived. */
  ready(): boolean;
  /** When the source last answered, in milliseconds since the epoch; `undefined` before the first list. */
  confirmedAt(): number | undefined;
  size(): number;
  /** How many hold a wish that cannot be meant: it is left out, the rest of the record holds. */
  faulty(): number;
};

export function createRecordStore(): RecordStore {
  const byName = new Map<string, Tuning>();
  /** records whose DNS-1035 form is not their name, by that form */
  const byForm = new Map<string, Tuning>();
  const waiting = new Map<string, Set<() => void>>();
  let isReady = false;
  let confirmed: number | undefined;

  const key = (namespace: string, name: string) => `${namespace}/${name}`;

  function get(namespace: string, owner: string) {
    const wanted = key(namespace, owner);
    return byName.get(wanted) ?? byForm.get(wanted);
  }

  function set(record: RecordResource) {
    const tuning = readTuning(record);
    const { namespace, name } = tuning;
    byName.set(key(namespace, name), tuning);
    const form = dns1035(name);
    claimForm(tuning);
    for (const wanted of new Set([key(namespace, name), key(namespace, form)])) {
      for (const wake of waiting.get(wanted) ?? []) wake();
    }
  }

  function remove({ metadata: { namespace, name } }: RecordResource) {
    byName.delete(key(namespace, name));
    const form = dns1035(name);
    if (byForm.get(key(namespace, form))?.name !== name) return;
    byForm.delete(key(namespace, form));
    for (const other of byName.values()) {
      if (other.namespace === namespace && dns1035(other.name) === form) claimForm(other);
    }
  }

  /** Two records may share a form; the first by name has it, so that every replica answers alike. */
  function claimForm(tuning: Tuning) {
    const { namespace, name } = tuning;
    const form = key(namespace, dns1035(name));
    const holder = byForm.get(form)?.name ?? name;
    if (form !== key(namespace, name) && name <= holder) byForm.set(form, tuning);
  }

  function waitFor(namespace: string, owner: string, milliseconds: number): Promise<Tuning | undefined> {
    const known = get(namespace, owner);
    if (known) return Promise.resolve(known);
    const wanted = key(namespace, owner);
    return new Promise((resolve) => {
      const waiters = waiting.get(wanted) ?? new Set();
      waiting.set(wanted, waiters);
      const wake = () => {
        clearTimeout(timer);
        waiters.delete(wake);
        if (waiters.size === 0) waiting.delete(wanted);
        resolve(get(namespace, owner));
      };
      const timer = setTimeout(wake, milliseconds);
      waiters.add(wake);
    });
  }

  return {
    get,
    waitFor,
    set,
    delete: remove,
    replace(records) {
      byName.clear();
      byForm.clear();
      for (const record of records) set(record);
      isReady = true;
    },
    confirm: (now) => {
      confirmed = now;
    },
    ready: () => isReady,
    confirmedAt: () => confirmed,
    size: () => byName.size,
    faulty: () => [...byName.values()].filter(isFaulty).length,
  };
}

function isFaulty({ problems }: Tuning): boolean {
  return problems.some(({ severity }) => severity === 'error');
}
