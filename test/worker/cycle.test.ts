import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { PrometheusError } from '../../src/collect/prometheus.ts';
import { Mi } from '../../src/domain/quantity.ts';
import { LeaseLostError, onlyWhile } from '../../src/worker/guarded.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import { deployment, measured, playCluster, record } from './played-cluster.ts';

const ORDERS = async () => measured(['Deployment/orders']);
const UNREACHABLE = async () => {
  throw new PrometheusError(
    'Prometheus does not answer at http://p:9090/api/v1/query: connect ECONNREFUSED',
    0,
    'busy',
  );
};

t.test('what was measured becomes the recommendation of the record, with one Event', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders')]);
  const report = await cluster.work(ORDERS, NOW);
  t.match(cluster.status('orders'), {
    phase: 'Recommending',
    workloads: 1,
    request: '224Mi',
    limit: '336Mi',
    containers: [{ recommended: { request: '224Mi', limit: '336Mi', at: '2026-01-31T10:00:00.000Z' } }],
  });
  t.equal(cluster.events.length, 1);
  t.match(
    cluster.events[0],
    'orders Recommended: Deployment/orders container function: 256Mi/512Mi -> 224Mi/336Mi (p95',
  );
  t.strictSame(report, {
    ...{ records: 1, workloads: 1, containers: 1, recommended: 1, applied: 0, 'taken-back': 0, written: 1, failed: 0 },
    conflicts: 0,
    phases: { Recommending: 1 },
    rollouts: { asked: 0, failed: 0, underWay: 0, waiting: {} },
    steps: report.steps,
    ...{ figures: report.figures, errors: [{ request: 180 / 224, limit: 210 / 336 }] },
  });
  t.match(report.figures, [{ namespace: 'shop', record: 'orders', requested: 256 * Mi, used: 110 * Mi }]);
  t.match(cluster.lines, [{ msg: 'recommended', namespace: 'shop', record: 'orders', container: 'function' }]);
});

t.test('when nothing is new, nothing is written, said or counted', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders')]);
  await cluster.work(ORDERS, NOW);
  const report = await cluster.work(ORDERS, NOW + MINUTE);
  t.strictSame(cluster.writes, ['orders']);
  t.equal(cluster.events.length, 1);
  t.match(report, { written: 0, recommended: 0, failed: 0 });
});

t.test('each new decision is one Event, in the cycle that made it', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  for (const minute of [0, 1, 2]) await cluster.work(ORDERS, NOW + minute * MINUTE);
  const reasons = () => cluster.events.map((event) => event.split(':')[0]);
  t.strictSame(reasons(), ['orders Recommended', 'orders Applied']);
  const grown = async () => measured(['Deployment/orders'], 300, 400, 500);
  for (const minute of [31, 32]) await cluster.work(grown, NOW + minute * MINUTE);
  t.strictSame(reasons().slice(2), ['orders Recommended', 'orders Applied']);
});

t.test('values are applied only where the record and the gate say so', async (t) => {
  const applied = async (wish: object, enforcement: boolean) => {
    const cluster = playCluster([record('orders', wish as never)], [deployment('orders', '512Mi/1Gi')]);
    await cluster.work(ORDERS, NOW, { gates: { enforcement, enabledByDefault: true } });
    return cluster.status('orders')?.containers[0]?.applied !== undefined;
  };
  t.equal(await applied({ enforce: true }, true), true);
  t.equal(await applied({ enforce: true }, false), false);
  t.equal(await applied({}, true), false);
});

