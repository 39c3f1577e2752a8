/** Starts the worker's thread and starts it again when it dies: admission goes on in either case. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Log, reason } from '../log.ts';
import type { Settings } from '../settings.ts';
import { monotonic } from './lease.ts';
import type { Told } from './thread.ts';

export type Supervised = {
  /** the worker's metrics as of its start or its last cycle, as Prometheus text */
  metrics(): string;
  /** how often its thread has died */
  deaths(): number;
  /** whether its thread holds the lease, so that no other replica works */
  leads(): boolean;
  /** Gives the lease back and ends the thread. */
  stop(): Promise<void>;
};

/** What is run, and how long a thread that died is waited for: the first time, and at most. */
export type Supervision = { thread: URL; firstWaitMs: number; longestWaitMs: number };

const SUPERVISION: Supervision = {
  thread: new URL('./thread.ts', import.meta.url),
  firstWaitMs: 1_000,
  longestWaitMs: 60_000,
};

/** How long the thread may take to finish a write and to give the lease back; without that it runs out by itself. */
const RESIGN_MS = 3_000;

export function superviseWorker(
  settings: Settings,
  log: Log,
  { thread, firstWaitMs, longestWaitMs } = SUPERVISION,
): Supervised {
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = firstWaitMs;
  let text = '';
  let leadsUntil = Number.NEGATIVE_INFINITY;
  let stopped = false;
  let deaths = 0;

  const start = () => {
    let cause: unknown = 'it ended by itself';
    worker = new Worker(thread, { workerData: settings });
    worker.on('message', (told: Told) => {
      if ('leadsUntil' in told) leadsUntil = told.leadsUntil;
      else {
        text = told.metrics;
        // Only a finished cycle shows that this start was better than the last.
        if (told.finished) wait = firstWaitMs;
      }
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      leadsUntil = Number.NEGATIVE_INFINITY;
      worker = undefined;
      if (stopped) return;
      deaths += 1;
      log.error({ code, error: reason(cause), retryMs: wait }, 'the worker thread died; it is started again');
      timer = setTimeout(start, wait);
      wait = Math.min(wait * 2, longestWaitMs);
    });
  };
  start();
  return {
    metrics: () => text,
    deaths: () => deaths,
    leads: () => monotonic() < leadsUntil,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      // Also who does not lead yet: its first attempt may be on the way.
      if (worker && settings.namespace !== '') await resigned(worker);
      leadsUntil = Number.NEGATIVE_INFINITY;
      await worker?.terminate();
    },
  };
}

async function resigned(worker: Worker): Promise<void> {
  const patience = new AbortController();
  const ended = once(worker, 'exit', { signal: patience.signal });
  worker.postMessage('resign');
  await Promise.race([ended, sleep(RESIGN_MS, undefined, { signal: patience.signal })]).catch(() => {});
  patience.abort();
  await ended.catch(() => {});
}
