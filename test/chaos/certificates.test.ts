/** What may become of the certificate while reviews come in: run out, change under load. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { issueAuthority, issueLeaf } from '../../src/serve/certificates.ts';
import { until } from '../cluster/until.ts';
import { clientOf, review } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { keepsItsPromise, run } from './running.ts';

const DAY_MS = 86_400_000;
// A renewed leaf of the same CA, as cert-manager makes it.
const ca = issueAuthority('the tests', Date.now() - 10 * DAY_MS);

function put(folder: string, issued: number, life: number): void {
  const { cert, key } = issueLeaf(ca, ['localhost'], issued, life);
  writeFileSync(join(folder, 'tls.key'), key);
  writeFileSync(join(folder, 'tls.crt'), cert);
}

t.test('run out: nobody who verifies calls us, log and metric say it, and a new one is served at once', async (t) => {
  const cluster = await playCluster(t);
  const env = { KUBECONFIG: cluster.kubeconfig, OAAS_TUNER_CERTIFICATE_LIFE_SECS: '6' };
  const tuner = await run(t, { env });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  put(tuner.tlsDir, Date.now() - 2 * DAY_MS, DAY_MS);
  await tuner.line('serving a certificate that has expired');
  const client = clientOf(tuner.reviewsPort, ca.cert);
  t.teardown(() => client.close());
  await t.rejects(client.post('/mutate', review()), { code: 'CERT_HAS_EXPIRED' });
  const expiry = await tuner.metric('oaas_tuner_certificate_expiry_timestamp_seconds');
  t.ok(expiry < Date.now() / 1000, 'the metric that the alert reads');
  put(tuner.tlsDir, Date.now(), DAY_MS);
  await until('the new one', () => client.post('/mutate', review()));
  await keepsItsPromise(t, tuner, 'right', client);
});

t.test('changed twenty times under load: no review is lost, on old connections and on new ones', async (t) => {
  const cluster = await playCluster(t);
  const env = { KUBECONFIG: cluster.kubeconfig, OAAS_TUNER_CERTIFICATE_LIFE_SECS: '5' };
  const tuner = await run(t, { env });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');
  put(tuner.tlsDir, Date.now(), DAY_MS);
  const fresh = () => clientOf(tuner.reviewsPort, ca.cert, 1);
  const kept = fresh();
  t.teardown(() => kept.close());
  await until('the first of this CA', () => kept.post('/mutate', review()));
  const served = () => tuner.lines().filter(({ msg }) => msg === 'serving a certificate').length;
  // The one of the start had a line, too.
  await until('its line', () => served() >= 2);
  let [done, reviews] = [false, 0];
  const load = async () => {
    while (!done) {
      const once = fresh();
      for (const client of [kept, once]) {
        const { status, body } = await client.post('/mutate', review());
        reviews += 1;
        if (status !== 200 || !body.response.patch) t.fail(`${status}`);
      }
      await once.close();
    }
  };
  const loads = Promise.all([load(), load(), load()]);
  for (let rotations = 0; rotations < 20; rotations += 1) {
    const before = served();
    put(tuner.tlsDir, Date.now(), DAY_MS + rotations * 1000);
    await until('it to be served', () => served() > before);
  }
  done = true;
  await loads;
  t.ok(reviews > 100, `${reviews} reviews`);
  t.ok((await tuner.metric('oaas_tuner_certificates_served_total')) >= 22, 'each was counted');
  await keepsItsPromise(t, tuner, 'right', kept);
});
