/** What the metrics show of each record, and that their number has a bound. */
import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { bounded, type Figures, overRequestOf } from '../../src/worker/figures.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import { deployment, measured, playCluster, record } from './played-cluster.ts';

const usage = async () => measured(['Deployment/orders'], 110, 180, 210, { kills: 2 });
const orders = (wishes: object, replicas = 3) => {
  const cluster = playCluster([record('orders', { enforce: true, ...wishes })], [deployment('orders', '512Mi/1Gi')]);
  cluster.set('orders', ({ spec, status }) => {
    Object.assign(spec, { replicas });
    Object.assign(status, { replicas, updatedReplicas: replicas, availableReplicas: replicas });
  });
  return cluster;
};

t.test('of all pods: what they request, use, and would request by the manifest', async (t) => {
  const cluster = orders({});
  const [before] = (await cluster.work(usage, NOW)).figures;
  t.strictSame(before, {
    ...{ namespace: 'shop', record: 'orders', requested: 3 * 512 * Mi, measured: 3 * 512 * Mi, used: 330 * Mi },
    ...{ saved: { request: 0, limit: 0 }, kills: 2 },
  });
  const [after] = (await cluster.work(usage, NOW + MINUTE)).figures;
  t.match(after, {
    requested: 3 * 368 * Mi,
    saved: { request: 3 * (512 - 368) * Mi, limit: 3 * (1024 - 720) * Mi },
  });
  t.equal(overRequestOf(after as Figures), 1 - 110 / 368);
});

t.test('an override is no saving; without pods nothing is requested, and the ratio is 0', async (t) => {
  const fixed = orders({ overrides: { function: { request: '128Mi', limit: '256Mi' } } });
  fixed.change('orders', ({ metadata }) => Object.assign(metadata, { annotations: { a: 'b' } }));
  t.match((await fixed.work(usage, NOW)).figures, [{ requested: 3 * 128 * Mi, saved: { request: 0, limit: 0 } }]);
  const [none] = (await orders({}, 0).work(usage, NOW)).figures;
  t.match(none, { requested: 0, used: 0, kills: 2 });
  t.equal(overRequestOf(none as Figures), 0);
});

t.test('without usage: what is requested is known, how much of it is used is not', async (t) => {
  const [unseen] = (await orders({}).work(async () => measured([]), NOW)).figures;
  t.match(unseen, { requested: 3 * 512 * Mi, measured: 0, kills: 0 });
});

t.test('the largest have figures of their own, the others share one, and the sums stay', async (t) => {
  const many = Array.from({ length: 250 }, (_, index): Figures => {
    const [record, requested] = [`r${index}`, (index * 7919) % 251];
    return { namespace: 'shop', record, requested, measured: 1, used: 1, saved: { request: 1, limit: 2 }, kills: 0 };
  });
  const shown = bounded(many);
  t.equal(shown.length, 101);
  t.match(shown.at(-1), { namespace: '', record: 'other', saved: { request: 150, limit: 300 }, kills: 0, used: 150 });
  const sum = (some: Figures[]) => some.reduce((total, { requested }) => total + requested, 0);
  t.equal(sum(shown), sum(many));
  t.ok(Math.min(...shown.slice(0, 100).map(({ requested }) => requested)) >= 150);

  const [smallest] = many.toSorted((a, b) => a.requested - b.requested);
  const killed = bounded(many.map((one) => (one === smallest ? { ...one, kills: 3 } : one)));
  t.match(killed[0], { record: smallest?.record, kills: 3 }, 'one with kills can be named, however small it is');
  t.equal(killed.length, 101);
});
