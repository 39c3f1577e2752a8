/** What may become of the log while reviews come in: nobody reads it, its disk is full, its reader has gone. */
import { execFile } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { until } from '../cluster/until.ts';
import { orders, review } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { folderFor, IN_TIME_MS, keepsItsPromise, type Running, run, timed } from './running.ts';

async function ready({ ready }: Running): Promise<void> {
  await until('it to be ready', async () => (await ready()) === 'ok\n');
}

/** In order, though nobody takes its last lines. */
async function ends({ child }: Running): Promise<void> {
  child.kill('SIGTERM');
  await until('it to end', () => child.exitCode === 0);
}

/** A pipe as containers have it, 64 KiB and then whoever writes waits; its reader is this process, which never reads. */
async function unreadPipe(t: Test): Promise<number> {
  const path = join(folderFor(t), 'log');
  await promisify(execFile)('mkfifo', [path]);
  const pipe = openSync(path, 'r+');
  t.teardown(() => closeSync(pipe));
  return pipe;
}

/** Enough changes for more log than any pipe holds. */
async function floods({ client }: Running, reviews: number): Promise<number> {
  let slowest = 0;
  const asker = async () => {
    for (let count = 0; count < reviews / 8; count += 1) {
      const { ms } = await timed(() => client.post('/mutate', review(orders, { uid: `flood-${count}`.repeat(20) })));
      slowest = Math.max(slowest, ms);
    }
  };
  await Promise.all(Array.from({ length: 8 }, asker));
  return slowest;
}

t.test('nobody reads the log: reviews are answered in time', async (t) => {
  const cluster = await playCluster(t);
  const stdout = await unreadPipe(t);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig }, stdout });
  await ready(tuner);
  const slowest = await floods(tuner, 4_000);
  t.ok(slowest < IN_TIME_MS, `the slowest took ${slowest.toFixed()} ms`);
  await keepsItsPromise(t, tuner, 'right');
  t.ok((await tuner.metric('oaas_tuner_log_lines_lost_total')) > 1_000, 'what waits for a reader has a bound');
});

t.test('the disk of the log is full', { skip: existsSync('/dev/full') ? false : 'needs /dev/full' }, async (t) => {
  const cluster = await playCluster(t);
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig }, stdout: full });
  await ready(tuner);
  t.ok((await floods(tuner, 4_000)) < IN_TIME_MS);
  await keepsItsPromise(t, tuner, 'right');
  t.ok((await tuner.metric('oaas_tuner_log_lines_lost_total')) > 1_000, 'the log cannot tell, the metric can');
  await ends(tuner);
});

t.test('the reader of the log has gone', async (t) => {
  const cluster = await playCluster(t);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig }, stdout: 'unread' });
  await ready(tuner);
  tuner.child.stdout?.destroy();
  t.ok((await floods(tuner, 4_000)) < IN_TIME_MS);
  await keepsItsPromise(t, tuner, 'right');
  await ends(tuner);
});
