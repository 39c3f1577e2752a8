/** A worker that runs for months: what one cycle held, the next one has let go, however much comes and goes. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Registry } from 'prom-client';
import t from 'tap';
import type { Prometheus } from '../../src/collect/prometheus.ts';
import { createCollector } from '../../src/collect/usage.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { RecordResource } from '../../src/domain/record.ts';
import { createLog } from '../../src/log.ts';
import type { Cluster } from '../../src/worker/cluster.ts';
import { considerate } from '../../src/worker/considerate.ts';
import { cycle, type Parts } from '../../src/worker/cycle.ts';
import { onlyWhile } from '../../src/worker/guarded.ts';
import { workerMetrics } from '../../src/worker/metrics.ts';
import { MINUTE, NOW, RULES } from '../recommend/rules.ts';
import { deployment, record, refused } from './played-cluster.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Records at a time, each with a container; a twentieth of them is replaced by others in each cycle. */
const RECORDS = Number(process.env.OAAS_TUNER_RECORDS ?? 400);
const NEW_EACH_CYCLE = RECORDS / 20;
const CYCLES = Number(process.env.OAAS_TUNER_CYCLES ?? 300);

function heapMiB(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Forgets what it was told, but for the statuses of the records that live. */
function churning(): { cluster: Cluster; names(): string[]; churn(): void; written(): number } {
  const stored = new Map<string, RecordResource>();
  let made = 0;
  let written = 0;
  const churn = () => {
    for (const name of [...stored.keys()].slice(0, stored.size < RECORDS ? 0 : NEW_EACH_CYCLE)) stored.delete(name);
    while (stored.size < RECORDS) {
      made += 1;
      stored.set(`r${made}`, record(`r${made}`, { enforce: true }));
    }
  };
  churn();
  const cluster: Cluster = {
    records: async () => structuredClone([...stored.values()]),
    reread: async (one) => one,
    workloads: async () => [...stored.keys()].map((name) => deployment(name)),
    revisionDeployments: async () => [],
    limitRanges: async () => [],
    knativeConfig: async () => ({ defaults: {}, autoscaler: {} }),
    around: async () => ({ namespaces: [], autoscalers: [], verticalAutoscalers: undefined, quotas: [] }),
    async requestRollout() {},
    async writeVpa() {},
    async removeVpa() {},
    async writeStatus(one, memory) {
      written += 1;
      // Some of everything that can go wrong.
      if (written % 97 === 0) throw refused(429, 'too many requests', 1);
      if (written % 101 === 0) throw refused(409, 'the object has been modified');
      if (written % 103 === 0) throw refused(500, 'etcd is slow');
      const status = JSON.parse(JSON.stringify({ nfr_recommendations: { memory } }));
      stored.set(one.metadata.name, { ...one, status });
    },
    async emit() {},
  };
  return { cluster, names: () => [...stored.keys()], churn, written: () => written };
}

t.setTimeout(30 * MINUTE);

t.test('hundreds of cycles over records that come and go leave the heap as it was', async (t) => {
  const { cluster, names, churn, written } = churning();
  let now = NOW;
  const pace = {
    ...{ perSecond: 1e9, events: { burst: 500, perSecond: 10 } },
    sleep: async () => {},
    clock: () => now,
  };
  // Pods come and go with the records: what the collector remembers of the long window has to go with them.
  const prometheus: Prometheus = {
    async query(promql) {
      const usage = (100 + ((now / MINUTE) % 200)) * Mi;
      const values = promql.startsWith('sum')
        ? { sum: usage * 720, count: 720 }
        : { p95: usage * 1.5, max: usage * 2, samples: 720 };
      const rows = names().flatMap((workload) =>
        Object.entries(values).map(([statistic, value]) => ({
          labels: { namespace: 'shop', workload, container: 'function', statistic },
          ...{ value, at: now },
        })),
      );
      return { rows, partial: false };
    },
  };
  const collect = createCollector(prometheus, {
    ...{ matchers: '', selector: '', seriesNames: {}, shortWindowSeconds: 600, longWindowSeconds: 21_600 },
  });
  const patient = new AbortController().signal;
  const registry = new Registry();
  const metrics = workerMetrics(registry);
  const parts: Parts = {
    cluster: considerate(onlyWhile(() => true, cluster).cluster, pace),
    usage: (targets, at) => collect(targets, at, patient),
    rules: RULES,
    storesCatchUp: async () => {},
    ownNamespace: '',
    limits: { perNamespace: 2, perCluster: 10 },
    strategy: 'rollout',
    gates: { enforcement: true, enabledByDefault: true },
    record: { group: 'oaas.io', kind: 'DeploymentRecord' },
    log: createLog('silent'),
  };
  const heaps: number[] = [];
  for (let count = 1; count <= CYCLES; count += 1) {
    metrics.finished(await cycle(parts, now), 1);
    await registry.metrics();
    churn();
    now += MINUTE;
    if (count % (CYCLES / 5) === 0) heaps.push(heapMiB());
  }
  t.ok(written() > CYCLES * NEW_EACH_CYCLE, `${written()} writes`);
  // The first fifth has replaced every record three times. A leak of a hundred bytes for each write after that would come to 3 MiB.
  const [settled = 0, ...later] = heaps;
  const mayGrow = 3 * (RECORDS / 400);
  for (const heap of later) t.ok(heap < settled + mayGrow, `${heaps.map((one) => one.toFixed(1)).join(', ')} MiB`);
});
