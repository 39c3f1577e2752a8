/** What a cycle makes of requests: one status for memory and concurrency, from which both can be decided again. */
import t from 'tap';
import type { Loads } from '../../src/collect/load.ts';
import type { ConcurrencyStatus } from '../../src/domain/concurrency.ts';
import { at, type JsonObject } from '../../src/domain/json.ts';
import { drawExplanation, explain } from '../../src/record/explain.ts';
import { MINUTE, NOW, rulesFrom } from '../recommend/rules.ts';
import { loadWindow } from '../recommend/services.ts';
import { deployment, measured, type PlayedCluster, playCluster, record } from './played-cluster.ts';

const REF = 'KnativeService/orders';

function service(annotations: JsonObject = {}): JsonObject {
  const spec = at(deployment('orders', '256Mi/512Mi'), 'spec', 'template', 'spec') as JsonObject;
  return {
    ...{ apiVersion: 'serving.knative.dev/v1', kind: 'Service' },
    metadata: { name: 'orders', namespace: 'shop', labels: { 'oaas.io/owner': 'orders' } },
    spec: { template: { metadata: { annotations }, spec } },
  };
}
const revision = deployment('orders-00001-deployment', '256Mi/512Mi', {
  labels: { 'serving.knative.dev/service': 'orders', 'serving.knative.dev/revision': 'orders-00001' },
});
const served = (object = service(), wishes: JsonObject = {}) =>
  playCluster([record('orders', wishes)], [object], { revisions: [revision] });
const tight = async () => measured([REF], 100, 200, 475);
const requests = (concurrency: number, absent = false) => ({
  load: async (): Promise<Loads> => {
    const window = loadWindow(concurrency, { rate: 12.5 });
    const one = { short: window, long: window, partial: false, points: {} };
    return { loads: new Map(absent ? [] : [[`shop/${REF}`, one]]), troubles: new Map(), absent };
  },
});
const told = async (cluster: PlayedCluster) =>
  at((await cluster.records())[0], 'status', 'nfr_recommendations', 'concurrency') as unknown as ConcurrencyStatus;

t.test('a recommendation stands in the same write as memory, with an Event', async (t) => {
  const cluster = served();
  await cluster.work(tight, NOW, requests(77));
  t.strictSame(cluster.writes, ['orders'], 'one write');
  t.match(await told(cluster), {
    phase: 'Recommending',
    target: '90',
    services: [
      {
        workload: REF,
        current: { target: 100, containerConcurrency: 0, targetBurstCapacity: 211, aim: 70 },
        observed: { concurrency_p95: 77, request_rate: 12.5, window: '6h' },
        recommended: { target: 90, containerConcurrency: 100, at: '2026-01-31T10:00:00.000Z' },
        source: 'recommendation',
        rationale: /target lowered by 10%/,
      },
    ],
    history: [{ change: 'recommended', from: { target: 100 }, to: { target: 90, containerConcurrency: 100 } }],
  });
  t.match(
    cluster.events.join(),
    /orders Recommended: KnativeService\/orders: target 100, containerConcurrency 0 -> target 90/,
  );
  await cluster.work(tight, NOW + MINUTE, requests(77));
  t.equal(cluster.writes.length, 1, 'nothing new is not written');
});

t.test('and can be decided again from the status alone', async (t) => {
  const cluster = served(service(), { enforce: true });
  await cluster.work(tight, NOW, requests(77));
  await cluster.work(tight, NOW + 31 * MINUTE, requests(90));
  const [stored] = await cluster.records();
  if (!stored) return t.fail('the record is gone');
  const { wrong, ...explanation } = explain(stored, undefined, (changed) => rulesFrom(changed));
  t.equal(wrong, 0, drawExplanation({ ...explanation, wrong }));
  t.match(drawExplanation({ ...explanation, wrong }), /✓ applied +target [0-9.]+, containerConcurrency [0-9]+ since/);
  const forged = JSON.parse(JSON.stringify(stored).replaceAll('"target":90', '"target":91'));
  t.ok(explain(forged, undefined, (changed) => rulesFrom(changed)).wrong > 0, 'a number that was not decided is found');
});

t.test('without metrics of Knative memory goes on alone, and the message says what switches them on', async (t) => {
  const cluster = served();
  await cluster.work(async () => measured([REF]), NOW, requests(77, true));
  t.equal(cluster.status('orders')?.phase, 'Recommending');
  const { phase, message } = await told(cluster);
  t.equal(phase, 'NoData');
  t.match(message, /ConfigMap config-observability in knative-serving says metrics-protocol: prometheus/);
  const deployments = playCluster([record('orders')], [deployment('orders')]);
  await deployments.work(async () => measured(['Deployment/orders']), NOW, requests(77, true));
  t.equal(await told(deployments), undefined, 'only for records that have Knative Services');
});

t.test('while requests, or anything, cannot be read, what was decided stands', async (t) => {
  const cluster = served(service(), { enforce: true });
  await cluster.work(tight, NOW, requests(77));
  const before = (await told(cluster)).services;
  const down = async () => {
    throw new Error('Prometheus is away');
  };
  await cluster.work(tight, NOW + MINUTE, { load: down });
  t.match(await told(cluster), { phase: 'Degraded', message: /Prometheus is away; the last recommendations stand/ });
  t.same((await told(cluster)).services, before);
  await cluster.work(down, NOW + 2 * MINUTE, requests(77));
  t.same((await told(cluster)).services, before);
  t.equal(cluster.rolled.length, 1, 'and nothing rolls back');
});

t.test('a Service that scales by something else is named', async (t) => {
  const rps = served(service({ 'autoscaling.knative.dev/metric': 'rps' }));
  await rps.work(tight, NOW, requests(77));
  t.match(await told(rps), {
    phase: 'Observing',
    message: /KnativeService\/orders: kpa.autoscaling.knative.dev scales it by rps, not by requests in flight/,
  });
  t.equal((await told(rps)).services[0]?.recommended, undefined);
});

t.test("a person's target is the first that is shown", async (t) => {
  const overridden = served();
  overridden.setRecord('orders', ({ spec }) => {
    spec.nfr.knative_tuning = { overrides: { annotations: { 'autoscaling.knative.dev/target': '50' } } };
  });
  await overridden.work(tight, NOW, requests(77));
  t.match(await told(overridden), { target: '50', services: [{ source: 'override', override: { target: 50 } }] });
});

t.test('switched off for the record, nothing is decided', async (t) => {
  const cluster = served(service(), { enabled: false });
  await cluster.work(tight, NOW, requests(77));
  t.match(await told(cluster), { phase: 'Disabled', services: [] });
});
