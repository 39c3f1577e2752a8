/** A start with many records: not ready before the last of them is there, and then within seconds. */
import t from 'tap';
import { until } from '../cluster/until.ts';
import { type Asked, page } from '../kube/played-api-server.ts';
import { record } from '../serve/served.ts';
import { behave, playCluster } from './played-cluster.ts';
import { keepsItsPromise, run } from './running.ts';

const RECORDS = Number(process.env.OAAS_TUNER_START_RECORDS ?? 2_000);

t.test(`a start with ${RECORDS} records`, { timeout: 200_000 }, async (t) => {
  const others = Array.from({ length: RECORDS - 1 }, (_, index) => record(`other-${index}`));
  const cluster = await playCluster(t, [record(), ...others]);
  const held: Asked[] = [];
  let pages = 0;
  // As the API server does it: so many at a time, and where the next page begins.
  const list = (asked: Asked) => {
    const [from, limit] = [Number(asked.query.continue ?? 0), Number(asked.query.limit)];
    const next = from + limit < RECORDS ? String(from + limit) : '';
    pages += 1;
    asked.reply(page(cluster.records.slice(from, from + limit), '10', next));
  };
  cluster.misbehave = (asked) => {
    const listed = asked.path.endsWith('/deploymentrecords') && asked.query.watch !== 'true';
    if (!listed) behave(cluster, asked);
    else if (Number(asked.query.continue ?? 0) + Number(asked.query.limit) < RECORDS) list(asked);
    else held.push(asked);
  };
  const tuner = await run(t, { env: { KUBECONFIG: cluster.kubeconfig } });
  await until('the last page to be asked for', () => held.length > 0, { timeoutMs: 60_000 });
  t.ok(pages > 1, `${pages} pages were read`);
  t.equal(await tuner.ready(), 'not ready: the records have not been listed yet\n');
  await keepsItsPromise(t, tuner, 'unchanged');
  t.equal(await tuner.metric('oaas_tuner_store_records'), 0, 'a part of the list is in force for nobody');

  for (const asked of held) list(asked);
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  t.equal(await tuner.metric('oaas_tuner_store_records'), RECORDS, 'ready: every record is there');
  await keepsItsPromise(t, tuner, 'right');
  const [first, listed] = [await tuner.line('listed'), await tuner.line('listed', ({ items }) => items === RECORDS)];
  const took = Date.parse(String(listed.time)) - Date.parse(String(first.time));
  t.comment(`${RECORDS} records, ${pages} pages: in force ${took} ms after the first list of anything`);
});
