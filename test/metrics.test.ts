import { Registry } from 'prom-client';
import t from 'tap';
import { OUTCOMES } from '../src/domain/reasons.ts';
import {
  admissionMetrics,
  CERTIFICATES_SERVED,
  canaryMetrics,
  certificateMetrics,
  countedMetric,
  LOG_LINES_LOST,
  leaderMetrics,
  storeMetrics,
  WORKER_DEATHS,
} from '../src/metrics.ts';
import { createRecordStore } from '../src/store/records.ts';
import { workerMetrics } from '../src/worker/metrics.ts';

function everything() {
  const registry = new Registry();
  const store = createRecordStore();
  const admission = admissionMetrics(registry);
  storeMetrics(registry, store);
  certificateMetrics(registry, () => 1_800_000_000_000);
  leaderMetrics(registry, () => true);
  canaryMetrics(registry);
  for (const what of [CERTIFICATES_SERVED, LOG_LINES_LOST, WORKER_DEATHS]) countedMetric(registry, what, () => 0);
  const ofWorker = new Registry();
  const worker = workerMetrics(ofWorker);
  const text = async () => (await registry.metrics()) + (await ofWorker.metrics());
  return { registry, ofWorker, store, admission, worker, text };
}

const REPORT = {
  ...{ records: 3, workloads: 2, containers: 4, recommended: 2, applied: 1, 'taken-back': 1, written: 2, failed: 1 },
  conflicts: 3,
  phases: { Recommending: 5, NoData: 1 },
  rollouts: { asked: 2, failed: 1, underWay: 3, waiting: { cooldown: 4 } },
  steps: { list: 0.1, collect: 0.5, decide: 0.2, write: 0.7 },
  figures: [
    {
      ...{ namespace: 'shop', record: 'orders', requested: 600, measured: 400, used: 100, kills: 2 },
      saved: { request: 300, limit: -50 },
    },
  ],
  errors: [
    { request: 0.75, limit: 0.95 },
    { request: 1.05, limit: 1 },
  ],
};

t.test('every metric is ours by name, has help, base units, and _total if and only if it is a counter', async (t) => {
  const { registry, ofWorker } = everything();
  const metrics = [...(await registry.getMetricsAsJSON()), ...(await ofWorker.getMetricsAsJSON())];
  t.ok(metrics.length > 10, 'they were found');
  for (const { name, help, type } of metrics) {
    t.match(name, /^oaas_tuner_[a-z]+(_[a-z]+)*$/);
    t.match(help, /^[A-Z].{10,}\.$/, `${name} says what it means`);
    t.equal(name.endsWith('_total'), String(type) === 'counter', `${name} is a ${type}`);
    t.notMatch(name, /milli|micro|minutes|hours|days|_ms\b|kilo|mega|percent/, `${name}: seconds, bytes, ratios`);
    if (String(type) === 'histogram') t.match(name, /_(seconds|bytes|ratio)$/);
  }
  t.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length, 'both registries fit into one text');
});

t.test('every reason is there from the start, at 0, for each kind and operation', async (t) => {
  const text = await everything().text();
  for (const [reason, { result }] of Object.entries(OUTCOMES)) {
    for (const kind of ['Deployment', 'KnativeService', 'other']) {
      for (const operation of ['CREATE', 'UPDATE', 'other']) {
        const labels = `kind="${kind}",operation="${operation}",result="${result}",reason="${reason}"`;
        if (!text.includes(`oaas_tuner_admissions_total{${labels}} 0\n`)) t.fail(labels);
      }
    }
  }
  t.pass();
});

t.test('every counter starts at 0', async (t) => {
  const text = await everything().text();
  const counters = text.split('\n').filter((line) => /^\w+_total/.test(line));
  t.strictSame(
    counters.filter((line) => !line.endsWith(' 0')),
    [],
  );
  for (const labels of ['outcome="ok"', 'outcome="no-usage"', 'outcome="failed"'])
    t.match(text, `oaas_tuner_cycles_total{${labels}} 0`);
  for (const labels of ['change="recommended"', 'change="applied"'])
    t.match(text, `oaas_tuner_decisions_total{${labels}} 0`);
  for (const labels of ['allowed="true"', 'allowed="false"'])
    t.match(text, `oaas_tuner_validations_total{${labels}} 0`);
});

t.test('a kind or an operation that is not ours makes no new series', async (t) => {
  const { admission, text } = everything();
  const before = (await text()).split('\n').length;
  admission.answered('ReplicaSet', 'DELETE', 'not-a-workload', 0.004);
  t.match(
    await text(),
    'oaas_tuner_admissions_total{kind="other",operation="other",result="skipped",reason="not-a-workload"} 1',
  );
  t.equal((await text()).split('\n').length, before);
  t.match(await text(), 'oaas_tuner_admission_duration_seconds_bucket{le="0.005"} 1');
});

