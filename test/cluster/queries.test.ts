/**
 * The PromQL of a look against the real Prometheus: every number is computed here a second time, from the samples that
 * were pushed, by code that knows no PromQL.
 */
import t, { type Test } from 'tap';
import { createPrometheus, PrometheusError } from '../../src/collect/prometheus.ts';
import { usageOfSamples } from '../../src/collect/recorded.ts';
import { createCollector, type Target } from '../../src/collect/usage.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { WindowUsage } from '../../src/domain/usage.ts';
import { createTrial } from '../../src/replay/trial.ts';
import { readSettings } from '../../src/settings.ts';
import { createPast } from '../../src/worker/past.ts';
import { rulesOf } from '../../src/worker/rules.ts';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import type { Sample, Series } from './remote-write.ts';

const can = available(partsFor({ prometheus: true }));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STEP = 30_000;
/** Right after one of the steps that a past is read in has begun: its first sample comes after a kill. */
const NOW = Math.floor(Date.now() / (5 * MINUTE)) * 5 * MINUTE - 5 * MINUTE + STEP;
const SHORT = 10 * MINUTE;
const LONG = 6 * HOUR;

/** What one container process used, from so long ago until then; each seed gives other numbers. */
function used(seed: number, from: number, until = 0): Sample[] {
  const samples: Sample[] = [];
  for (let age = until; age <= from; age += STEP) {
    samples.push({ at: NOW - age, value: (100 + seed * 20 + (((age / STEP) * 37 + seed * 11) % 83)) * Mi });
  }
  return samples;
}

/** A container process of a pod: after a restart the same pod has another one, with another `id`. */
type Process = { pod: string; id: string; samples: Sample[]; namespace?: string };

// A minute more than the window holds: what is older than it must not count.
const [WHOLE, GONE] = [LONG + MINUTE, 3 * HOUR];
const processes = {
  orders: [
    { pod: 'orders-5d9c-aaa', id: '/1', samples: used(1, WHOLE, 2 * HOUR) },
    { pod: 'orders-5d9c-aaa', id: '/2', samples: used(4, 2 * HOUR - STEP) },
    { pod: 'orders-5d9c-bbb', id: '/3', samples: used(3, 3 * MINUTE) },
    { pod: 'orders-4c8b-ccc', id: '/4', samples: used(9, 5 * HOUR, GONE) },
  ],
  'orders-v2': [{ pod: 'orders-v2-7f6d-ddd', id: '/5', samples: used(20, WHOLE) }],
  'orders-00001-deployment': [{ pod: 'orders-00001-deployment-6b5c-eee', id: '/6', samples: used(2, WHOLE) }],
  'orders-00002-deployment': [
    { pod: 'orders-00002-deployment-7a7a-fff', id: '/7', samples: used(5, HOUR, 20 * MINUTE) },
  ],
  plain: [
    { pod: 'plain-9999-ggg', id: '/8', samples: used(6, WHOLE) },
    { pod: 'plain-9999-hhh', id: '/9', samples: used(7, 4 * HOUR, HOUR) },
  ],
} satisfies Record<string, Process[]>;

const WORKING_SET = 'container_memory_working_set_bytes';
const everybody: Process[] = Object.values(processes).flat();

/** One process as cAdvisor shows it, twice because two Prometheus agents scraped it, and all that is around it. */
function containerSeries({ pod, id, samples }: Process): Series[] {
  const kubelet = { __name__: WORKING_SET, namespace: 'shop', pod, job: 'kubelet' };
  const ours = { ...kubelet, container: 'function', id, image: 'function:1', metrics_path: '/metrics/cadvisor' };
  const larger = samples.map(({ at, value }) => ({ at, value: value * 3 }));
  return [
    { labels: { ...ours, replica: 'a' }, samples },
    { labels: { ...ours, replica: 'b' }, samples },
    // The same name from the kubelet's other endpoint, the pod's own cgroup, and its pause container.
    { labels: { ...kubelet, container: 'function', metrics_path: '/metrics/resource' }, samples: larger },
    { labels: { ...kubelet, id: `/pod${id}` }, samples: larger },
    { labels: { ...kubelet, container: 'POD', id: `/pause${id}`, image: 'pause:3' }, samples: larger },
  ];
}

