/**
 * The PromQL about requests against the real Prometheus, in both dialects of Knative and with their traps. As with memory
 * every number is computed here a second time, from the samples that were pushed.
 */
import t, { type Test } from 'tap';
import { createLoadCollector, type LoadOptions } from '../../src/collect/load.ts';
import { createPrometheus, PrometheusError } from '../../src/collect/prometheus.ts';
import type { Target } from '../../src/collect/usage.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { LoadWindow } from '../../src/domain/usage.ts';
import { fitMemory } from '../../src/recommend/fit.ts';
import { readSettings } from '../../src/settings.ts';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import type { Sample, Series } from './remote-write.ts';

const can = available(partsFor({ prometheus: true }));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const SCRAPE = 30 * SECOND;
const NOW = Math.floor(Date.now() / SCRAPE) * SCRAPE - MINUTE;
const SHORT = { length: 10 * MINUTE, step: MINUTE };
const LONG = { length: 6 * HOUR, step: 5 * MINUTE };
const RATE = 5 * MINUTE;

/** From so long ago until then, at each scrape; the counters of the first moments begin before the window. */
const WHOLE = { from: LONG.length + 20 * MINUTE, until: 0 };
const moments = ({ from, until } = WHOLE) =>
  Array.from({ length: (from - until) / SCRAPE + 1 }, (_, index) => NOW - from + index * SCRAPE);
const gauge = (of: (at: number) => number, life = WHOLE): Sample[] =>
  moments(life).map((at) => ({ at, value: of(at) }));
/** What counts up by so much a second; it began long ago. */
function counter(perSecond: (at: number) => number, life = WHOLE): Sample[] {
  let value = 1e6;
  return moments(life).map((at) => {
    value += perSecond(at) * (SCRAPE / SECOND);
    return { at, value };
  });
}

/** A number that comes and goes, between `low` and `low + height`; each seed another way. */
const wave = (seed: number, low: number, height: number) => (at: number) =>
  low + (((Math.floor(at / SCRAPE) * (7 + seed * 2)) % 97) / 97) * height;

const at = (samples: Sample[], moment: number) =>
  samples.findLast((one) => one.at <= moment && one.at > moment - 5 * MINUTE)?.value;

/** As Prometheus defines `rate`: the increase between the first and the last sample, stretched to the edges of its range. */
function rate(samples: Sample[], moment: number, range: number): number | undefined {
  const inside = samples.filter((one) => one.at > moment - range && one.at <= moment);
  const [first, last] = [inside[0], inside.at(-1)];
  if (!first || !last || inside.length < 2) return undefined;
  const between = (last.at - first.at) / (inside.length - 1);
  const reach = (gap: number) => (gap < between * 1.1 ? gap : between / 2);
  const stretched = last.at - first.at + reach(first.at - (moment - range)) + reach(moment - last.at);
  const increase = inside.slice(1).reduce((sum, { value }, index) => {
    const before = inside[index]?.value ?? 0;
    return sum + (value < before ? value : value - before);
  }, 0);
  return (increase * (stretched / (last.at - first.at))) / (range / SECOND);
}

