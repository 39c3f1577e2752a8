import { execFileSync } from 'node:child_process';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import t from 'tap';

const PRIORITY = join(import.meta.dirname, '../../src/worker/priority.ts');

/** In a process of its own: what a thread has given away it does not get back. */
const PROGRAM = `
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';

const program = 'import(${JSON.stringify(PRIORITY)}).then(({ comeLast }) => (comeLast(), setInterval(() => {}, 1e6)))';
const worker = new Worker(program, { eval: true });
const ofThreads = () =>
  Object.groupBy(readdirSync('/proc/self/task'), (id) => readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim());
const priorities = (ids = []) => [...new Set(ids.map((id) => getPriority(Number(id))))];
const timer = setInterval(() => {
  const { WorkerThread, V8Worker } = ofThreads();
  if (priorities(WorkerThread).join() !== '10' || priorities(V8Worker).join() !== '10') return;
  console.log(JSON.stringify({ main: getPriority(process.pid), worker: priorities(WorkerThread), v8: priorities(V8Worker) }));
  process.exit(0);
}, 20);
`;

t.test(
  'the worker and the collectors of its garbage come after admission',
  { skip: process.platform === 'linux' ? false : 'threads have priorities of their own on Linux alone' },
  async (t) => {
    const out = execFileSync(process.execPath, ['--input-type=module', '--eval', PROGRAM], { timeout: 30_000 });
    t.strictSame(JSON.parse(String(out)), { main: getPriority(), worker: [10], v8: [10] });
  },
);