/** Which ReplicaSet (or what else) a pod belongs to, as two kube-state-metrics say it while the pod lives. */
function ownerSeries({ pod, samples, namespace = 'shop' }: Process, kind = 'ReplicaSet'): Series[] {
  const owner = { owner_kind: kind, owner_name: pod.replace(/-[^-]+$/, ''), owner_is_controller: 'true' };
  const ones = samples.map(({ at }) => ({ at, value: 1 }));
  return ['ksm-0', 'ksm-1'].map((instance) => ({
    labels: { __name__: 'kube_pod_owner', namespace, pod, instance, ...owner },
    samples: ones,
  }));
}

/** Whose a ReplicaSet is; not every kube-state-metrics tells. */
const setSeries = (replicaset: string, kind: string, name: string): Series => ({
  labels: { __name__: 'kube_replicaset_owner', namespace: 'shop', replicaset, owner_kind: kind, owner_name: name },
  samples: used(0, HOUR).map(({ at }) => ({ at, value: 1 })),
});

/** As Prometheus stores what it scraped without `honorLabels`: the exporter's own pod takes the names. */
const renamed = ({ labels, samples }: Series): Series => {
  const { namespace, pod, container, ...rest } = labels as Record<string, string>;
  const target = { namespace: 'monitoring', pod: 'kube-state-metrics-0', container: 'ksm' };
  const theirs = {
    exported_namespace: namespace,
    exported_pod: pod,
    ...(container && { exported_container: container }),
  };
  return { labels: { ...rest, ...target, ...theirs } as Series['labels'], samples };
};

/** A container that had this limit, was OOM killed once, and whose restarts counted so. */
function killedSeries(pod: string, limit: number, restarts: Sample[], reason = 'OOMKilled'): Series[] {
  const labels = { namespace: 'shop', pod, container: 'function' };
  const constant = (value: number) => restarts.map(({ at }) => ({ at, value }));
  const name = 'kube_pod_container';
  return [
    { labels: { __name__: `${name}_resource_limits`, ...labels, resource: 'memory' }, samples: constant(limit) },
    { labels: { __name__: `${name}_resource_limits`, ...labels, resource: 'cpu' }, samples: constant(limit * 9) },
    { labels: { __name__: `${name}_status_last_terminated_reason`, ...labels, reason }, samples: constant(1) },
    { labels: { __name__: `${name}_status_restarts_total`, ...labels }, samples: restarts },
  ];
}

const counter = (from: number, to: number) =>
  used(0, HOUR).map(({ at }) => ({ at, value: NOW - at > HOUR / 2 ? from : to }));

/** The statistics by the words of the design: the hot replica decides, the mean is that of all samples. */
function expected(ones: Process[], length: number): WindowUsage | undefined {
  const within = ones
    .map(({ pod, samples }) => ({
      pod,
      values: samples.filter(({ at }) => at > NOW - length && at <= NOW).map(({ value }) => value),
    }))
    .filter(({ values }) => values.length > 0);
  if (within.length === 0) return undefined;
  const all = within.flatMap(({ values }) => values);
  const p95 = within.map(({ values }) => {
    const sorted = values.toSorted((a, b) => a - b);
    const rank = 0.95 * (sorted.length - 1);
    const below = sorted[Math.floor(rank)] ?? Number.NaN;
    return below + ((sorted[Math.ceil(rank)] ?? Number.NaN) - below) * (rank % 1);
  });
  const perPod = Object.values(Object.groupBy(within, ({ pod }) => pod));
  return {
    avg: all.reduce((sum, value) => sum + value) / all.length,
    p95: Math.max(...p95),
    max: Math.max(...all),
    samples: Math.max(...perPod.map((pod = []) => pod.flatMap(({ values }) => values).length)),
  };
}

function same(t: Test, found: WindowUsage | undefined, wanted: WindowUsage | undefined, what: string): void {
  const rounded = (window: WindowUsage | undefined) =>
    window && Object.fromEntries(Object.entries(window).map(([key, value]) => [key, Math.round(value)]));
  t.strictSame(rounded(found), rounded(wanted), what);
}