function p95(values: (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const rank = 0.95 * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? Number.NaN;
  return below + ((sorted[Math.ceil(rank)] ?? Number.NaN) - below) * (rank % 1);
}

/** The moments at which a window is looked at: multiples of the step, which end at or before now. */
function looks({ length, step }: typeof SHORT): number[] {
  const last = Math.floor(NOW / step) * step;
  return Array.from({ length: length / step }, (_, index) => last - index * step).filter((one) => one > NOW - length);
}
const over = (window: typeof SHORT, value: (moment: number) => number | undefined) => p95(looks(window).map(value));

function near(t: Test, found: LoadWindow | undefined, wanted: Partial<LoadWindow>, what: string): void {
  for (const key of ['concurrency', 'queue', 'rate'] as const) {
    const [is, should] = [found?.[key], wanted[key]];
    const same = is === should || Math.abs((is ?? Number.NaN) - (should ?? Number.NaN)) < 0.011;
    t.ok(same, `${what}: ${key} is ${is}, should be ${should}`);
  }
}

/** The autoscaler is scraped in its own namespace, and says for which Revision it speaks. */
const AUTOSCALER = { namespace: 'knative-serving', pod: 'autoscaler-5f5d', job: 'autoscaler' };
const newRevision = (namespace: string, service: string, revision: string) => ({
  k8s_namespace_name: namespace,
  kn_service_name: service,
  kn_configuration_name: service,
  kn_revision_name: revision,
});
const oldRevision = (namespace: string, service: string, revision: string) => ({
  namespace_name: namespace,
  service_name: service,
  configuration_name: service,
  revision_name: revision,
});
const series = (name: string, labels: Record<string, string>, samples: Sample[]): Series => ({
  labels: { __name__: name, ...labels },
  samples,
});
/** As two Prometheus saw it, whose series meet in a central one. */
const twice = (one: Series): Series[] =>
  ['a', 'b'].map((replica) => ({ labels: { ...one.labels, replica }, samples: one.samples }));

/** A pod of a Revision with its owner and, for points, its memory. */
function podSeries(namespace: string, revision: string, pod: string, bytes: Sample[], deployment = ''): Series[] {
  const set = `${deployment || `${revision}-deployment`}-6b5c`;
  const owner = { owner_kind: 'ReplicaSet', owner_name: set, owner_is_controller: 'true' };
  const container = { namespace, pod, container: 'function', image: 'function:1', id: `/${pod}` };
  return [
    series(
      'kube_pod_owner',
      { namespace, pod, ...owner },
      bytes.map(({ at }) => ({ at, value: 1 })),
    ),
    series('container_memory_working_set_bytes', container, bytes),
  ];
}

/** A queue-proxy's counters: for how long it was busy, and how often, by the code of the answer. */
type Proxy = { pod: string; busy: Sample[]; failed: Sample[]; handled: Sample[]; held?: Sample[] };
const proxy = (pod: string, seed: number, held?: Sample[], unit = 1): Proxy => ({
  pod,
  busy: counter((at) => wave(seed, 20, 60)(at) * unit),
  failed: counter((at) => wave(seed + 1, 0, 4)(at) * unit),
  handled: counter(wave(seed + 2, 5, 10)),
  ...(held && { held }),
});
const inflight =
  ({ busy, failed }: Proxy, unit = 1) =>
  (moment: number) => {
    const [answered, refused] = [rate(busy, moment, RATE), rate(failed, moment, RATE)];
    return answered === undefined || refused === undefined ? undefined : (answered + refused) / unit;
  };
const proxySeries = ({ busy, failed, handled, held }: Proxy, labels: Record<string, string>): Series[] => {
  const name = 'kn_serving_invocation_duration_seconds';
  return [
    series(`${name}_sum`, { ...labels, http_response_status_code: '200' }, busy),
    series(`${name}_sum`, { ...labels, http_response_status_code: '500' }, failed),
    series(`${name}_count`, { ...labels, http_response_status_code: '200' }, handled),
    ...(held ? [series('kn_serving_queue_depth', labels, held)] : []),
  ];
};

const LONG_NAME = 'a-service-with-a-name-as-long-as-people-like-to-give-one-00001';
const HASHED = 'a-service-with-a-nam0123456789abcdef0123456789abcdef-deployment';

t.test('requests as Prometheus tells them', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ prometheus: true, say: console.error });
  t.teardown(() => cluster.stop());

  // What a queue-proxy calls its queue is all that its breaker holds: requests in flight, too.
  const scraped = [
    proxy('scraped-00001-deployment-6b5c-aaa', 1, gauge(wave(3, 40, 30))),
    proxy('scraped-00001-deployment-6b5c-bbb', 5, gauge(wave(4, 30, 25))),
  ];
  const [waiting, alsoWaiting] = [gauge(wave(6, 0, 12)), gauge(wave(7, 0, 6))];
  const two = gauge(() => 2);
  const mostOf = (end: number) => {
    const looked = Array.from({ length: 10 }, (_, index) => end - index * MINUTE);
    return Math.max(...scraped.flatMap((one) => looked.map((moment) => inflight(one)(moment) ?? 0)));
  };
  const bytes = new Map<number, number>();
  const grows = gauge((moment) => {
    const end = Math.ceil(moment / SHORT.length) * SHORT.length;
    if (!bytes.has(end)) bytes.set(end, 100 * Mi + 2 * Mi * mostOf(end));
    return bytes.get(end) ?? 0;
  });
  const pushed = [proxy('pushed-00001-deployment-6b5c-ccc', 2), proxy('pushed-00002-deployment-6b5c-ddd', 3)];
  const old = proxy('old-00001-deployment-6b5c-eee', 4, gauge(wave(8, 5, 20)), 1000);
  // The autoscaler's numbers are those of all pods, and vanish while there are none.
  const [all, pods] = [gauge(wave(1, 40, 160)), gauge((at) => 1 + (Math.floor(at / HOUR) % 3))];
  const asleep = (samples: Sample[]) => samples.filter(({ at }) => at < NOW - 4 * HOUR || at > NOW - 2 * HOUR);
  const gone = (samples: Sample[]) => samples.filter(({ at }) => at < NOW - HOUR);
  const stablePerPod = (requests: Sample[], of: Sample[]) => (moment: number) => {
    const [sum, count] = [at(requests, moment), at(of, moment)];
    return sum === undefined || count === undefined ? undefined : sum / Math.max(count, 1);
  };
  const autoscaled = (namespace: string, service: string, revision: string, requests: Sample[], of: Sample[]) => {
    const labels = { ...AUTOSCALER, ...newRevision(namespace, service, revision) };
    return [series('kn_revision_concurrency_stable', labels, requests), series('kn_revision_pods_count', labels, of)];
  };
  await cluster.metricsPush(
    [
      ...scraped.flatMap((one) => proxySeries(one, { namespace: 'shop', pod: one.pod, container: 'queue-proxy' })),
      ...scraped.flatMap(({ pod }) => podSeries('shop', 'scraped-00001', pod, grows)),
      ...autoscaled('shop', 'scraped', 'scraped-00001', gauge(wave(9, 900, 100)), two),
      ...['activator-1', 'activator-2'].map((instance, index) =>
        series(
          'kn_revision_request_queued',
          { ...AUTOSCALER, instance, k8s_namespace_name: 'shop', kn_revision_name: 'scraped-00001' },
          index === 0 ? waiting : alsoWaiting,
        ),
      ),
      ...pushed.flatMap((one, index) => {
        const revision = `pushed-0000${index + 1}`;
        return proxySeries(one, { ...newRevision('push', 'pushed', revision), k8s_pod_name: one.pod, job: 'pushed' });
      }),
      ...autoscaled('shop', 'gauged', 'gauged-00001', asleep(all), asleep(pods)),
      ...autoscaled(
        'shop',
        'gauged-v2',
        'gauged-v2-00001',
        gauge(() => 7),
        gauge(() => 0),
      ),
      ...autoscaled('shop', 'gone', 'gone-00001', gone(gauge(() => 30)), gone(two)),
      ...autoscaled(
        'long',
        'a-service',
        LONG_NAME,
        gauge(() => 12),
        gauge(() => 4),
      ),
      ...autoscaled(
        'other',
        'gauged',
        'gauged-00001',
        gauge(() => 999),
        gauge(() => 1),
      ),
      ...[
        series('revision_app_request_latencies_sum', { response_code: '200' }, old.busy),
        series('revision_app_request_latencies_sum', { response_code: '500' }, old.failed),
        series('revision_app_request_latencies_count', { response_code: '200' }, old.handled),
        series('revision_queue_depth', { response_code: '200' }, old.held ?? []),
      ].map(({ labels, samples }) => {
        const target = { namespace: 'past', pod: old.pod, pod_name: old.pod, container_name: 'queue-proxy' };
        return { labels: { ...labels, ...target, ...oldRevision('past', 'old', 'old-00001') }, samples };
      }),
      ...(['autoscaler_stable_request_concurrency', 'autoscaler_actual_pods'] as const).map((name, index) =>
        series(name, { ...AUTOSCALER, ...oldRevision('past', 'older', 'older-00001') }, index === 0 ? all : pods),
      ),
    ].flatMap(twice),
  );

  const target = (namespace: string, service: string, hard = 0, revisions = [`${service}-00001`]): Target => ({
    ...{ namespace, ref: `KnativeService/${service}`, open: false },
    deployments: revisions.map((name) => `${name}-deployment`),
    revisions: revisions.map((name) => ({ deployment: `${name}-deployment`, name, containerConcurrency: hard })),
  });
  const long = target('long', 'a-service', 0, [LONG_NAME]);
  const hashed = {
    ...long,
    deployments: [HASHED],
    revisions: [{ deployment: HASHED, name: LONG_NAME, containerConcurrency: 0 }],
  };
  const targets = [
    target('shop', 'scraped', 50),
    target('push', 'pushed', 0, ['pushed-00001', 'pushed-00002']),
    target('shop', 'gauged'),
    target('shop', 'gauged-v2'),
    target('shop', 'gone'),
    target('shop', 'idle'),
    target('past', 'old', 10),
    target('past', 'older'),
    hashed,
    { namespace: 'shop', ref: 'Deployment/orders', deployments: ['orders'], open: false },
  ];
  const read = readSettings({});
  if ('problems' in read) throw new Error(read.problems.join());
  const prometheus = createPrometheus({
    ...{ url: cluster.prometheusUrl, timeoutMs: 30_000, params: read.settings.prometheusParams },
    access: async () => ({ headers: {} }),
  });
  const collect = (more: Partial<LoadOptions> = {}, ask = prometheus) =>
    createLoadCollector(ask, { ...read.settings, ...more })(targets, NOW, AbortSignal.timeout(120_000));
  const { loads, absent } = await collect();
  const of = (key: string) => loads.get(key);
  t.equal(absent, false);
  t.equal(loads.size, targets.length - 1, 'of Knative Services only');

  const perSecond = (ones: Proxy[], length: number) =>
    ones.reduce((sum, { handled }) => sum + (rate(handled, NOW, length) ?? 0), 0);

  await t.test('a scraped queue-proxy names its pod alone, and holds what is in flight, too', async (t) => {
    for (const [key, window] of [['short', SHORT] as const, ['long', LONG] as const]) {
      const held = Math.max(...scraped.map((one) => over(window, (moment) => at(one.held ?? [], moment)) ?? 0));
      const queued = over(window, (moment) => ((at(waiting, moment) ?? 0) + (at(alsoWaiting, moment) ?? 0)) / 2);
      near(
        t,
        of('shop/KnativeService/scraped')?.[key],
        {
          concurrency: Math.max(...scraped.map((one) => over(window, inflight(one)) ?? 0)),
          queue: Math.max(held - 50, queued ?? 0),
          rate: perSecond(scraped, window.length),
        },
        key,
      );
    }
  });

  await t.test(
    'what is pushed names its Revision; of several the busiest decides, and their rates add up',
    async (t) => {
      const wanted = Math.max(...pushed.map((one) => over(LONG, inflight(one)) ?? 0));
      near(
        t,
        of('push/KnativeService/pushed')?.long,
        { concurrency: wanted, rate: perSecond(pushed, LONG.length) },
        'long',
      );
    },
  );

  await t.test("the autoscaler's requests are those of all pods; none while scaled to zero is not few", async (t) => {
    const awake = stablePerPod(asleep(all), asleep(pods));
    near(t, of('shop/KnativeService/gauged')?.long, { concurrency: over(LONG, awake) ?? 0 }, 'long');
    near(t, of('shop/KnativeService/gauged')?.short, { concurrency: over(SHORT, awake) ?? 0 }, 'short');
    near(t, of('shop/KnativeService/gauged-v2')?.long, { concurrency: 7 }, 'no pod yet, and a name that begins so');
    near(t, of('long/KnativeService/a-service')?.long, { concurrency: 3 }, 'a name too long for its Deployment');
    t.equal(of('shop/KnativeService/gone')?.short, undefined, 'scaled to zero for an hour');
    near(t, of('shop/KnativeService/gone')?.long, { concurrency: 15 }, 'before that');
    const { short, long, partial } = of('shop/KnativeService/idle') ?? {};
    t.strictSame([short, long, partial], [undefined, undefined, false], 'never a request');
  });

  await t.test('the older dialect counts milliseconds', async (t) => {
    const held = over(LONG, (moment) => at(old.held ?? [], moment)) ?? 0;
    near(
      t,
      of('past/KnativeService/old')?.long,
      { concurrency: over(LONG, inflight(old, 1000)) ?? 0, queue: held - 10, rate: perSecond([old], LONG.length) },
      'queue-proxy',
    );
    near(
      t,
      of('past/KnativeService/older')?.long,
      { concurrency: over(LONG, stablePerPod(all, pods)) ?? 0 },
      'autoscaler',
    );
  });

  await t.test('moments of requests and memory make the line from which they came', async (t) => {
    const points = of('shop/KnativeService/scraped')?.points.function ?? [];
    t.equal(points.length, LONG.length / SHORT.length);
    t.match(fitMemory(points), { base: 100 * Mi, slope: 2 * Mi, quality: 1 });
  });

  await t.test('the dialect can be set, and may not be there', async (t) => {
    const newer = await collect({ knativeMetrics: 'opentelemetry' });
    t.equal(newer.loads.get('past/KnativeService/old')?.long, undefined);
    t.same(newer.loads.get('shop/KnativeService/gauged'), of('shop/KnativeService/gauged'));
    const elsewhere = await collect({ selector: 'cluster="other"' });
    t.equal(elsewhere.absent, true);
  });

  await t.test('in parts: the same numbers', async (t) => {
    let asked = 0;
    const small: typeof prometheus = {
      async query(promql, now, patience) {
        asked += 1;
        if (asked > 1 && asked <= 4) throw new PrometheusError('too many samples', 422, 'too-much');
        return prometheus.query(promql, now, patience);
      },
    };
    const parts = await collect({}, small);
    for (const [key, load] of loads) t.same(parts.loads.get(key), load, key);
    t.ok(asked > 15, `${asked} queries`);
  });
});
