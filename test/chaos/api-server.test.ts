/** What the API server may do to us while reviews come in: go, be slow, cut the watch, answer rubbish. */
import t from 'tap';
import { until } from '../cluster/until.ts';
import type { Asked } from '../kube/played-api-server.ts';
import { record } from '../serve/served.ts';
import { behave, type PlayedCluster, playCluster } from './played-cluster.ts';
import { keepsItsPromise, type Running, run } from './running.ts';

async function following(t: Parameters<typeof run>[0]): Promise<{ cluster: PlayedCluster; tuner: Running }> {
  const cluster = await playCluster(t);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('it to watch', () => cluster.watches.size > 0);
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  return { cluster, tuner };
}

/** Whether a change of the records still reaches admission: the way back. */
async function followsAgain({ cluster, tuner }: { cluster: PlayedCluster; tuner: Running }): Promise<void> {
  cluster.misbehave = undefined;
  cluster.records = [record(), record('another')];
  await until('the new list', async () => {
    for (const watch of cluster.watches) watch.event('ERROR', { code: 410, message: 'too old' });
    return (await tuner.metric('oaas_tuner_store_records')) === 2;
  });
}

/** Whoever answers 200 is taken for current, whatever comes after it: there the log tells alone. */
const FAULTS: Record<string, { misbehaves: (asked: Asked) => void; says: RegExp; current?: true }> = {
  gone: { misbehaves: (asked) => asked.reset(), says: /socket|hang up|closed|terminated|ECONN/i },
  'refusing everything': { misbehaves: (asked) => asked.refuse(429, 'too many requests'), says: /too many requests/ },
  'forbidding everything': { misbehaves: (asked) => asked.refuse(403, 'forbidden: no'), says: /forbidden: no/ },
  'answering with a page of HTML': { misbehaves: (asked) => asked.reply('<html>moved</html>', 502), says: /502/ },
  'answering 200 with what is no list': { misbehaves: (asked) => asked.reply('"nothing"'), says: /./, current: true },
};

for (const [how, { misbehaves, says, current }] of Object.entries(FAULTS)) {
  t.test(`${how}: the records that are known hold; then it follows again`, async (t) => {
    const both = await following(t);
    const { cluster, tuner } = both;
    cluster.misbehave = misbehaves;
    for (const watch of cluster.watches) watch.reset();
    await keepsItsPromise(t, tuner, 'right');
    await tuner.line('cannot follow the API server', ({ error }) => says.test(String(error)));
    const age = () => tuner.metric('oaas_tuner_store_age_seconds');
    const before = await age();
    await keepsItsPromise(t, tuner, 'right');
    t.equal(await tuner.ready(), 'ok\n');
    // The metric that the alert reads: by more than the way back takes.
    if (!current) await until('the age to grow', async () => (await age()) > before + 3);
    const after = await age();
    await followsAgain(both);
    t.ok(current || (await age()) < after, 'and it falls');
    await keepsItsPromise(t, tuner, 'right');
  });
}

t.test('slow: not ready before the list has come, however long it takes', async (t) => {
  const cluster = await playCluster(t);
  const held: Asked[] = [];
  cluster.misbehave = (asked) => held.push(asked);
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('records and namespaces to be asked for', () => {
    const paths = held.map(({ path }) => path);
    return ['/deploymentrecords', '/namespaces'].every((end) => paths.some((path) => path.endsWith(end)));
  });
  await keepsItsPromise(t, tuner, 'unchanged');
  t.match(await tuner.ready(), 'not ready');
  cluster.misbehave = undefined;
  for (const asked of held) behave(cluster, asked);
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  await keepsItsPromise(t, tuner, 'right');
});

t.test(
  'cutting every watch, in order or in the middle of an event: no change is lost, nobody is flooded',
  async (t) => {
    const both = await following(t);
    const { cluster, tuner } = both;
    let watches = 0;
    const started = performance.now();
    cluster.misbehave = (asked) => {
      if (asked.query.watch !== 'true' || !asked.path.endsWith('/deploymentrecords')) return behave(cluster, asked);
      watches += 1;
      asked.open();
      if (watches % 2) asked.end();
      else asked.reset();
    };
    for (const watch of cluster.watches) watch.end();
    await until('some to be cut', () => watches > 6);
    await keepsItsPromise(t, tuner, 'right');
    const seconds = (performance.now() - started) / 1000;
    t.ok(watches <= seconds * 4 + 1, `${watches} watches in ${seconds} s`);
    await followsAgain(both);
    await keepsItsPromise(t, tuner, 'right');
  },
);

t.test('a watch that sends rubbish between its events: what makes sense of it is taken', async (t) => {
  const { cluster, tuner } = await following(t);
  const [watch] = [...cluster.watches];
  for (const rubbish of ['{', '[]', 'null', '"x"', '{"type":"ADDED"}', '\u0000', 'x'.repeat(100_000)])
    watch?.write(rubbish);
  watch?.event('ADDED', record('another'));
  await until('the event', async () => (await tuner.metric('oaas_tuner_store_records')) === 2);
  await keepsItsPromise(t, tuner, 'right');
});