/** A workload with a past of more than a day: one sample a minute, low but for an hour, and OOM killed now and then. */
const LIVED = 26 * HOUR;
const KILLED = [10 * HOUR, 6 * HOUR, 3 * HOUR];
const ages = Array.from({ length: LIVED / MINUTE }, (_, index) => LIVED - index * MINUTE);
const old = {
  pod: 'old-5d9c-aaa',
  id: '/old',
  samples: ages.map((age) => ({
    at: NOW - age,
    value: (age > 90 * MINUTE && age < 150 * MINUTE ? 700 : 80 + ((age / MINUTE) % 17)) * Mi,
  })),
};
const restarts = ages.map((age) => ({ at: NOW - age, value: KILLED.filter((kill) => age <= kill).length }));

t.test('the queries give the numbers of the samples', { skip: can.ok ? false : can.why }, async (t) => {
  const cluster = await startCluster({ prometheus: true, say: console.error });
  t.teardown(() => cluster.stop());
  const daemon = { pod: 'orders-daemon', id: '/x', samples: used(30, WHOLE) };
  const bank = { pod: 'orders-5d9c-zzz', id: '/y', samples: used(31, WHOLE), namespace: 'shopping' };
  const hourly = used(40, HOUR);
  const canary = { pod: 'orders-canary-iii', id: '/c', samples: hourly };
  const orphan = { pod: 'orders-manual-lll', id: '/g', samples: hourly };
  const adopted = { pod: 'by-hand-jjj', id: '/d', samples: hourly };
  const exported = { pod: 'exported-1a1a-kkk', id: '/e', samples: hourly };
  const foreign = { pod: 'orders-5d9c-aaa', id: '/f', samples: used(50, HOUR) };
  const rss = { labels: { __name__: 'container_memory_rss', namespace: 'shop', container: 'function', image: 'f:1' } };
  await cluster.metricsPush([
    ...[canary, orphan, adopted, exported].flatMap((one) => containerSeries(one)),
    ...[canary, orphan, adopted].flatMap((one) => ownerSeries(one)),
    ...[...ownerSeries(exported), ...killedSeries('exported-1a1a-kkk', 300 * Mi, counter(0, 1))].map(renamed),
    setSeries('orders-canary', 'Rollout', 'orders'),
    // A ReplicaSet that a person made belongs to nobody: kube-state-metrics says so with empty labels.
    setSeries('orders-manual', '', ''),
    setSeries('by-hand', 'Deployment', 'adopter'),
    setSeries('orders-v2-7f6d', 'Deployment', 'orders-v2'),
    // Another cluster's series in the same Prometheus: told apart by a label that the first has not.
    ...[...containerSeries(foreign), ...ownerSeries(foreign)].map(({ labels, samples }) => ({
      ...{ labels: { ...labels, namespace: 'far', cluster: 'other', __name__: `far_${labels.__name__}` }, samples },
    })),
    { labels: { ...rss.labels, pod: 'plain-9999-ggg', id: '/8' }, samples: [{ at: NOW - MINUTE, value: 77 * Mi }] },
    { labels: { ...rss.labels, pod: 'plain-9999-hhh', id: '/9' }, samples: [{ at: NOW - HOUR, value: 88 * Mi }] },
    ...[...containerSeries(old), ...ownerSeries(old), ...killedSeries(old.pod, 256 * Mi, restarts)],
    ...everybody.flatMap((one) => [...containerSeries(one), ...ownerSeries(one)]),
    ...containerSeries(daemon),
    ...ownerSeries(daemon, 'DaemonSet'),
    ...ownerSeries(bank),
    ...containerSeries(bank).map(({ labels, samples }) => ({ labels: { ...labels, namespace: 'shopping' }, samples })),
    ...killedSeries('orders-5d9c-aaa', 256 * Mi, counter(0, 1)),
    ...killedSeries('orders-5d9c-bbb', 512 * Mi, counter(3, 3)),
    ...killedSeries('orders-v2-7f6d-ddd', 512 * Mi, counter(0, 1), 'Error'),
    ...killedSeries('plain-9999-ggg', 384 * Mi, counter(1, 2)),
    ...killedSeries('plain-9999-hhh', 640 * Mi, counter(0, 1)),
  ]);
  const target = (ref: string, deployments: string[]): Target => ({ namespace: 'shop', ref, deployments, open: true });
  const targets = [
    target('Deployment/orders', ['orders']),
    target('Deployment/orders-v2', ['orders-v2']),
    target('Deployment/plain', ['plain']),
    target('Deployment/adopter', ['adopter']),
    target('Deployment/exported', ['exported']),
    target('KnativeService/orders', ['orders-00001-deployment', 'orders-00002-deployment']),
  ];
  const read = readSettings({});
  if ('problems' in read) throw new Error(read.problems.join());
  const prometheus = createPrometheus({
    ...{ url: cluster.prometheusUrl, timeoutMs: 30_000, params: read.settings.prometheusParams },
    access: async () => ({ headers: {} }),
  });
  const patience = () => AbortSignal.timeout(60_000);
  const { usage } = await createCollector(prometheus, read.settings)(targets, NOW, patience());
  const of = (ref: string) => usage.get(`shop/${ref}/function`);

  await t.test(
    'of workloads with several pods, restarts, pods that are gone, and a name that begins another',
    async (t) => {
      for (const name of ['orders', 'orders-v2', 'plain'] as const) {
        same(t, of(`Deployment/${name}`)?.short, expected(processes[name], SHORT), `${name}, short`);
        same(t, of(`Deployment/${name}`)?.long, expected(processes[name], LONG), `${name}, long`);
      }
      t.equal(usage.size, 6, 'and of nothing else');
    },
  );

  await t.test('of a Knative Service: one history across its Revisions', async (t) => {
    const revisions = [...processes['orders-00001-deployment'], ...processes['orders-00002-deployment']];
    same(t, of('KnativeService/orders')?.short, expected(revisions, SHORT), 'short');
    same(t, of('KnativeService/orders')?.long, expected(revisions, LONG), 'long');
  });

  await t.test('and recorded samples are judged by the same statistics', async (t) => {
    const pods = processes.plain.map(({ samples }) =>
      samples.map(({ at, value }) => ({ seconds: at / 1000, bytes: value })).reverse(),
    );
    const recorded = usageOfSamples(pods, NOW / 1000, SHORT / 1000, LONG / 1000);
    same(t, recorded.short, of('Deployment/plain')?.short, 'short');
    same(t, recorded.long, of('Deployment/plain')?.long, 'long');
  });

  await t.test(
    'an OOM kill counts with the limit at which it happened, if the container restarted since',
    async (t) => {
      t.equal(of('Deployment/orders')?.oomLimit, 256 * Mi, 'a kill before the window is no news');
      t.equal(of('Deployment/orders-v2')?.oomLimit, undefined, 'another reason is no OOM kill');
      t.equal(of('Deployment/plain')?.oomLimit, 640 * Mi, 'the largest of several');
      t.strictSame(
        ['orders', 'orders-v2', 'plain'].map((name) => of(`Deployment/${name}`)?.kills),
        [1, undefined, 2],
        'and each of all pods is counted',
      );
    },
  );

  await t.test('the owner of a ReplicaSet decides whose its pods are, where kube-state-metrics tells', async (t) => {
    same(t, of('Deployment/adopter')?.long, expected([adopted], LONG), 'whatever the ReplicaSet is called');
    same(
      t,
      of('Deployment/orders')?.long,
      expected(processes.orders, LONG),
      "a Rollout's pods are not the Deployment's, nor are those of a ReplicaSet that somebody made by hand",
    );
  });

  await t.test('labels that Prometheus renamed, because an exporter was scraped without honorLabels', async (t) => {
    same(t, of('Deployment/exported')?.long, expected([exported], LONG), 'usage');
    t.equal(of('Deployment/exported')?.oomLimit, 300 * Mi);
    t.strictSame(of('Deployment/exported')?.running, { limit: 300 * Mi });
  });

  await t.test('what running pods have, and the resident set, of the largest pod', async (t) => {
    t.strictSame(of('Deployment/plain')?.running, { limit: 384 * Mi }, 'not of the one that is gone');
    t.equal(of('Deployment/plain')?.rss, 88 * Mi);
    t.equal(of('Deployment/orders')?.rss, undefined, 'nobody told');
  });

  await t.test('series under other names, of one cluster of several', async (t) => {
    const seriesNames = {
      container_memory_working_set_bytes: 'far_container_memory_working_set_bytes',
      kube_pod_owner: 'far_kube_pod_owner',
    };
    const far = { namespace: 'far', ref: 'Deployment/orders', deployments: ['orders'], open: true };
    const of = async (selector: string) => {
      const collect = createCollector(prometheus, { ...read.settings, seriesNames, selector });
      return (await collect([far], NOW, patience())).usage.get('far/Deployment/orders/function');
    };
    same(t, (await of('cluster="other"'))?.long, expected([foreign], LONG), 'the right one');
    t.equal(await of('cluster="prod"'), undefined, 'another one');
  });

  await t.test('in parts: the same numbers, whatever the size of a query', async (t) => {
    let asked = 0;
    const small = {
      async query(promql: string, now: number, patience: AbortSignal) {
        asked += 1;
        if (asked <= 3) throw new PrometheusError('too many samples', 422, 'too-much');
        return prometheus.query(promql, now, patience);
      },
    };
    // In parts pods are found by their names, which an adopted ReplicaSet does not have from its Deployment.
    const named = targets.filter(({ ref }) => ref !== 'Deployment/adopter');
    const parts = await createCollector(small, read.settings)(named, NOW, patience());
    for (const { ref } of named) t.strictSame(parts.usage.get(`shop/${ref}/function`), of(ref), ref);
    t.ok(asked > 15, `${asked} queries`);
  });

  await t.test("a record's past: its kills on both sides of a moment, over the same time", async (t) => {
    const past = createPast(prometheus, read.settings, rulesOf(read.settings), 60);
    const of = { namespace: 'shop', workloads: [{ ref: 'Deployment/old', deployments: ['old'] }] };
    const kills = (age: number) => past.kills({ ...of, since: NOW - age }, NOW);
    t.strictSame(await kills(4.5 * HOUR), { before: 1, after: 1, overSeconds: 4 * 3600 });
    t.strictSame(await kills(8 * HOUR), { before: 1, after: 2, overSeconds: 8 * 3600 });
    t.equal(await kills(LIVED - HOUR / 2), undefined, 'nobody knows what was before');
    t.equal(await past.kills({ ...of, workloads: [], since: NOW - HOUR }, NOW), undefined);
  });

  await t.test("a record's past, replayed: as the samples that were pushed", async (t) => {
    const rules = rulesOf(read.settings);
    const past = createPast(prometheus, read.settings, rules, 60);
    const workloads = [
      { ref: 'Deployment/other', deployments: ['other'] },
      { ref: 'Deployment/old', deployments: ['old'] },
    ];
    const manifest = { request: 512 * Mi, limit: 1024 * Mi };
    const tried = [{ workload: 'Deployment/old', name: 'function', manifest }];
    const found = await past.trial({ namespace: 'shop', workloads, replayed: tried }, NOW);

    const step = 5 * MINUTE;
    const trial = createTrial([{ name: 'Deployment/old container function', manifest }], rules, 60);
    for (let at = Math.floor((NOW - LIVED) / step) * step; at <= NOW; at += step) {
      const within = old.samples.filter((sample) => sample.at > at - step && sample.at <= at);
      const killed = KILLED.some((age) => NOW - age > at - step && NOW - age <= at) ? 256 * Mi : undefined;
      if (within.length > 0) trial.take(0, { at, bytes: Math.max(...within.map(({ value }) => value)) }, killed);
    }
    t.strictSame(found, trial.verdict(7));
    t.match(found, { passed: false, kills: { manifest: 0, tuned: /^[1-9]/ } });
    const unknown = await past.trial(
      { namespace: 'shop', workloads, replayed: [{ ...tried[0], name: 'x', workload: 'Deployment/other', manifest }] },
      NOW,
    );
    t.match(unknown, { passed: false, message: /^Deployment\/other container x has 0 hours/ });
  });

  await t.test('no answer is in part', async (t) => {
    t.strictSame(
      [...usage.values()].map(({ partial }) => partial),
      Array(6).fill(false),
    );
  });
});
