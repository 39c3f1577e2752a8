/** As little memory as the chart gives: what would take more is refused, and nobody is killed for it. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { readBytes } from '../../src/domain/quantity.ts';
import { container, deployment } from '../admit/objects.ts';
import { until } from '../cluster/until.ts';
import { playPrometheus } from '../collect/played-prometheus.ts';
import { record, review } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { flood, keepsItsPromise, run } from './running.ts';

const values = parse(readFileSync(join(import.meta.dirname, '../../charts/oaas-tuner/values.yaml'), 'utf8'));
const LIMIT = readBytes(values.resources.limits.memory) ?? 0;
const MiB = 1024 * 1024;

type Group = { folder: string; most(): number; kills(): number };

/** A control group with that much memory, as a container is one; `undefined` where this process may not make any. */
function groupOf(t: Test, bytes: number): Group | undefined {
  const [one, two] = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'].map((root) => join(root, `oaas-tuner-${process.pid}`));
  for (const [folder, limit, peak, events] of [
    [one, 'memory.limit_in_bytes', 'memory.max_usage_in_bytes', 'memory.oom_control'],
    [two, 'memory.max', 'memory.peak', 'memory.events'],
  ] as [string, string, string, string][]) {
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, limit), String(bytes));
      t.teardown(() => until('the group to be empty', () => [rmdirSync(folder)]));
      const read = (file: string) => readFileSync(join(folder, file), 'utf8');
      return {
        folder,
        most: () => Number(read(peak)),
        kills: () => Number(/oom_kill (\d+)/.exec(read(events))?.[1] ?? 0),
      };
    } catch {
      // The other kind of control groups, or none that is ours to make.
    }
  }
  return undefined;
}

t.test('in a container with the memory that the chart gives', async (t) => {
  const group = groupOf(t, LIMIT);
  if (!group) {
    t.comment('skipped: needs the right to make a control group; run it as root');
    return;
  }
  const prometheus = await playPrometheus((_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(' '.repeat(MiB)));
    };
    response.writeHead(200).on('drain', more);
    more();
  });
  t.teardown(prometheus.close);
  const others = Array.from({ length: 20_000 }, (_, index) => record(`other-${index}`));
  const cluster = await playCluster(t, [record(), ...others]);
  const workload = deployment([container('function', '256Mi', '512Mi')]);
  cluster.workloads = [workload];
  const env = {
    KUBECONFIG: cluster.kubeconfig,
    OPRC_CRM_PROM_URL: prometheus.url,
    OPRC_CRM_ANALYZER_INTERVAL_SECS: '1',
  };
  const tuner = await run(t, { env, cgroup: group.folder });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await until('Prometheus to be talking', () => prometheus.questions.length > 0);
  const tiny = deployment(Array.from({ length: 100_000 }, (_, index) => ({ name: `${index}` })));
  const text = JSON.stringify(review(tiny, { operation: 'UPDATE', oldObject: tiny }));
  await flood(tuner.trusting(12), text);
  await keepsItsPromise(t, tuner, 'right');
  t.equal(group.kills(), 0, `${(group.most() / MiB).toFixed()} of ${LIMIT / MiB} MiB were taken at most`);
});
