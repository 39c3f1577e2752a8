/**
 * How writes reach the cluster: at a rate that it can bear, again when it asks for patience, and never over what somebody
 * else has written since. Each write names the version of the record that its decision was made from, so that one that
 * was computed before the lease changed hands, and arrives late, is refused.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { at } from '../domain/json.ts';
import type { RecordResource } from '../domain/record.ts';
import { isPaused } from '../domain/workload.ts';
import { ApiError } from '../kube/api.ts';
import type { Cluster } from './cluster.ts';

export type Pace = {
  /** writes that are begun in a second, at most */
  perSecond: number;
  /** Events: so many at once, and so many a second after that. What is above is not sent; the history has it. */
  events: { burst: number; perSecond: number };
  sleep(milliseconds: number): Promise<unknown>;
  /** milliseconds that only ever grow */
  clock(): number;
};

const PACE: Pace = {
  perSecond: 100,
  events: { burst: 500, perSecond: 10 },
  sleep,
  clock: () => performance.now(),
};

/** How often a write is tried, for each reason to try it again. */
const TRIES = 3;

/** The longest that `Retry-After` is obeyed, in seconds; what it is taken for where it is not said. */
const LONGEST_WAIT = 10;
const USUAL_WAIT = 1;

export function considerate(cluster: Cluster, pace: Pace = PACE): Cluster {
  const turn = turns(pace);
  const event = budget(pace);

  /** @throws {ApiError} */
  async function patiently(write: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      await turn();
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof ApiError && [429, 503].includes(error.code)) || tries === TRIES) throw error;
        await pace.sleep(Math.min(error.retryAfter ?? USUAL_WAIT, LONGEST_WAIT) * 1000);
      }
    }
  }

  return {
    ...cluster,
    async writeStatus(record, ...status) {
      let version = record;
      for (let tries = 1; ; tries += 1) {
        try {
          return await patiently(() => cluster.writeStatus(version, ...status));
        } catch (error) {
          if (!(error instanceof ApiError && error.code === 409) || tries === TRIES) throw error;
          // OaaS writes the same record, often parts of it that no decision depends on.
          version = await cluster.reread(record);
          if (!isDeepStrictEqual(grounds(version), grounds(record))) throw error;
        }
      }
    },
    writeVpa: (vpa) => patiently(() => cluster.writeVpa(vpa)),
    removeVpa: (vpa) => patiently(() => cluster.removeVpa(vpa)),
    requestRollout: (workload, id) => patiently(() => cluster.requestRollout(workload, id)),
    async emit(record, said) {
      if (event()) await patiently(() => cluster.emit(record, said));
    },
  };
}

/** What a decision about a record is made from, of the record itself. */
function grounds({ metadata, spec, status }: RecordResource) {
  return [
    metadata.uid,
    isPaused({ metadata }),
    at(spec, 'nfr'),
    ...['memory', 'concurrency'].map((part) => at(status, 'nfr_recommendations', part)),
  ];
}

/** Resolves when it is the caller's turn: each begins a moment after the one before. */
function turns({ perSecond, sleep, clock }: Pace): () => Promise<void> {
  let next = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = clock();
    next = Math.max(next, now);
    const wait = next - now;
    next += 1000 / perSecond;
    if (wait > 0) await sleep(wait);
  };
}

/** Whether one more may go now. */
function budget({ events: { burst, perSecond }, clock }: Pace): () => boolean {
  let left = burst;
  let counted = clock();
  return () => {
    const now = clock();
    left = Math.min(burst, left + ((now - counted) / 1000) * perSecond);
    counted = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
