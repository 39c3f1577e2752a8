/** Who shares a core with whom: what is measured, and what would disturb it. */
import { execFileSync, spawn } from 'node:child_process';
import { cpus } from 'node:os';

/** Whether there is another core, and the means to keep to one. */
export function pinnable(): boolean {
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' });
    return cpus().length > 1;
  } catch {
    return false;
  }
}

/** All threads of the process onto one core; one of them may end while they are looked through. */
export function pin(pid: number, core: string): void {
  for (let tries = 0; tries < 10; tries += 1) {
    try {
      execFileSync('taskset', ['-a', '-p', '-c', core, String(pid)], { stdio: 'ignore' });
      return;
    } catch {}
  }
  throw new Error(`taskset could not put process ${pid} onto core ${core}`);
}

/**
 * Keeps a core busy with nothing, at the lowest priority: two cores of a virtual machine slow each other down, and what is
 * measured on the one must not depend on what the other happens to do. For ten minutes at most, should nobody end it.
 *
 * @returns ends it
 */
export function occupy(core: string): () => void {
  const spin = 'const end = Date.now() + 600_000; while (Date.now() < end);';
  const idler = spawn('taskset', ['-c', core, 'nice', '-n', '19', process.execPath, '-e', spin], { stdio: 'ignore' });
  process.once('exit', () => idler.kill('SIGKILL'));
  return () => void idler.kill('SIGKILL');
}
