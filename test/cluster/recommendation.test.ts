import t from 'tap';
import { request } from 'undici';
import { Mi } from '../../src/domain/quantity.ts';
import type { ContainerStatus, MemoryStatus } from '../../src/domain/record.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { oomKill } from './oom-kill.ts';
import { kubectl, manifest, memory, record, rollout, settled } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 180_000 };

t.test(
  'what Prometheus measured reaches the record, and from there the workload',
  { skip: can.ok ? false : 'needs Go 1.26' },
  async (t) => {
    const cluster = await startCluster({ ...parts, say: console.error });
    t.teardown(() => cluster.stop());
    const tuner = await startTuner(cluster, {
      ...measuring(cluster),
      OPRC_CRM_LONG_WINDOW_SECS: '21600',
      // With `rollout` applied values would go out half a second after they stand in a status.
      OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission',
    });
    t.teardown(() => tuner.stop());

    await t.test(
      'usage scraped from running pods becomes a recommendation with the numbers that the rules give',
      async (t) => {
        await kubectl(
          cluster,
          ['apply', '-f', '-'],
          `${record({ name: 'orders' })}---\n${manifest({ usage: '180Mi', replicas: 2 })}`,
        );
        const status = await statusWhen(cluster, 'orders', ({ phase }) => phase === 'Recommending');
        const [container] = status.containers;
        t.match(container, {
          name: 'function',
          workload: 'Deployment/orders',
          current: { request: '256Mi', limit: '512Mi' },
          observed: { ws_avg: '180Mi', ws_p95: '180Mi', ws_max: '180Mi', window: '6h' },
          source: 'recommendation',
        });
        // Steady use: the average decides. 180Mi × 1.5 = 270Mi → 272Mi; 272Mi × 1.5 = 408Mi → 416Mi.
        const full = await statusWhen(cluster, 'orders', (now) => now.containers[0]?.recommended?.limit === '416Mi');
        t.match(full.containers[0]?.recommended, { request: '272Mi', limit: '416Mi' });
        t.match(
          full.containers[0]?.rationale,
          'average-based with 50% headroom: 270Mi, 405Mi; rounded to 272Mi and 416Mi',
        );
      },
    );

    await t.test('kubectl get tells the state at a glance, describe tells why, and there is one Event', async (t) => {
      const [heading, row] = (await kubectl(cluster, ['get', 'deploymentrecords'])).split('\n');
      t.match(heading, /NAME +PHASE +WORKLOADS +REQUEST +LIMIT +AGE/);
      t.match(row, /orders +Recommending +1 +272Mi +416Mi/);
      // An Event is written after the status that it tells of.
      const { described, events } = await until('its Event', async () => {
        const described = await kubectl(cluster, ['describe', 'deploymentrecord', 'orders']);
        const lines = described.slice(described.indexOf('Events:')).split('\n');
        const events = lines.filter((line) => line.includes('Recommended'));
        return events.length > 0 ? { described, events } : undefined;
      });
      t.match(described, 'average-based with 50% headroom');
      t.equal(events.length, 1, described);
      t.match(events[0], 'Deployment/orders container function: 256Mi/512Mi -> 272Mi/416Mi');
    });

    await t.test('a recommendation alone reaches no workload', async (t) => {
      await kubectl(cluster, ['apply', '-f', '-'], manifest({ usage: '180Mi', replicas: 2, version: '2' }));
      t.equal(await memory(cluster), '256Mi/512Mi');
    });

    await t.test('what others wrote into the status is still there after ours', async (t) => {
      await kubectl(cluster, ['apply', '-f', '-'], record({ name: 'shared' }));
      const theirs = {
        nfr_recommendations: { replicas: { min: 2 } },
        conditions: [{ type: 'Available', status: 'True', reason: 'Deployed', message: 'all is well' }],
        phase: 'RUNNING',
      };
      const path = '/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/shared/status';
      const send = { method: 'PATCH', contentType: 'application/merge-patch+json', body: { status: theirs } };
      await cluster.api().send(path, send);
      await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'shared', owner: 'shared', usage: '300Mi' }));
      await statusWhen(cluster, 'shared', ({ phase }) => phase === 'Recommending');
      const { body } = await cluster.api().send(path);
      t.match(body.status, theirs);
      const ours = body.metadata.managedFields.find(({ manager }: { manager: string }) => manager === 'oaas-tuner');
      t.strictSame(
        Object.keys(ours.fieldsV1['f:status']['f:nfr_recommendations']),
        ['f:memory'],
        'we own our part and no more',
      );
    });

    await t.test(
      'six hours of history: the applied values step down and go out with the next change of the template',
      async (t) => {
        await kubectl(
          cluster,
          ['apply', '-f', '-'],
          manifest({
            name: 'steps',
            owner: 'steps',
            usage: '100Mi',
            memory: { function: { request: '512Mi', limit: '1Gi' } },
          }),
        );
        await settled(cluster, 'steps');
        await pushHistory(cluster, 'steps', 100 * Mi);
        const before = await rollout(cluster, 'steps');
        await kubectl(cluster, ['apply', '-f', '-'], record({ name: 'steps', enforce: true }));
        const status = await statusWhen(
          cluster,
          'steps',
          ({ phase, containers }) => phase === 'Enforcing' && containers[0]?.applied !== undefined,
        );
        // 100Mi × 1.5 = 150Mi → 160Mi; × 1.5 = 240Mi. 512Mi − 30 % = 358.4Mi → 368Mi; 1Gi − 30 % = 716.8Mi → 720Mi.
        t.match(status.containers[0], {
          recommended: { request: '160Mi', limit: '240Mi' },
          applied: { request: '368Mi', limit: '720Mi' },
          source: 'applied',
        });
        t.strictSame(await rollout(cluster, 'steps'), before, 'nothing restarts because of a number in a status');

        const said = await until('the webhook to have seen them', async () => {
          const said = await kubectl(cluster, ['rollout', 'restart', 'deployment/steps']);
          return said.includes('record steps') && said;
        });
        t.match(said, 'function memory 512Mi/1Gi -> 368Mi/720Mi (request/limit, applied in record steps)');
        t.equal(await memory(cluster, 'deployment/steps'), '368Mi/720Mi');
        const after = await statusOf(cluster, 'steps');
        t.match(
          after?.history.map(({ change }) => change),
          ['recommended', 'applied'],
        );
      },
    );

    await t.test('an OOM kill raises the limit at once', async (t) => {
      await kubectl(
        cluster,
        ['apply', '-f', '-'],
        `${record({ name: 'hungry' })}---\n${manifest({ name: 'hungry', owner: 'hungry', usage: '180Mi', memory: { function: { request: '256Mi', limit: '416Mi' } } })}`,
      );
      await settled(cluster, 'hungry');
      await statusWhen(cluster, 'hungry', ({ containers }) => containers[0]?.observed !== undefined);
      const { stdout } = await cluster.kubectl([
        'get',
        'pods',
        '-l',
        'app=hungry',
        '-o',
        'jsonpath={.items[0].metadata.name}',
      ]);
      // A restart is an increase, of a count that was seen before.
      await until('Prometheus to count its restarts', () => countsRestarts(cluster, stdout), PATIENCE);
      await oomKill(cluster.api(), 'default', stdout, 'function');
      // max(416Mi × 1.2, 416Mi + 100Mi) = 516Mi; × 1.1 = 567.6Mi → 576Mi.
      const status = await statusWhen(
        cluster,
        'hungry',
        ({ containers }) => containers[0]?.recommended?.limit === '576Mi',
      );
      t.match(status.containers[0]?.rationale, 'max counted as 516Mi after an OOM kill at 416Mi');
    });

    await t.test('Prometheus gone: the record says so, and what was recommended stands', async (t) => {
      await cluster.kill('prometheus');
      const status = await statusWhen(cluster, 'orders', ({ phase }) => phase === 'Degraded');
      t.match(status.message, 'Prometheus does not answer');
      t.match(status.containers[0]?.recommended, { request: '272Mi', limit: '416Mi' });
      await cluster.start('prometheus');
      await statusWhen(cluster, 'orders', ({ phase }) => phase === 'Recommending');
    });
  },
);