t.test("one record's failure never stops the others", async (t) => {
  const names = ['a', 'b', 'c'];
  const cluster = playCluster(
    names.map((name) => record(name)),
    names.map((name) => deployment(name)),
  );
  const { writeStatus } = cluster;
  cluster.writeStatus = async (one, memory) => {
    if (one.metadata.name === 'a') throw new Error('the object has been modified');
    await writeStatus(one, memory);
  };
  const usage = async () => measured(['Deployment/a', 'Deployment/b', 'Deployment/c']);
  const report = await cluster.work(usage, NOW);
  t.strictSame(cluster.writes, ['b', 'c']);
  t.match(report, { written: 2, failed: 1, recommended: 2 }, 'a decision that was not written was not made');
  const [failed] = cluster.lines.filter(({ level }) => level >= 50);
  t.match(failed, { namespace: 'shop', record: 'a', error: 'the object has been modified' });
  cluster.writeStatus = writeStatus;
  t.match(await cluster.work(usage, NOW + MINUTE), { written: 1, failed: 0, recommended: 1 });
  t.equal(cluster.events.length, 3);
});

t.test('a status full of nonsense is written anew', async (t) => {
  const strange = { containers: [null, 7, { workload: 'Deployment/orders', name: 'function' }], history: 'x' };
  const orders = { ...record('orders'), status: { nfr_recommendations: { memory: strange } } };
  const cluster = playCluster([orders as never], [deployment('orders')]);
  t.match(await cluster.work(ORDERS, NOW), { written: 1, failed: 0 });
  t.equal(cluster.status('orders')?.phase, 'Recommending');
});

t.test('Prometheus in trouble: the record says why, and its last recommendations stand', async (t) => {
  const cluster = playCluster([record('orders'), record('off', { enabled: false })], [deployment('orders')]);
  await cluster.work(ORDERS, NOW);
  const before = cluster.status('orders');
  const report = await cluster.work(UNREACHABLE, NOW + MINUTE);
  const after = cluster.status('orders');
  t.equal(after?.phase, 'Degraded');
  t.match(
    after?.message,
    'Prometheus does not answer at http://p:9090/api/v1/query: connect ECONNREFUSED; the last recommendations stand.',
  );
  t.strictSame(after?.containers, before?.containers);
  t.equal(report.trouble, 'Prometheus does not answer at http://p:9090/api/v1/query: connect ECONNREFUSED');
  t.equal(cluster.status('off')?.phase, 'Disabled');
  t.equal(cluster.events.length, 1, 'nothing was decided');

  await cluster.work(UNREACHABLE, NOW + 2 * MINUTE);
  t.equal(cluster.writes.length, 3, 'said once');
  await cluster.work(ORDERS, NOW + 3 * MINUTE);
  t.equal(cluster.status('orders')?.phase, 'Recommending');
  t.equal(cluster.events.length, 1, 'and it is the recommendation of before');
});

t.test('what could not be read of one workload holds up its own record only', async (t) => {
  const cluster = playCluster([record('orders'), record('other')], [deployment('orders'), deployment('other')]);
  const tooMuch = 'Prometheus refused a query: HTTP 422: too many samples';
  const report = await cluster.work(async () => {
    const { usage } = measured(['Deployment/other']);
    return { usage, troubles: new Map([['shop/Deployment/orders', tooMuch]]) };
  }, NOW);
  t.match(cluster.status('orders'), { phase: 'Degraded', message: `${tooMuch}; the last recommendations stand.` });
  t.equal(cluster.status('other')?.phase, 'Recommending');
  t.equal(report.trouble, undefined);
  t.match(cluster.lines, [{ msg: 'usage could not be read', error: tooMuch, workloads: 1 }, { msg: 'recommended' }]);
});

t.test('what could not be read of any workload is no cycle that read usage', async (t) => {
  const cluster = playCluster([record('orders'), record('other')], [deployment('orders'), deployment('other')]);
  const tooMuch = 'Prometheus refused a query: HTTP 422: too many samples';
  const troubles = new Map(['orders', 'other'].map((name) => [`shop/Deployment/${name}`, tooMuch]));
  const report = await cluster.work(async () => ({ usage: new Map(), troubles }), NOW);
  t.equal(report.trouble, tooMuch, 'the alert counts it');
  t.match(cluster.lines, [{ msg: 'usage could not be read', error: tooMuch, workloads: 2 }]);
});

