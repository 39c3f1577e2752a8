/**
 * Who works: the election among replicas, by the rules of client-go's leader election. Nobody trusts another's clock: a
 * Lease is free when this process has seen it unchanged for its whole duration. A holder trusts itself for less than
 * that, counted from before it asked, so that it has stopped when the next may start (10 s of 15 s), whatever is slow
 * or cut off between.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '../kube/api.ts';
import type { LeaseClient, StoredLease } from '../kube/lease.ts';
import { type Log, reason } from '../log.ts';

/** In milliseconds. */
export type Timing = { duration: number; renewDeadline: number; retry: number };

/** client-go's defaults. */
export const TIMING: Timing = { duration: 15_000, renewDeadline: 10_000, retry: 2_000 };

/** Milliseconds that only ever grow, the same ones in every thread of the process. */
export const monotonic = (): number => Number(process.hrtime.bigint() / 1_000_000n);

export type Election = {
  /** One attempt to take the Lease, or to keep it. @throws {ApiError} when the API server does not play along */
  attempt(): Promise<void>;
  /** Until when, by `clock`, nobody else may hold the Lease; in the past for who does not lead. */
  leadsUntil(): number;
  /** Gives the Lease back, if it is ours, so that another takes it at its next look. */
  release(): Promise<void>;
};

/**
 * @param identity a name that no other process has, and no later one of ours
 * @param clock milliseconds that only ever grow
 */
export function createElection(
  identity: string,
  client: LeaseClient,
  clock: () => number,
  timing: Timing = TIMING,
): Election {
  let until = Number.NEGATIVE_INFINITY;
  let released = false;
  /** what was seen last, and when it was first seen so */
  let seen = { version: '', at: Number.NEGATIVE_INFINITY };

  function lookAt(lease: StoredLease): { free: boolean } {
    if (lease.version !== seen.version) seen = { version: lease.version, at: clock() };
    const expired = clock() >= seen.at + lease.durationSeconds * 1000;
    return { free: lease.holder === '' || lease.holder === identity || expired };
  }

  function written(lease: StoredLease | undefined, holder: string) {
    const time = rfc3339Micro(new Date());
    const kept = lease?.holder === identity;
    return {
      holder,
      durationSeconds: holder === '' ? 1 : timing.duration / 1000,
      acquireTime: kept ? lease.acquireTime : time,
      renewTime: time,
      transitions: (lease?.transitions ?? 0) + (kept || !lease ? 0 : 1),
    };
  }

  return {
    leadsUntil: () => until,
    async attempt() {
      const lease = await client.read();
      if (lease && !lookAt(lease).free) {
        // Someone else may work now, whatever we believed.
        until = Number.NEGATIVE_INFINITY;
        return;
      }
      if (released) return;
      const asked = clock();
      try {
        if (lease) await client.replace(written(lease, identity), lease.version);
        else await client.create(written(undefined, identity));
      } catch (error) {
        // Somebody was faster: the next look tells who.
        if (error instanceof ApiError && error.code === 409) return;
        throw error;
      }
      // An answer that comes after the end of our stay is no right to work.
      if (!released) until = Math.max(until, asked + timing.renewDeadline);
    },
    async release() {
      released = true;
      // Before the Lease is free: from the next line on another may hold it.
      until = Number.NEGATIVE_INFINITY;
      for (let tries = 1; ; tries += 1) {
        const lease = await client.read();
        if (lease?.holder !== identity) return;
        try {
          return await client.replace(written(lease, ''), lease.version);
        } catch (error) {
          // A renewal of ours was still on its way.
          if (!(error instanceof ApiError && error.code === 409) || tries === 3) throw error;
        }
      }
    },
  };
}

/** Attempts for ever, until the signal aborts; `told` hears how each ended. An attempt that hangs holds up no next one. */
export async function stand(
  election: Election,
  told: (leadsUntil: number) => void,
  { log, signal, retryMs = TIMING.retry }: { log: Log; signal: AbortSignal; retryMs?: number },
): Promise<void> {
  while (!signal.aborted) {
    const patience = new AbortController();
    try {
      await Promise.race([
        election.attempt(),
        sleep(retryMs * 2, undefined, { signal: patience.signal }).then(() => {
          throw new Error('the API server does not answer');
        }),
      ]);
    } catch (error) {
      log.warn({ error: reason(error) }, 'cannot look at the lease');
    } finally {
      patience.abort();
    }
    told(election.leadsUntil());
    await sleep(retryMs, undefined, { signal }).catch(() => {});
  }
}

/** What Go's `MicroTime` reads: always six digits. */
function rfc3339Micro(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
