/** Starts the worker's thread and starts it again when it dies: admission goes on in either case. */
import { Worker } from 'node:worker_threads';
import { type Log, reason } from '../log.ts';
import type { Settings } from '../settings.ts';
import type { Told } from './thread.ts';

export type Supervised = {
  /** the worker's metrics as of its last cycle, as Prometheus text */
  metrics(): string;
  stop(): Promise<void>;
};

/** What is run, and how long a thread that died is waited for: the first time, and at most. */
export type Supervision = { thread: URL; firstWaitMs: number; longestWaitMs: number };

const SUPERVISION: Supervision = {
  thread: new URL('./thread.ts', import.meta.url),
  firstWaitMs: 1_000,
  longestWaitMs: 60_000,
};

export function superviseWorker(
  settings: Settings,
  log: Log,
  { thread, firstWaitMs, longestWaitMs } = SUPERVISION,
): Supervised {
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = firstWaitMs;
  let text = '';
  let stopped = false;

  const start = () => {
    let cause: unknown = 'it ended by itself';
    worker = new Worker(thread, { workerData: settings });
    worker.on('message', (told: Told) => {
      text = told.metrics;
      wait = firstWaitMs;
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (stopped) return;
      log.error({ code, error: reason(cause), retryMs: wait }, 'the worker thread died; it is started again');
      timer = setTimeout(start, wait);
      wait = Math.min(wait * 2, longestWaitMs);
    });
  };
  start();
  return {
    metrics: () => text,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await worker?.terminate();
    },
  };
}