t.test('what the template leaves open is what kube-state-metrics says of the running pods', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders', '-/-')]);
  const running = { request: 256 * Mi, limit: 512 * Mi };
  await cluster.work(async () => measured(['Deployment/orders'], 110, 180, 210, { running }), NOW);
  const [container] = cluster.status('orders')?.containers ?? [];
  t.match(container?.current, { request: '256Mi', limit: '512Mi' });
  t.match(container?.recommended, { request: '224Mi', limit: '336Mi' });
});

t.test('what the template says counts, whatever older pods have', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders', '300Mi/-')]);
  const running = { request: 256 * Mi, limit: 512 * Mi };
  await cluster.work(async () => measured(['Deployment/orders'], 110, 180, 210, { running }), NOW);
  t.match(cluster.status('orders')?.containers[0]?.current, { request: '300Mi', limit: '512Mi' });
});

t.test('a cluster that cannot be read fails the cycle as a whole', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders')]);
  cluster.limitRanges = async () => {
    throw new Error('list limitranges: forbidden (HTTP 403)');
  };
  await t.rejects(cluster.work(ORDERS, NOW), { message: 'list limitranges: forbidden (HTTP 403)' });
  t.strictSame(cluster.writes, []);
});

t.test('a record that is off is not measured, and says how to switch it on', async (t) => {
  const records = [record('orders', { enabled: false }), record('other')];
  const cluster = playCluster(records, [deployment('orders'), deployment('other')]);
  let asked: string[] = [];
  const report = await cluster.work(async (targets) => {
    asked = targets.map(({ ref }) => ref);
    return measured([]);
  }, NOW);
  t.strictSame(asked, ['Deployment/other']);
  t.match(report, { records: 2, workloads: 1 });
  t.match(cluster.status('orders'), { phase: 'Disabled', workloads: 1, containers: [] });
  t.match(cluster.status('other'), { phase: 'NoData' });
});

t.test('what a person fixed is shown, and nothing is applied in its place', async (t) => {
  const overrides = { function: { request: '1Gi', limit: '2Gi' } };
  const cluster = playCluster([record('orders', { enforce: true, overrides })], [deployment('orders')]);
  await cluster.work(ORDERS, NOW);
  const status = cluster.status('orders');
  t.match(status?.containers[0], { override: { request: '1Gi', limit: '2Gi' }, source: 'override' });
  t.strictSame(status?.containers[0]?.applied, undefined);
  t.strictSame([status?.request, status?.limit], ['1Gi', '2Gi']);
});

t.test("what is applied stays inside the namespace's LimitRange", async (t) => {
  const limits = [{ type: 'Container', min: { memory: '500Mi' }, max: { memory: '900Mi' } }];
  const range = (namespace: string) => ({ metadata: { namespace }, spec: { limits } });
  const applied = async (namespace: string) => {
    const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')], {
      limitRanges: [range(namespace)],
    });
    await cluster.work(ORDERS, NOW);
    return cluster.status('orders')?.containers[0]?.applied;
  };
  t.match(await applied('bank'), { request: '368Mi', limit: '720Mi' }, "another namespace's does not count");
  t.match(await applied('shop'), { request: '500Mi', limit: '720Mi' });
});

t.test('a limit alone is also the request, as the API server defaults it', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders', '-/512Mi')]);
  await cluster.work(ORDERS, NOW);
  t.match(cluster.status('orders')?.containers[0]?.current, { request: '512Mi', limit: '512Mi' });
  const { recommended } = cluster.status('orders')?.containers[0] ?? {};
  t.equal(recommended?.request, recommended?.limit, 'the pod is Guaranteed and stays so');
});

t.test('an OOM kill is heard', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders')]);
  await cluster.work(async () => measured(['Deployment/orders'], 110, 180, 210, { oomLimit: 512 * Mi }), NOW);
  t.match(cluster.status('orders')?.containers[0]?.rationale, 'after an OOM kill at 512Mi');
});

