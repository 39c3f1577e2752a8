/** The process: environment → app → signals → exit code. */
import { openCluster, startApp } from './app.ts';
import { createLog, flushed, reason } from './log.ts';
import { readSettings } from './settings.ts';

const read = readSettings(process.env);
if ('problems' in read) {
  for (const problem of read.problems) console.error(problem);
  process.exit(2);
}
const { settings } = read;
const log = createLog(settings.logLevel);

try {
  const app = await startApp(settings, log, (store, namespaces) => openCluster(store, namespaces, settings, log));
  let stopping = false;
  const stop = async (drainSeconds: number) => {
    // A second signal is from someone who does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ drainSeconds }, 'stopping');
    await app.stop(drainSeconds);
    await flushed(log);
    process.exit(0);
  };
  process.on('SIGTERM', () => stop(settings.drainSeconds));
  process.on('SIGINT', () => stop(0));
} catch (error) {
  console.error(`oaas-tuner cannot start: ${reason(error)}`);
  process.exit(1);
}
