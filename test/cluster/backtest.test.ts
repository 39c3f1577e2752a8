/**
 * A history in the real Prometheus, replayed by the command; and the rules that did well in replays, live: from what is
 * scraped to what runs, explained by the record alone.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { replay } from '../../src/replay/replay.ts';
import { vpa } from '../../src/replay/vpa.ts';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import { run } from './command.ts';
import type { Series } from './remote-write.ts';
import { kubectl, manifest, record, restarted } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 120_000 };
const MINUTE = 60_000;
const script = (name: string) => join(import.meta.dirname, '../../src', `${name}.ts`);

/** Three hours up to ten minutes ago, every half minute: nothing is scraped of that time. */
const LAST = Math.floor(Date.now() / MINUTE) * MINUTE - 10 * MINUTE;
const times = Array.from({ length: 360 }, (_, index) => LAST - (359 - index) * (MINUTE / 2));

/** One pod of `Deployment/past`, as cAdvisor and kube-state-metrics show it. @param used Mi, by sample */
function podSeries(pod: string, used: (index: number) => number): Series[] {
  const labels = { namespace: 'history', pod };
  const container = { ...labels, container: 'function' };
  const constant = (value: number) => times.map((at) => ({ at, value }));
  const memory = { ...container, resource: 'memory' };
  const owner = { owner_kind: 'ReplicaSet', owner_name: 'past-5d9c', owner_is_controller: 'true' };
  return [
    {
      labels: { __name__: 'container_memory_working_set_bytes', ...container, image: 'f:1', id: `/${pod}` },
      samples: times.map((at, index) => ({ at, value: used(index) * Mi })),
    },
    { labels: { __name__: 'kube_pod_owner', ...labels, ...owner }, samples: constant(1) },
    { labels: { __name__: 'kube_pod_container_resource_requests', ...memory }, samples: constant(256 * Mi) },
    { labels: { __name__: 'kube_pod_container_resource_limits', ...memory }, samples: constant(512 * Mi) },
  ];
}

t.test('histories and the rules that they chose', { skip: can.ok ? false : can.why }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const out = mkdtempSync(join(tmpdir(), 'backtest-'));
  t.teardown(() => rmSync(out, { recursive: true }));

  await t.test('the largest pod at each minute, with what ran, is replayed as from a file', async (t) => {
    // Each minute has two samples, of which the larger counts; the second pod takes the lead after an hour.
    const one = (index: number) => 300 + (index % 2);
    const two = (index: number) => (index < 120 ? 10 : 700 + (index % 2));
    await cluster.metricsPush([...podSeries('past-5d9c-a', one), ...podSeries('past-5d9c-b', two)]);
    const args = [
      script('backtest'),
      '--prometheus',
      cluster.prometheusUrl,
      '--namespace',
      'history',
      '--days',
      '0.25',
    ];
    const { code, stdout, stderr } = await run(process.execPath, [...args, '--out', out], '', {});
    t.equal(code, 0, stderr);
    t.match(stdout, /^\| ours, requirement +\| \d+ /m);
    const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
    t.same(Object.keys(report.containers), ['history/past/function']);
    const { manifest, policies, from, to } = report.containers['history/past/function'];
    t.same(manifest, { request: 256 * Mi, limit: 512 * Mi });
    // A step of a minute ends at a full one, and its range is open at its start.
    const steps = new Map<number, number>();
    for (const [index, at] of times.entries()) {
      const step = Math.ceil(at / MINUTE) * MINUTE;
      steps.set(step, Math.max(steps.get(step) ?? 0, one(index), two(index)));
    }
    const samples = [...steps]
      .map(([at, mi]) => ({ at, bytes: mi * Mi }))
      .filter((one) => one.at >= from && one.at <= to);
    t.ok(samples.length >= 175, `${samples.length} of the 180 minutes`);
    t.same(policies.VPA, replay(samples, vpa, manifest));
    t.equal(policies.manifest.kills, samples.filter(({ bytes }) => bytes > 512 * Mi).length);
  });

  await t.test('the adaptive rules recommend, apply and explain in the running tuner', async (t) => {
    const tuner = await startTuner(cluster, {
      OPRC_CRM_PROM_URL: cluster.prometheusUrl,
      OPRC_CRM_MEMORY_RULES: 'adaptive',
      OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission',
      // A minute's worth of ten samples stands for the hour's 120.
      OPRC_CRM_SCRAPE_INTERVAL_SECS: '6',
      OPRC_CRM_SHORT_WINDOW_SECS: '10',
      OPRC_CRM_LONG_WINDOW_SECS: '60',
      OPRC_CRM_STEP_PERCENT: '100',
    });
    t.teardown(() => tuner.stop());
    const file = manifest({ usage: '180Mi', memory: { function: { request: '512Mi', limit: '2Gi' } } });
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ enforce: true })}---\n${file}`);
    const explain = () =>
      run(process.execPath, [script('explain'), 'default/orders'], '', { KUBECONFIG: cluster.kubeconfigFor('person') });
    // p95 180Mi × 1.05 = 189Mi; max 180Mi + 512Mi = 692Mi.
    const waiting = await until(
      'values of the adaptive rules',
      async () => {
        const said = await explain();
        return said.stdout.includes('512Mi/2Gi (applied): 192Mi/704Mi waits') ? said : Promise.reject(said.stdout);
      },
      PATIENCE,
    );
    t.match(waiting.stdout, 'OPRC_CRM_MEMORY_RULES=adaptive');
    t.match(
      waiting.stdout,
      'p95-based with 5% headroom: 189Mi; limit max-based with 512Mi headroom: 692Mi'.split('; ')[0],
    );
    await restarted(cluster, (memory) => memory === '192Mi/704Mi');
    await until(
      'the status to see them',
      async () => {
        const said = await explain();
        return said.code === 0 ? said : Promise.reject(new Error(said.stdout + said.stderr));
      },
      PATIENCE,
    );
    t.match((await explain()).stdout, '✓ runs         192Mi/704Mi (applied)');
  });
});
