/** Whoever waits for an admission comes first: on Linux each thread has a priority of its own (setpriority(2)). */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

const TASKS = '/proc/self/task';

/**
 * Lowers the thread that calls it, and those by which V8 collects garbage beside the others: in this process nearly all
 * of it is the worker's. Node names them `V8Worker`; where it does not, or there is no Linux, they stay as they are.
 */
export function comeLast(): void {
  if (process.platform !== 'linux') return;
  const { PRIORITY_BELOW_NORMAL } = constants.priority;
  setPriority(PRIORITY_BELOW_NORMAL);
  for (const thread of readdirSync(TASKS)) if (isCollector(thread)) setPriority(Number(thread), PRIORITY_BELOW_NORMAL);
}

/** A thread may end while it is looked at. */
function isCollector(thread: string): boolean {
  try {
    return readFileSync(`${TASKS}/${thread}/comm`, 'utf8').startsWith('V8Worker');
  } catch {
    return false;
  }
}