async function statusOf(cluster: Cluster, name: string): Promise<MemoryStatus | undefined> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}`);
  return body.status?.nfr_recommendations?.memory;
}

function statusWhen(
  cluster: Cluster,
  name: string,
  look: (status: MemoryStatus & { containers: ContainerStatus[] }) => boolean,
) {
  const see = async () => {
    const status = await statusOf(cluster, name);
    if (status && look(status)) return status;
    throw new Error(JSON.stringify(status));
  };
  return until(`the status of record ${name}`, see, PATIENCE);
}

async function countsRestarts(cluster: Cluster, pod: string): Promise<boolean> {
  const query = `kube_pod_container_status_restarts_total{pod="${pod}"}`;
  const { body } = await request(`${cluster.prometheusUrl}/api/v1/query?${new URLSearchParams({ query })}`);
  const { data } = (await body.json()) as { data: { result: object[] } };
  return data.result.length > 0;
}

/** Six hours of steady use by the Deployment's pod, a sample every 30 s. */
async function pushHistory(cluster: Cluster, name: string, bytes: number): Promise<void> {
  const { stdout } = await cluster.kubectl([
    'get',
    'pods',
    '-l',
    `app=${name}`,
    '-o',
    'jsonpath={.items[0].metadata.name}',
  ]);
  const labels = { namespace: 'default', pod: stdout, container: 'function', image: 'dev.local/function:1' };
  const now = Date.now();
  const samples = Array.from({ length: 720 }, (_, index) => ({ at: now - index * 30_000, value: bytes })).reverse();
  await cluster.metricsPush([{ labels: { __name__: 'container_memory_working_set_bytes', ...labels }, samples }]);
}
