/** A cluster's certificates over years, with a clock that the test moves: whatever a replica serves, the API server trusts. */
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { ApiError } from '../../src/kube/api.ts';
import type { SecretClient } from '../../src/kube/secret.ts';
import type { Trust, TrustClient } from '../../src/kube/webhook-configuration.ts';
import { issuePair, type Served } from '../../src/serve/certificates.ts';
import { createKeeper } from '../../src/serve/keeper.ts';
import { listenedLog } from './log-lines.ts';

const HOST = 'oaas-tuner.oaas-system.svc';
const DAY = 86_400_000;
const LIFE = 90 * DAY;

/** The Secret and the webhook configuration of a cluster, in memory. */
function playCluster() {
  let data: Record<string, string> = {};
  let version = 1;
  const bundles = new Map([
    ['deployments.tuning.oaas.io', ''],
    ['services.tuning.oaas.io', ''],
  ]);
  let publications = 0;
  const secret: SecretClient = {
    read: async () => ({ data: { ...data }, version: String(version) }),
    async replace(next, expected) {
      if (expected !== String(version)) throw Object.assign(new ApiError('replace', 'changed'), { code: 409 });
      data = next;
      version += 1;
    },
  };
  const trust: TrustClient = {
    read: async () => [{ plural: 'p', kind: 'MutatingWebhookConfiguration', bundles: new Map(bundles) }],
    async publish({ bundles: names }: Trust, bundle) {
      publications += 1;
      for (const name of names.keys()) bundles.set(name, bundle);
    },
  };
  return {
    ...{ secret, trust, bundles },
    data: () => data,
    empty: () => {
      data = {};
      version += 1;
    },
    publications: () => publications,
  };
}

type Played = ReturnType<typeof playCluster>;

function replica({ secret, trust }: Played, leading = true) {
  const { log, lines } = listenedLog();
  let leads = leading;
  const look = createKeeper({ secret, trust, host: HOST, life: LIFE, leads: () => leads, log });
  return { look, lines, lead: (now: boolean) => (leads = now) };
}

