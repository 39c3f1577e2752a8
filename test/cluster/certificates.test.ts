/** The certificates that the tuner makes itself, with the API server as the one who verifies them. */

import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { openCluster, startApp } from '../../src/app.ts';
import { readSettings } from '../../src/settings.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { reservePort } from './ports.ts';
import { failedOpen, given, kubectl, manifest, memory, put } from './stage.ts';
import { byService, install, isCalled, NAMESPACE } from './tuner.ts';
import { until } from './until.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const ROTATIONS = Number(process.env.OAAS_TUNER_ROTATIONS ?? 10);
const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/oaas-tuner';

t.test('the tuner keeps its own certificate', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const { rotate, rotations } = await startTimeless(t, cluster);
  await given(cluster, { overrides: { function: { request: '300Mi', limit: '400Mi' } } });

  await t.test(
    `${ROTATIONS} rotations under a stream of applies: every one gets its values, none fails open`,
    async (t) => {
      const failed = await failedOpen(cluster);
      let done = false;
      let applies = 0;
      const stream = (async () => {
        for (; !done; applies += 1) {
          await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'stream', version: String(applies) }));
          const got = await memory(cluster, 'deployment/stream');
          if (got !== '300Mi/400Mi') t.fail(`apply ${applies}: ${got}`);
        }
      })();
      for (let count = 0; count < ROTATIONS || applies <= ROTATIONS; count += 1) await rotate();
      done = true;
      await stream;
      t.ok(applies > ROTATIONS, `${applies} applies`);
      t.equal(await failedOpen(cluster), failed);
    },
  );

  await t.test('the bundle wiped: healed within seconds', async (t) => {
    await put(cluster.api(), CONFIGURATION, (live) => {
      for (const webhook of live.webhooks) delete webhook.clientConfig.caBundle;
      return live;
    });
    await until('the bundle to be there again', async () => {
      const { body } = await cluster.api().send(CONFIGURATION);
      return body.webhooks.every((webhook: { clientConfig: { caBundle?: string } }) => webhook.clientConfig.caBundle);
    });
    await until('values to be injected again', async () => {
      const name = `healed-${Date.now()}`;
      await kubectl(cluster, ['apply', '-f', '-'], manifest({ name }));
      return (await memory(cluster, `deployment/${name}`)) === '300Mi/400Mi';
    });
    t.ok(true);
  });

  await t.test('only caBundle is ours; a connection that is open stays open through a rotation', async (t) => {
    const { body } = await cluster.api().send(CONFIGURATION);
    const ours = body.metadata.managedFields.filter(({ manager }: { manager: string }) => manager === 'oaas-tuner');
    const [fields] = ours.map((entry: { fieldsV1: { 'f:webhooks': object } }) => entry.fieldsV1['f:webhooks']);
    for (const one of Object.values(fields)) {
      t.strictSame(Object.keys((one as Record<string, object>)['f:clientConfig'] ?? {}), ['f:caBundle']);
    }
    const { port } = body.webhooks[0].clientConfig.service;
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    t.teardown(() => socket.destroy());
    await once(socket, 'secureConnect');
    const serial = socket.getPeerCertificate().serialNumber;
    // A connection that has asked for nothing yet is closed after seconds.
    t.match(await asked(socket), 'HTTP/1.1 404');
    const before = rotations();
    await rotate();
    t.equal(rotations(), before + 1);
    t.match(await asked(socket), 'HTTP/1.1 404');
    const another = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    t.teardown(() => another.destroy());
    await once(another, 'secureConnect');
    t.not(another.getPeerCertificate().serialNumber, serial, 'a new connection sees the new one');
  });
});

async function asked(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const [answer] = await once(socket, 'data');
  return String(answer);
}

/** In seconds; the tuner looks twelve times in it, and renews when a third is left. */
const LIFE = 15;

/**
 * A tuner in this process whose certificates live that long, by a clock that the test moves and that is far ahead of the
 * API server's: so each rotation takes its real course, and none runs out while a busy machine looks elsewhere.
 */
async function startTimeless(t: Test, cluster: Cluster) {
  const port = await reservePort();
  await install(cluster, byService(port.port));
  await port.release();
  const before = process.env.KUBECONFIG;
  process.env.KUBECONFIG = cluster.kubeconfigFor('tuner');
  t.teardown(() => {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
  });
  const read = readSettings({
    OPRC_CRM_PROFILE: 'full',
    OAAS_TUNER_HOST: '127.0.0.1',
    OAAS_TUNER_PORT: String(port.port),
    OAAS_TUNER_METRICS_PORT: '0',
    OAAS_TUNER_NAMESPACE: NAMESPACE,
    OAAS_TUNER_CERTIFICATES: 'secret',
    OAAS_TUNER_CERTIFICATE_LIFE_SECS: String(LIFE),
    OAAS_TUNER_LOG_LEVEL: 'silent',
  });
  if ('problems' in read) throw new Error(read.problems.join());
  const { log, lines } = listenedLog();
  let ahead = 600_000;
  const app = await startApp(read.settings, log, async (store, namespaces) => {
    const edges = await openCluster(store, namespaces, read.settings, log);
    return { ...edges, certificate: async (now) => edges.certificate?.(now + ahead) };
  });
  t.teardown(() => app.stop(0));
  await until('the API server to call the webhook', () => isCalled(cluster));
  const served = () => lines.filter(({ msg }) => msg === 'serving a certificate');
  const rotations = () => served().length;
  const rotate = async () => {
    const done = rotations();
    const left = Date.parse(String(served().at(-1)?.expires)) - Date.now() - ahead;
    // All the time that there is for a renewal: without any left there would be nothing to overlap with.
    ahead += Math.max(0, left - (LIFE * 1_000) / 3 + 100);
    await until('the next certificate to be served', () => rotations() > done);
  };
  return { rotate, rotations };
}
