/** A certificate that changes under a running server, and a server that asks who is calling. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import forge from 'node-forge';
import t, { type Test } from 'tap';
import { startApp } from '../../src/app.ts';
import {
  ensureCertificates,
  issueAuthority,
  issueLeaf,
  issuePair,
  type KeyPair,
} from '../../src/serve/certificates.ts';
import { readSettings } from '../../src/settings.ts';
import { listenedLog } from './log-lines.ts';
import { clientOf, record, review } from './served.ts';

async function start(t: Test, env: Record<string, string>) {
  const read = readSettings({
    ...{ OAAS_TUNER_HOST: '127.0.0.1', OAAS_TUNER_PORT: '0', OAAS_TUNER_METRICS_PORT: '0', OPRC_CRM_PROFILE: 'full' },
    // Looked after every half second.
    OAAS_TUNER_CERTIFICATE_LIFE_SECS: '6',
    ...env,
  });
  if ('problems' in read) throw new Error(read.problems.join());
  const { log, line } = listenedLog();
  const app = await startApp(read.settings, log, async (store, namespaces) => {
    store.replace([record()]);
    namespaces.replace([]);
    return { stop: async () => {} };
  });
  t.teardown(() => app.stop(0));
  return { app, line };
}

/** Asks on an open connection; the beginning of the answer. */
async function firstAnswer(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  return String((await once(socket, 'data'))[0]);
}

async function handshake(t: Test, port: number, options: object = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

t.test('new files in the folder are served from the next handshake on; half of a change is not', async (t) => {
  const tlsDir = t.testdir();
  await ensureCertificates(tlsDir, Date.now());
  const { app, line } = await start(t, { OAAS_TUNER_TLS_DIR: tlsDir });
  const open = await handshake(t, app.reviewsPort);
  const before = open.getPeerCertificate().serialNumber;
  // Who asks nothing is shown out after a few seconds.
  await firstAnswer(open);
  await line('serving a certificate');

  const next = await issuePair(['localhost'], Date.now(), 86_400_000);
  writeFileSync(join(tlsDir, 'tls.crt'), next.cert);
  const trouble = await line('cannot look after the certificate');
  t.match(trouble.error, 'tls.key is not the key of tls.crt');
  t.equal((await handshake(t, app.reviewsPort)).getPeerCertificate().serialNumber, before, 'what is served stays');

  writeFileSync(join(tlsDir, 'tls.key'), next.key);
  await line('serving a certificate');
  t.not((await handshake(t, app.reviewsPort)).getPeerCertificate().serialNumber, before);
  const client = clientOf(app.reviewsPort, next.ca);
  t.teardown(() => client.close());
  t.equal((await client.post('/mutate', review())).status, 200);
  t.match(await firstAnswer(open), 'HTTP/1.1 404', 'the connection from before lives');
});

t.test('with OAAS_TUNER_CLIENT_CA only who has a certificate of that CA may ask, also after a reload', async (t) => {
  const tlsDir = t.testdir();
  await ensureCertificates(tlsDir, Date.now());
  const ca = issueAuthority('the API server', Date.now());
  const caller = clientCertificate(ca);
  const stranger = clientCertificate(issueAuthority('somebody', Date.now()));
  const clientCa = join(tlsDir, 'client-ca.crt');
  writeFileSync(clientCa, ca.cert);
  const { app, line } = await start(t, { OAAS_TUNER_TLS_DIR: tlsDir, OAAS_TUNER_CLIENT_CA: clientCa });
  const ask = async (who: object) => {
    const socket = connect({ port: app.reviewsPort, host: '127.0.0.1', rejectUnauthorized: false, ...who });
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const answered = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      // TLS 1.3: the client is done before the server has looked at it.
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
    socket.destroy();
    return answered;
  };
  const check = async () => t.strictSame([await ask(caller), await ask(stranger), await ask({})], [true, false, false]);
  await check();
  await line('serving a certificate');
  const next = await issuePair(['localhost'], Date.now(), 86_400_000);
  writeFileSync(join(tlsDir, 'tls.key'), next.key);
  writeFileSync(join(tlsDir, 'tls.crt'), next.cert);
  await line('serving a certificate');
  await check();
});

t.test('a CA file that cannot be read stops the start, in one sentence', async (t) => {
  const folder = t.testdir({ 'ca.crt': 'nonsense' });
  await ensureCertificates(folder, Date.now());
  for (const file of ['ca.crt', 'missing']) {
    writeFileSync(join(folder, 'ca.crt'), 'nonsense');
    const env = { OAAS_TUNER_TLS_DIR: folder, OAAS_TUNER_CLIENT_CA: join(folder, file) };
    await t.rejects(start(t, env), { message: /^OAAS_TUNER_CLIENT_CA: .+ holds no certificate that can be read: / });
  }
});

t.test(
  'of processes that start together in an empty folder one makes the certificate, and nothing is mixed',
  async (t) => {
    const folder = t.testdir();
    const made = await Promise.all(Array.from({ length: 6 }, () => ensureCertificates(folder, Date.now())));
    t.strictSame(made.filter(Boolean), [true]);
    const { app } = await start(t, { OAAS_TUNER_TLS_DIR: folder });
    const client = clientOf(app.reviewsPort, readFileSync(join(folder, 'ca.crt'), 'utf8'));
    t.teardown(() => client.close());
    t.equal((await client.post('/mutate', review())).status, 200, 'CA, certificate and key belong together');
  },
);

/** As a cluster's own CA would give the API server one: for a client. */
function clientCertificate(ca: KeyPair): KeyPair {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const certificate = forge.pki.certificateFromPem(issueLeaf(ca, ['kube-apiserver'], Date.now()).cert);
  certificate.publicKey = keys.publicKey;
  certificate.setExtensions([{ name: 'extKeyUsage', clientAuth: true }]);
  certificate.sign(forge.pki.privateKeyFromPem(ca.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: forge.pki.privateKeyToPem(keys.privateKey) };
}