t.test('the store tells how many records it holds and how old its knowledge is', async (t) => {
  const { store, text } = everything();
  t.match(await text(), 'oaas_tuner_store_age_seconds Nan');
  store.replace([
    { apiVersion: 'oaas.io/v1alpha1', kind: 'DeploymentRecord', metadata: { name: 'a', namespace: 'b' } },
  ]);
  store.confirm(Date.now() - 120_000);
  const [, age] = /^oaas_tuner_store_age_seconds (\S+)/m.exec(await text()) ?? [];
  t.ok(Number(age) >= 120 && Number(age) < 180);
  t.match(await text(), 'oaas_tuner_store_records 1');
});

t.test('a cycle tells what it did, or why not', async (t) => {
  const { worker, text } = everything();
  worker.finished(REPORT, 1.5);
  t.match(await text(), 'oaas_tuner_cycles_total{outcome="ok"} 1');
  t.match(await text(), 'oaas_tuner_decisions_total{change="recommended"} 2');
  t.match(await text(), 'oaas_tuner_decisions_total{change="applied"} 1');
  t.match(await text(), 'oaas_tuner_decisions_total{change="taken-back"} 1');
  t.match(await text(), 'oaas_tuner_rollouts_total{event="asked"} 2');
  t.match(await text(), 'oaas_tuner_rollouts_total{event="failed"} 1');
  t.match(await text(), 'oaas_tuner_rollouts_under_way 3');
  t.match(await text(), 'oaas_tuner_workloads_waiting{reason="cooldown"} 4');
  t.match(await text(), 'oaas_tuner_workloads_waiting{reason="quota"} 0');
  t.match(await text(), 'oaas_tuner_status_writes_total 2');
  t.match(await text(), 'oaas_tuner_record_failures_total 1');
  t.match(await text(), 'oaas_tuner_observed_workloads 2');
  t.match(await text(), 'oaas_tuner_status_conflicts_total 3');
  t.match(await text(), 'oaas_tuner_records{phase="Recommending"} 5');
  t.match(await text(), 'oaas_tuner_records{phase="NoData"} 1');
  t.match(await text(), 'oaas_tuner_records{phase="Degraded"} 0');
  t.match(await text(), 'oaas_tuner_cycle_step_seconds{step="collect"} 0.5');
  t.match(await text(), 'oaas_tuner_cycle_duration_seconds 1.5');
  const [, finished] = /^oaas_tuner_cycle_finished_timestamp_seconds (\S+)/m.exec(await text()) ?? [];
  t.ok(Math.abs(Number(finished) - Date.now() / 1000) < 60);
  const orders = 'record_namespace="shop",record="orders"';
  t.match(await text(), `oaas_tuner_requested_bytes{${orders}} 600`);
  t.match(await text(), `oaas_tuner_over_request_ratio{${orders}} 0.75`);
  t.match(await text(), `oaas_tuner_oom_kills{${orders}} 2`);
  t.match(await text(), `oaas_tuner_saved_bytes{${orders},side="request"} 300`);
  t.match(await text(), `oaas_tuner_saved_bytes{${orders},side="limit"} -50`);
  t.match(await text(), 'oaas_tuner_recommendation_error_ratio_bucket{le="0.8",side="request"} 1');
  t.match(await text(), 'oaas_tuner_recommendation_error_ratio_bucket{le="1.1",side="request"} 2');
  t.match(await text(), 'oaas_tuner_recommendation_error_ratio_bucket{le="1",side="limit"} 2');
  worker.finished({ ...REPORT, figures: [] }, 1);
  t.notMatch(await text(), 'record="orders"', 'a record that is gone leaves nothing behind');
  worker.finished({ ...REPORT, trouble: 'Prometheus does not answer' }, 1);
  worker.failed(2);
  worker.overran();
  t.match(await text(), 'oaas_tuner_cycles_total{outcome="no-usage"} 1');
  t.match(await text(), 'oaas_tuner_cycles_total{outcome="failed"} 1');
  t.match(await text(), 'oaas_tuner_cycles_overrun_total 1');
});

t.test('the expiry of the certificate is Unix time', async (t) => {
  t.match(await everything().text(), 'oaas_tuner_certificate_expiry_timestamp_seconds 1800000000\n');
});

t.test('who works says so', async (t) => {
  t.match(await everything().text(), 'oaas_tuner_leader 1\n');
});
