import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import t from 'tap';
import { ensureCertificates, issueAuthority, issueLeaf, readCertificate } from '../../src/serve/certificates.ts';

const NOW = Date.now();
const DAY_MS = 86_400_000;
const ca = issueAuthority('the tests', NOW);
const leaf = issueLeaf(ca, ['oaas-tuner.oaas-system.svc', 'localhost', '127.0.0.1', '::1'], NOW);

/** Whether a client that trusts this CA only would talk to a server with this certificate, called by that name. */
async function trusts(authority: string, served: { cert: string; key: string }, host: string): Promise<string> {
  const server = createServer(served).on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  // An address is verified like a name, but must not be sent as one.
  const servername = /^[\d.]+$|:/.test(host) ? '' : host;
  const checked = { ca: authority, port, host: '127.0.0.1', ...(servername && { servername }) };
  const socket = connect(checked);
  const answer = await Promise.race([once(socket, 'secureConnect').then(() => 'trusted')]).catch((error) => error.code);
  socket.destroy();
  server.close();
  return answer;
}

t.test('a leaf is trusted by its CA for each of its names, and for no other', async (t) => {
  t.equal(await trusts(ca.cert, leaf, 'oaas-tuner.oaas-system.svc'), 'trusted');
  t.equal(await trusts(ca.cert, leaf, 'localhost'), 'trusted');
  t.equal(await trusts(ca.cert, leaf, '127.0.0.1'), 'trusted');
  t.equal(await trusts(ca.cert, leaf, 'oaas-tuner'), 'ERR_TLS_CERT_ALTNAME_INVALID');
  const other = issueAuthority('the tests', NOW);
  t.not(await trusts(other.cert, leaf, 'localhost'), 'trusted', 'a CA of the same name is another CA');
});

t.test('the leaf is a server certificate of the CA, and no CA itself', async (t) => {
  const [authority, certificate] = [new X509Certificate(ca.cert), new X509Certificate(leaf.cert)];
  t.equal(certificate.verify(authority.publicKey), true);
  t.equal(certificate.checkIssued(authority), true);
  t.strictSame([authority.ca, certificate.ca], [true, false]);
  t.equal(
    certificate.subjectAltName,
    'DNS:oaas-tuner.oaas-system.svc, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  );
  t.strictSame(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'server authentication only');
});

t.test('it is valid from an hour ago, for clocks that disagree, for a year', async (t) => {
  const { validFrom, validTo } = new X509Certificate(leaf.cert);
  const second = (time: number) => Math.floor(time / 1000) * 1000;
  t.equal(Date.parse(validFrom), second(NOW - 3_600_000));
  t.equal(Date.parse(validTo), second(NOW + 365 * DAY_MS));
});

t.test('serial numbers differ, are positive and encoded as Go wants them', async (t) => {
  const issued = [ca, leaf, issueLeaf(ca, ['localhost'], NOW), issueAuthority('the tests', NOW)];
  const serials = issued.map(({ cert }) => new X509Certificate(cert).serialNumber);
  t.equal(new Set(serials).size, serials.length);
  // A first octet of 00 would be one too many before a small second one, which crypto/x509 refuses to parse.
  for (const serial of serials) t.match(serial, /^[1-7][0-9A-F]{31}$/);
});

t.test('a folder gets a CA and a certificate for localhost once', async (t) => {
  const folder = join(t.testdir(), 'made', 'on demand');
  t.equal(await ensureCertificates(folder, NOW), true);
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  const first = read('tls.crt');
  t.equal(await ensureCertificates(folder, NOW), false);
  t.equal(read('tls.crt'), first);
  const served = await readCertificate(folder);
  t.equal(served.expiry, Date.parse(new X509Certificate(first).validTo));
  t.equal(await trusts(read('ca.crt'), served, 'localhost'), 'trusted');
  t.equal(await trusts(read('ca.crt'), served, '127.0.0.1'), 'trusted');
});

t.test('only its owner may read the key', async (t) => {
  const folder = t.testdir();
  await ensureCertificates(folder, NOW);
  t.equal(statSync(join(folder, 'tls.key')).mode & 0o777, 0o600);
});

t.test('a folder without a certificate that can be served is told in one sentence that names it', async (t) => {
  const folder = t.testdir();
  const file = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const refused = (sentence: RegExp) => t.rejects(readCertificate(folder), { message: sentence });
  await refused(/^no certificate in .+: it must hold tls\.crt and tls\.key$/);
  file('tls.crt', leaf.cert);
  await refused(/^no certificate in .+: it must hold tls\.crt and tls\.key$/);
  file('tls.key', ca.key);
  await refused(/^the certificate in .+ cannot be served: tls\.key is not the key of tls\.crt$/);
  file('tls.key', 'nonsense');
  await refused(/^the certificate in .+ cannot be served: [^\n]+$/);
  file('tls.key', leaf.key);
  file('tls.crt', '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n');
  await refused(/^the certificate in .+ cannot be served: [^\n]+$/);
});