/** As Go verifies: some CA of the bundle has signed it, both are valid now, and the name is right. */
function trusted(served: Served | undefined, bundle: string, now: number): boolean {
  if (!served) return false;
  const leaf = new X509Certificate(served.cert);
  const valid = (one: X509Certificate) => Date.parse(one.validFrom) <= now && now < Date.parse(one.validTo);
  const authorities = bundle
    .split(/(?<=END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map((pem) => new X509Certificate(pem));
  return (
    valid(leaf) &&
    leaf.checkHost(HOST) !== undefined &&
    authorities.some((ca) => valid(ca) && leaf.checkIssued(ca) && leaf.verify(ca.publicKey))
  );
}

t.test('the first look of the replica that works makes a certificate and has it trusted; others load it', async (t) => {
  const cluster = playCluster();
  const [leader, other] = [replica(cluster), replica(cluster, false)];
  const now = Date.now();
  t.equal(await other.look(now), undefined, 'who does not work makes none');
  const served = await leader.look(now);
  t.equal((await other.look(now))?.cert, served?.cert);
  for (const bundle of cluster.bundles.values()) t.ok(trusted(served, bundle, now));
  t.strictSame(Object.keys(cluster.data()).sort(), ['ca.crt', 'tls.crt', 'tls.key'], "the CA's key is kept nowhere");
});

t.test('over three years, with replicas and an API server that hear late, every served leaf is trusted', async (t) => {
  const cluster = playCluster();
  const [leader, other] = [replica(cluster), replica(cluster, false)];
  let now = Date.now();
  let served = [await leader.look(now), await other.look(now)];
  // What the API server believes: the bundle as it was half a minute ago.
  let believed = cluster.bundles.get('deployments.tuning.oaas.io') ?? '';
  const serials = new Set<string>();
  let most = 0;
  for (const end = now + 3 * 365 * DAY; now < end; ) {
    // Days in which nothing is due, then, where something is under way, every half minute.
    const pending = 'next.crt' in cluster.data();
    now += pending ? 30_000 : DAY;
    const [mine, standing] = [await leader.look(now), cluster.bundles.get('deployments.tuning.oaas.io') ?? ''];
    for (const one of [mine, served[1]]) if (!trusted(one, believed, now)) return t.fail(new Date(now).toISOString());
    served = [mine, await other.look(now)];
    believed = standing;
    serials.add(new X509Certificate(mine?.cert ?? '').serialNumber);
    most = Math.max(most, standing.split('BEGIN').length - 1);
  }
  t.ok(serials.size >= 18, `${serials.size} leaves: renewed at two thirds of 90 days`);
  t.equal(most, 2, 'the bundle holds the old and the new CA, never a heap');
});

t.test('staged first, served when its CA has been published for a minute', async (t) => {
  const cluster = playCluster();
  const { look } = replica(cluster);
  const start = Date.now();
  const first = await look(start);
  t.equal((await look(start + 59 * DAY))?.cert, first?.cert);
  t.notOk('next.crt' in cluster.data());
  const due = start + 61 * DAY;
  t.equal((await look(due))?.cert, first?.cert, 'the old one is served on');
  t.ok('next.crt' in cluster.data());
  t.equal(cluster.bundles.get('services.tuning.oaas.io')?.split('BEGIN').length, 3, 'both CAs are trusted');
  t.equal((await look(due + 59_000))?.cert, first?.cert);
  t.not((await look(due + 61_000))?.cert, first?.cert);
  t.notOk('next.crt' in cluster.data());
});

t.test('a bundle that somebody wiped is put back at the next look, and the waiting starts anew', async (t) => {
  const cluster = playCluster();
  const { look } = replica(cluster);
  const start = Date.now();
  const first = await look(start);
  const due = start + 61 * DAY;
  await look(due);
  const bundle = cluster.bundles.get('services.tuning.oaas.io');
  cluster.bundles.set('services.tuning.oaas.io', '');
  t.equal((await look(due + 50_000))?.cert, first?.cert);
  t.equal(cluster.bundles.get('services.tuning.oaas.io'), bundle);
  t.equal((await look(due + 70_000))?.cert, first?.cert);
  t.not((await look(due + 111_000))?.cert, first?.cert);
});

t.test('nothing is published that stands already', async (t) => {
  const cluster = playCluster();
  const { look } = replica(cluster);
  const now = Date.now();
  for (let second = 0; second < 60; second += 5) await look(now + second * 1000);
  t.equal(cluster.publications(), 1);
});

t.test('another leader in the middle of a rotation finishes it, after a wait of its own', async (t) => {
  const cluster = playCluster();
  const [a, b] = [replica(cluster), replica(cluster, false)];
  const start = Date.now();
  const first = await a.look(start);
  const due = start + 61 * DAY;
  await a.look(due);
  a.lead(false);
  b.lead(true);
  t.equal((await b.look(due + 61_000))?.cert, first?.cert, 'it has not seen for how long the CA has been published');
  const second = await b.look(due + 122_000);
  t.not(second?.cert, first?.cert);
  t.equal((await a.look(due + 123_000))?.cert, second?.cert);
});

t.test('a machine that slept over the end of everything makes new ones at once', async (t) => {
  const cluster = playCluster();
  const { look } = replica(cluster);
  const start = Date.now();
  await look(start);
  const late = start + 200 * DAY;
  const served = await look(late);
  t.ok(trusted(served, cluster.bundles.get('deployments.tuning.oaas.io') ?? '', late));
  t.equal(cluster.bundles.get('deployments.tuning.oaas.io')?.split('BEGIN').length, 2, 'what has expired is gone');
});

t.test('a Secret that was emptied, or holds nonsense or a leaf for another name, is filled anew', async (t) => {
  const cluster = playCluster();
  const { look } = replica(cluster);
  const now = Date.now();
  const first = await look(now);
  const check = async (why: string) => {
    const served = await look(now);
    t.not(served?.cert, first?.cert, why);
    t.ok(trusted(served, cluster.bundles.get('deployments.tuning.oaas.io') ?? '', now), why);
  };
  cluster.empty();
  await check('emptied: a new CA, and only that is trusted');
  t.equal(cluster.bundles.get('deployments.tuning.oaas.io')?.split('BEGIN').length, 2);
  const { version } = await cluster.secret.read();
  await cluster.secret.replace({ 'tls.crt': 'nonsense', 'tls.key': 'x', 'ca.crt': '' }, version);
  await check('nonsense');
  const foreign = await issuePair(['other.svc'], now, LIFE);
  const again = await cluster.secret.read();
  await cluster.secret.replace(
    { 'tls.crt': foreign.cert, 'tls.key': foreign.key, 'ca.crt': foreign.ca },
    again.version,
  );
  await check('another name');
});

t.test('two that both believe to work collide at the Secret, and one certificate stands', async (t) => {
  const cluster = playCluster();
  const [a, b] = [replica(cluster), replica(cluster)];
  const now = Date.now();
  const looks = await Promise.allSettled([a.look(now), b.look(now)]);
  t.equal(looks.filter(({ status }) => status === 'fulfilled').length, 1);
  const [mine, other] = [await a.look(now), await b.look(now)];
  t.equal(mine?.cert, other?.cert);
  t.ok(trusted(mine, cluster.bundles.get('deployments.tuning.oaas.io') ?? '', now));
});
