/**
 * `npm run demo:cluster`: the real control plane, the real Prometheus and the tuner on loopback, with a few workloads to
 * play with. Stays until Ctrl-C and leaves nothing behind.
 */
import { Mi } from '../../src/domain/quantity.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { manifest, record } from './stage.ts';
import { measuring, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true } as const;
const can = available(partsFor(parts));
if (!can.ok) {
  console.error(`npm run demo:cluster ${can.why}\nWithout a cluster: npm run demo`);
  process.exit(1);
}

const cluster = await startCluster({ ...parts, say: console.log });
const tuner = await startTuner(cluster, {
  ...measuring(cluster),
  OPRC_CRM_ANALYZER_INTERVAL_SECS: '5',
  OPRC_CRM_COOLDOWN_SECS: '60',
});
let leaving = false;
process.on('SIGINT', async () => {
  if (leaving) process.exit(1);
  leaving = true;
  console.log('\nstopping…');
  await tuner.stop();
  await cluster.stop();
  process.exit(0);
});

const large = { function: { request: '512Mi', limit: '1Gi' } };
console.log('applying three records with a Deployment each…');
const said = await cluster.apply(
  [
    record({ name: 'orders' }),
    manifest({ usage: '180Mi', memory: large }),
    record({ name: 'billing', enforce: true }),
    manifest({ name: 'billing', owner: 'billing', usage: '100Mi', memory: large }),
    record({ name: 'search', overrides: { function: { request: '300Mi', limit: '450Mi' } } }),
    manifest({ name: 'search', owner: 'search', usage: '250Mi', memory: large }),
  ].join('---\n'),
);
console.log(said.trim());

console.log('\nwriting six hours of history into Prometheus and waiting for the worker…');
for (const [name, bytes] of Object.entries({ orders: 180 * Mi, billing: 100 * Mi, search: 250 * Mi })) {
  await pushHistory(cluster, name, bytes);
}
await until('recommendations', async () => {
  const { stdout } = await cluster.kubectl(['get', 'deploymentrecords', '-o', 'json']);
  const records: { status?: { nfr_recommendations?: { memory?: { phase?: string } } } }[] = JSON.parse(stdout).items;
  return records.every(({ status }) => /Recommending|Enforcing/.test(status?.nfr_recommendations?.memory?.phase ?? ''));
});
console.log((await cluster.kubectl(['get', 'deploymentrecords'])).stdout);

console.log(`Try, in another terminal:

  export KUBECONFIG=${cluster.kubeconfigFor('person')} PATH=${cluster.bin}:$PATH

  kubectl describe deploymentrecord orders                       # what is recommended, and why
  kubectl rollout restart deployment/billing                     # takes the applied values along: read the warning
  kubectl get deployment billing -o yaml | grep -A5 resources
  kubectl annotate deployment/billing note=hello                 # restarts nothing
  kubectl patch deploymentrecord search --type=merge \\
    -p '{"spec":{"nfr":{"memory_tuning":{"overrides":{"function":{"limit":"64mi"}}}}}}'   # refused, with the reason
  kubectl annotate pod -l app=orders kwok.x-k8s.io/usage-memory=400Mi --overwrite        # use more memory, and watch:
  kubectl get deploymentrecords -w

  metrics of the tuner  ${tuner.opsUrl}/metrics
  Prometheus            ${cluster.prometheusUrl}

Ctrl-C ends everything.`);

/** A wave around the given use, so that average, p95 and maximum differ. */
async function pushHistory({ kubectl, metricsPush }: Cluster, name: string, bytes: number): Promise<void> {
  const pod = await until(`a pod of ${name}`, async () => {
    const { stdout } = await kubectl(['get', 'pods', '-l', `app=${name}`, '-o', 'jsonpath={.items[0].metadata.name}']);
    return stdout === '' ? undefined : stdout;
  });
  const labels = {
    __name__: 'container_memory_working_set_bytes',
    namespace: 'default',
    pod,
    container: 'function',
    image: 'demo',
  };
  const now = Date.now();
  const samples = Array.from({ length: 720 }, (_, index) => ({
    at: now - (720 - index) * 30_000,
    value: Math.round(bytes * (0.6 + 0.4 * Math.sin(index / 40) ** 2)),
  }));
  await metricsPush([{ labels, samples }]);
}