t.test('a record that was changed while it was decided about is left for the next cycle, and counted', async (t) => {
  const cluster = playCluster([record('orders'), record('bills')], [deployment('orders'), deployment('bills')]);
  const usage = measured(['Deployment/orders', 'Deployment/bills']);
  const report = await cluster.work(async () => {
    cluster.amend('orders', () => ({ spec: { nfr: { memory_tuning: { enabled: false } } } }));
    return usage;
  }, NOW);
  t.match(report, { written: 1, conflicts: 1, failed: 0 });
  t.strictSame(cluster.writes, ['bills']);
  t.match(cluster.events, [/^bills/], 'what was not written was not decided');
  t.strictSame(
    cluster.lines.filter(({ level }) => level > 30),
    [],
    'it is nothing to warn of',
  );
  t.match(await cluster.work(async () => usage, NOW + MINUTE), { written: 1, conflicts: 0 });
  t.equal(cluster.status('orders')?.phase, 'Disabled');
});

t.test('a few records are written at once, each once, however slow the API server is', async (t) => {
  const names = Array.from({ length: 50 }, (_, index) => `r${index}`);
  const cluster = playCluster(
    names.map((name) => record(name)),
    names.map((name) => deployment(name)),
  );
  const { writeStatus } = cluster;
  let [underWay, most] = [0, 0];
  cluster.writeStatus = async (one, memory) => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise(setImmediate);
    await writeStatus(one, memory);
    underWay -= 1;
  };
  const report = await cluster.work(async () => measured(names.map((name) => `Deployment/${name}`)), NOW);
  t.equal(most, 8);
  t.match(report, { written: 50, recommended: 50 });
  t.strictSame(cluster.writes.toSorted(), names.toSorted());
});

t.test('who has lost the lease stops: one failure of the cycle, not one for each record', async (t) => {
  const names = Array.from({ length: 50 }, (_, index) => `r${index}`);
  const cluster = playCluster(
    names.map((name) => record(name)),
    names.map((name) => deployment(name)),
  );
  let left = 20;
  const { cluster: guarded } = onlyWhile(() => left-- > 0, { ...cluster });
  await t.rejects(
    cluster.work(async () => measured([]), NOW, { cluster: guarded }),
    LeaseLostError,
  );
  t.equal(cluster.writes.length, 20);
  t.strictSame(
    cluster.lines.filter(({ level }) => level > 30),
    [],
  );
});

t.test('each step of a cycle is timed, and together they are no longer than it', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders')]);
  const { limitRanges } = cluster;
  // A timer may fire up to a millisecond early.
  cluster.limitRanges = async () => {
    await sleep(30);
    return limitRanges();
  };
  const started = performance.now();
  const { steps } = await cluster.work(async () => {
    await sleep(20);
    return measured(['Deployment/orders']);
  }, NOW);
  const took = (performance.now() - started) / 1000;
  t.ok(steps.list >= 0.029, `${steps.list}`);
  t.ok(steps.collect >= 0.019 && steps.collect < took - 0.029, `${steps.collect}`);
  t.ok(steps.decide > 0 && steps.write > 0, `${steps.decide}, ${steps.write}`);
  t.ok(steps.list + steps.collect + steps.decide + steps.write <= took);
});

t.test('OOM kills at the highest limit are said once, whatever the number of kills', async (t) => {
  const cluster = playCluster([record('orders')], [deployment('orders', '4Gi/8Gi')]);
  const kills = async () => measured(['Deployment/orders'], 110, 180, 210, { oomLimit: 8192 * Mi });
  for (let minute = 0; minute < 5; minute += 1) await cluster.work(kills, NOW + minute * MINUTE);
  const said = 'Deployment/orders container function: OOM killed at 8Gi, and OPRC_CRM_LIMIT_MAX allows no more';
  t.match(cluster.status('orders'), { phase: 'Degraded', message: `${said}.` });
  t.strictSame(
    cluster.events.filter((event) => event.includes('AtCeiling')),
    [`orders AtCeiling: ${said}`],
  );
  await cluster.work(ORDERS, NOW + 60 * MINUTE);
  t.equal(cluster.status('orders')?.containers[0]?.trouble, undefined);
});
