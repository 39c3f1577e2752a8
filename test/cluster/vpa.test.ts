/** The strategy `vpa` against VPA's real admission controller and updater. */
import t from 'tap';
import type { MemoryStatus } from '../../src/domain/record.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { kubectl, type Manifest, manifest, memory, record, settled } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true, vpa: 'controllers' } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 180_000 };

const settings = (cluster: Cluster) => ({
  OPRC_CRM_ENFORCEMENT_STRATEGY: 'vpa',
  ...measuring(cluster),
  // All steps at once.
  OPRC_CRM_COOLDOWN_SECS: '0',
});

// Steady use of 400Mi in a template of 256Mi/512Mi: 400Mi × 1.5 = 600Mi → 608Mi, × 1.5 = 912Mi.
const usage = '400Mi';
const applied = { request: '608Mi', limit: '912Mi' };
// VPA keeps the template's proportion, one to two.
const inPods = '608Mi/1216Mi';

t.test(
  'what a record applies reaches its pods through VPA, and the template stays as it was',
  { skip: can.ok ? false : 'needs Go 1.26' },
  async (t) => {
    const cluster = await startCluster({ ...parts, say: console.error });
    t.teardown(() => cluster.stop());
    const tuner = await startTuner(cluster, settings(cluster));
    t.teardown(() => tuner.stop());
    const apply = (yaml: string) => kubectl(cluster, ['apply', '-f', '-'], yaml);
    const deploy = async (name: string, from: Manifest = {}) => {
      await apply(manifest({ name, owner: name, usage, ...from }));
      await settled(cluster, name);
    };
    const podsTo = (name: string, count: number, values: string) => {
      const see = async () => {
        const pods = await memoryOfPods(cluster, name);
        if (pods.length === count && pods.every((one) => one === values)) return true;
        throw new Error(pods.join(', '));
      };
      return until(`${count} pods of ${name} to have ${values}`, see, PATIENCE);
    };

    await t.test('the record enforces: there is a VPA that says so, owned by the record', async (t) => {
      await apply(record({ name: 'orders', enforce: true }));
      // OaaS makes its Deployments with the record as their controller, and VPA looks up that chain for what it scales.
      const uid = await kubectl(cluster, ['get', 'deploymentrecord', 'orders', '-o', 'jsonpath={.metadata.uid}']);
      const owner = { apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecord', name: 'orders', uid };
      await deploy('orders', { replicas: 2, ownerReferences: [{ ...owner, controller: true }] });
      const told = async () => {
        const found = await vpaOf(cluster, 'orders');
        return targetOf(found) === applied.request && found;
      };
      const vpa = await until('VPA to be told', told, PATIENCE);
      t.strictSame(vpa.metadata.ownerReferences, [owner]);
      t.match(vpa.status.conditions, [{ type: 'RecommendationProvided', status: 'True' }]);
      t.match(await kubectl(cluster, ['get', 'vpa', 'oaas-tuner-orders']), /InPlaceOrRecreate +608Mi +True/);
      const status = await until('the status to say so, too', async () => {
        const found = await statusOf(cluster, 'orders');
        return found?.containers[0]?.applied?.request === applied.request ? found : undefined;
      });
      t.match(status, { phase: 'Enforcing', message: 'VPA applies the values of 1 of 1 containers.' });
      t.match(status.containers[0], {
        ...{ applied, source: 'applied', current: { request: '256Mi', limit: '512Mi' } },
        rationale: /through VPA 608Mi\/1216Mi, in the template's proportion 256Mi\/512Mi$/,
      });
    });

    await t.test('the updater evicts the pods that are off; their successors get request and limit', async (t) => {
      await podsTo('orders', 2, inPods);
      t.match(await kubectl(cluster, ['get', 'events', '-o', 'jsonpath={..reason}']), 'EvictedByVPA');
      t.equal(await memory(cluster), '256Mi/512Mi', 'the template says what the manifest says');
    });

    // VPA's webhook lets a pod through whose ReplicaSet it has not heard of yet; its updater puts that pod right.
    await t.test('new pods have it, also after a rollout', async (t) => {
      await kubectl(cluster, ['scale', 'deployment/orders', '--replicas=3']);
      await podsTo('orders', 3, inPods);
      const said = await kubectl(cluster, ['rollout', 'restart', 'deployment/orders']);
      t.notMatch(said, 'oaas-tuner', 'our webhook has nothing to inject');
      await settled(cluster);
      t.equal(await memory(cluster), '256Mi/512Mi');
      await podsTo('orders', 3, inPods);
    });

    await t.test('a pod that can be resized is resized where it runs', async () => {
      await apply(record({ name: 'resized' }));
      await deploy('resized');
      const [before] = (await podsOf(cluster, 'resized')) as [Pod];
      // KWOK's kubelets do not say what they gave; one that does is one that can resize.
      await saysItsResources(cluster, before);
      await apply(record({ name: 'resized', enforce: true }));
      await podsTo('resized', 1, inPods);
      const [after] = (await podsOf(cluster, 'resized')) as [Pod];
      t.equal(after.metadata.uid, before.metadata.uid);
      t.equal(await memory(cluster, 'deployment/resized'), '256Mi/512Mi');
    });

    await t.test('an override is what the pods get, to the letter, and what VPA says', async (t) => {
      await apply(
        record({ name: 'orders', enforce: true, overrides: { function: { request: '300Mi', limit: '400Mi' } } }),
      );
      await until(
        'VPA to be told nothing until the template carries it',
        async () => !(await vpaOf(cluster, 'orders')),
      );
      await kubectl(cluster, ['annotate', 'deployment/orders', 'note=1']);
      t.equal(await memory(cluster), '300Mi/400Mi', 'any update brings it in');
      await podsTo('orders', 3, '300Mi/400Mi');
      await until('VPA to say it', async () => targetOf(await vpaOf(cluster, 'orders')) === '300Mi');
    });

    await t.test(
      'record and workload in one apply: pods that VPA still gave the old values are put right',
      async () => {
        await apply(record({ name: 'both', enforce: true }));
        await deploy('both', { replicas: 2 });
        await podsTo('both', 2, inPods);
        const wish = record({ name: 'both', enforce: true, overrides: { function: { request: '300Mi' } } });
        const both = { name: 'both', owner: 'both', usage, replicas: 2 };
        // An update does not wait for the record that came with it: once more, if the webhook saw it too late.
        await until('the wish to be in the template', async () => {
          await apply(`${wish}---\n${manifest({ ...both, version: String(Math.random()) })}`);
          return (await memory(cluster, 'deployment/both')) === '300Mi/512Mi';
        });
        await podsTo('both', 2, '300Mi/512Mi');
      },
    );

    await t.test('the record enforces no more: the VPA goes, and new pods are as the manifest says', async () => {
      await apply(record({ name: 'both', enforce: false }));
      await until('the VPA to go', async () => !(await vpaOf(cluster, 'both')));
      await apply(record({ name: 'resized', enforce: false }));
      await until('the VPA to go', async () => !(await vpaOf(cluster, 'resized')));
      await kubectl(cluster, ['rollout', 'restart', 'deployment/resized']);
      await settled(cluster, 'resized');
      // VPA's webhook may take a moment longer to forget it, and nobody corrects what it gave to a pod meanwhile.
      await until('a new pod to be so', async () => {
        const pods = await memoryOfPods(cluster, 'resized');
        if (pods.every((one) => one === '256Mi/512Mi')) return pods.length === 1;
        await kubectl(cluster, ['delete', 'pods', '-l', 'app=resized']);
        throw new Error(pods.join(', '));
      });
    });

    await t.test('the workload goes: so does the VPA', async () => {
      await kubectl(cluster, ['delete', 'deployment', 'orders']);
      await until('the VPA to go', async () => !(await vpaOf(cluster, 'orders')));
    });

    await t.test('another strategy: the VPA goes', async (t) => {
      await apply(record({ name: 'resized', enforce: true }));
      await podsTo('resized', 1, inPods);
      await tuner.stop();
      t.equal(targetOf(await vpaOf(cluster, 'resized')), '608Mi', 'while nobody works it stands');
      await tuner.start({ OPRC_CRM_ENFORCEMENT_STRATEGY: 'admission' });
      await until('the VPA to go', async () => !(await vpaOf(cluster, 'resized')));
      await tuner.stop();
    });

    await t.test("the record goes while nobody works: the VPA goes by the cluster's garbage collection", async () => {
      await tuner.start();
      await until('VPA to be told', async () => targetOf(await vpaOf(cluster, 'resized')) === '608Mi');
      await tuner.stop();
      await kubectl(cluster, ['delete', 'deploymentrecord', 'resized']);
      await until('the VPA to go', async () => !(await vpaOf(cluster, 'resized')));
    });
  },
);

const withKnative = { ...parts, knative: 'controller' } as const;
const canKnative = available(partsFor(withKnative));

t.test(
  "a Knative Service: its newest Revision's pods",
  { skip: canKnative.ok ? false : 'needs Go 1.26' },
  async (t) => {
    const cluster = await startCluster({ ...withKnative, say: console.error });
    t.teardown(() => cluster.stop());
    const tuner = await startTuner(cluster, settings(cluster));
    t.teardown(() => tuner.stop());
    const service = manifest({
      kind: 'Service',
      usage,
      memory: { 'user-container': { request: '256Mi', limit: '512Mi' } },
    });
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ enforce: true })}---\n${service}`);
    await until(
      'VPA to be told',
      async () => targetOf(await vpaOf(cluster, 'orders-00001-deployment')) === applied.request,
      PATIENCE,
    );
    const have = async () => {
      const found = await podsOf(cluster, 'orders', 'serving.knative.dev/service');
      return found[0]?.spec.containers[0]?.resources.requests?.memory === '608Mi' ? found : undefined;
    };
    const pods = await until('its pod to have it', have, PATIENCE);
    t.match(pods[0]?.spec.containers[0], { name: 'user-container', resources: { limits: { memory: '1216Mi' } } });
    const revisions = await kubectl(cluster, ['get', 'revisions', '-o', 'name']);
    t.equal(revisions.trim().split('\n').length, 1, 'and no other Revision');
  },
);

t.test('a cluster without VPA: the record says so', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ controllers: true, prometheus: true, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster, settings(cluster));
  t.teardown(() => tuner.stop());
  await kubectl(cluster, ['apply', '-f', '-'], `${record({ enforce: true })}---\n${manifest({ usage })}`);
  const recommends = async () => {
    const found = await statusOf(cluster, 'orders');
    return found?.containers[0]?.recommended && found;
  };
  const status = await until('a recommendation', recommends, PATIENCE);
  t.match(status, { phase: 'Degraded', message: /this cluster does not serve autoscaling.k8s.io\/v1/ });
  t.match(status.containers[0], { source: 'recommendation', recommended: applied });
  t.strictSame(await memoryOfPods(cluster, 'orders'), ['256Mi/512Mi']);
});

/** `request/limit` of the container `function` in each pod. */
async function memoryOfPods(cluster: Cluster, app: string): Promise<string[]> {
  return (await podsOf(cluster, app)).map(({ spec: { containers } }) => {
    const { requests, limits } = containers[0]?.resources ?? {};
    return `${requests?.memory ?? '-'}/${limits?.memory ?? '-'}`;
  });
}

type Pod = {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { containers: { resources: { requests?: { memory?: string }; limits?: { memory?: string } } }[] };
  status: { containerStatuses?: object[] };
};

/** The pods that are there to stay. */
async function podsOf(cluster: Cluster, name: string, label = 'app'): Promise<Pod[]> {
  const { body } = await cluster.api().send(`/api/v1/namespaces/default/pods?labelSelector=${label}=${name}`);
  return body.items.filter(({ metadata }: Pod) => !metadata.deletionTimestamp);
}

/** What a kubelet with in-place resize reports of a container: what it really has. */
async function saysItsResources(cluster: Cluster, pod: Pod): Promise<void> {
  const [container] = pod.spec.containers;
  const containerStatuses = [{ ...pod.status.containerStatuses?.[0], resources: container?.resources }];
  const path = `/api/v1/namespaces/default/pods/${pod.metadata.name}/status`;
  const contentType = 'application/merge-patch+json';
  const { status, body } = await cluster
    .api()
    .send(path, { method: 'PATCH', contentType, body: { status: { containerStatuses } } });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

// biome-ignore lint/suspicious/noExplicitAny: as the API server has it
function targetOf(vpa: any): string | undefined {
  return vpa?.status?.recommendation?.containerRecommendations[0]?.target.memory;
}

async function vpaOf(cluster: Cluster, workload: string) {
  const path = `/apis/autoscaling.k8s.io/v1/namespaces/default/verticalpodautoscalers/oaas-tuner-${workload}`;
  const { status, body } = await cluster.api().send(path);
  return status === 404 ? undefined : body;
}

async function statusOf(cluster: Cluster, name: string): Promise<MemoryStatus | undefined> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}`);
  return body.status?.nfr_recommendations?.memory;
}
