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

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

export function superviseWorker(settings: Settings, log: Log): Supervised {
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wait = FIRST_WAIT_MS;
  let text = '';
  let stopped = false;

  const start = () => {
    let cause: unknown;
    worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: settings });
    worker.on('message', (told: Told) => {
      text = told.metrics;
      wait = FIRST_WAIT_MS;
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (stopped) return;
      log.error({ code, error: reason(cause), retryMs: wait }, 'the worker thread died; it is started again');
      timer = setTimeout(start, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
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
