/** Every query of the dashboard, asked of a real Prometheus that scrapes a real tuner and the API server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { request } from 'undici';
import { CHART } from '../chart/helm.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { kubectl, manifest, record } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 120_000 };

type Panel = { title: string; targets?: { expr: string }[] };
const { panels } = JSON.parse(readFileSync(join(CHART, 'files/dashboard.json'), 'utf8')) as { panels: Panel[] };

t.test('the dashboard shows something in every panel', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster, measuring(cluster));
  t.teardown(() => tuner.stop());
  cluster.scrape([tuner.opsUrl, cluster.url]);
  const both = 'sum(up{job="told"}) == 2';
  await until('Prometheus to scrape both', async () => (await ask(cluster, both)).length > 0, PATIENCE);

  const waste = { function: { request: '1Gi', limit: '2Gi' } };
  await kubectl(
    cluster,
    ['apply', '-f', '-'],
    `${record({ enforce: true })}---\n${manifest({ usage: '180Mi', memory: waste })}---\n${manifest({ name: 'stray', owner: 'nobody' })}`,
  );
  // kube-state-metrics exports labels of pods only where it is told to; here the test does, of those that are there.
  const pushLabels = async () => {
    const { body } = await cluster.api().send('/api/v1/namespaces/default/pods?labelSelector=app%3Dorders');
    const pods: string[] = body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
    const labelled = (pod: string) => ({
      labels: { __name__: 'kube_pod_labels', namespace: 'default', pod, label_oaas_io_owner: 'orders' },
      samples: [{ value: 1, at: Date.now() }],
    });
    await cluster.metricsPush(pods.map(labelled));
  };
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets) {
      // What is filtered for more than 0 is empty in a healthy cluster: then its unfiltered form has to be there.
      const query = expr.replace(/ > 0$/, '');
      const found = await until(
        `${title}: ${query}`,
        async () => {
          await pushLabels();
          const series = await ask(cluster, query);
          return series.length > 0 && series;
        },
        PATIENCE,
      );
      t.ok(found, title);
    }
  }
  t.ok(panels.flatMap(({ targets = [] }) => targets).length > 20);
});

async function ask(cluster: Cluster, query: string): Promise<unknown[]> {
  const { body } = await request(`${cluster.prometheusUrl}/api/v1/query?${new URLSearchParams({ query })}`);
  const { data, error } = (await body.json()) as { data?: { result: unknown[] }; error?: string };
  if (!data) throw new Error(`${query}: ${error}`);
  return data.result;
}
