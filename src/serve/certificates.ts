/**
 * The certificate of the webhook: read from a folder, and for a laptop made there, a CA and a leaf for localhost. The
 * API server verifies the leaf's SAN against the name that it calls, by the CA in the webhook configuration's `caBundle`.
 */
import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import forge from 'node-forge';

/** PEM texts. */
export type KeyPair = { cert: string; key: string };

/** What the HTTPS server needs, when it ends (milliseconds since the epoch), and whom a caller has to trust (PEM), if known. */
export type Served = KeyPair & { expiry: number; ca?: string };

const DAY_MS = 86_400_000;
const LEAF_DAYS = 365;
const CA_DAYS = 3650;

/** @throws {Error} with one sentence when the folder has no readable certificate */
export async function readCertificate(folder: string): Promise<Served> {
  const [cert, key] = await Promise.all(
    ['tls.crt', 'tls.key'].map((file) => readFile(join(folder, file), 'utf8')),
  ).catch((error: unknown) => {
    throw new Error(`no certificate in ${folder}: it must hold tls.crt and tls.key`, { cause: error });
  });
  if (cert === undefined || key === undefined) throw new Error(`no certificate in ${folder}`);
  try {
    const certificate = new X509Certificate(cert);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error('tls.key is not the key of tls.crt');
    const ca = await readFile(join(folder, 'ca.crt'), 'utf8').catch(() => undefined);
    return { cert, key, expiry: Date.parse(certificate.validTo), ...(ca !== undefined && { ca }) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the certificate in ${folder} cannot be served: ${why}`);
  }
}

/**
 * Makes `ca.crt`, `tls.crt` and `tls.key` for localhost, unless the folder already holds a certificate. Of several processes
 * that start together in one folder, one puts its own there; the others wait for it.
 *
 * @returns whether it made them
 */
export async function ensureCertificates(folder: string, now: number): Promise<boolean> {
  const [there, lock] = [join(folder, 'tls.crt'), join(folder, '.making')];
  if (existsSync(there)) return false;
  await mkdir(folder, { recursive: true });
  const ca = issueAuthority('oaas-tuner', now);
  const leaf = issueLeaf(ca, ['localhost', '127.0.0.1', '::1'], now);
  const made = await mkdtemp(join(folder, '.made-'));
  try {
    await writeFile(join(made, 'ca.crt'), ca.cert);
    await writeFile(join(made, 'tls.key'), leaf.key, { mode: 0o600 });
    await writeFile(join(made, 'tls.crt'), leaf.cert);
    await locked(lock);
    try {
      if (existsSync(there)) return false;
      // The certificate last: where it is, the others are.
      for (const file of ['ca.crt', 'tls.key', 'tls.crt']) await rename(join(made, file), join(folder, file));
      return true;
    } finally {
      await rmdir(lock);
    }
  } finally {
    await rm(made, { recursive: true });
  }
}

/** To make a folder is the one thing that only one process can do. Held for milliseconds; older, its maker is dead. */
async function locked(folder: string): Promise<void> {
  for (;;) {
    const mine = await mkdir(folder).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
        return false;
      },
    );
    if (mine) return;
    const made = await stat(folder).catch(() => undefined);
    if (made && Date.now() - made.mtimeMs > 10_000) await rmdir(folder).catch(() => {});
    await sleep(10);
  }
}

/**
 * A certificate for these hosts and the CA that signed it, and nothing else ever will: its key is not kept. The keys are
 * made off the event loop.
 *
 * @param now milliseconds since the epoch
 * @param life milliseconds
 */
export async function issuePair(hosts: string[], now: number, life: number): Promise<KeyPair & { ca: string }> {
  const [forCa, forLeaf] = await Promise.all([newKeys(), newKeys()]);
  const ca = issueAuthority('oaas-tuner', now, life, forCa);
  return { ...issueLeaf(ca, hosts, now, life, forLeaf), ca: ca.cert };
}

async function newKeys(): Promise<forge.pki.rsa.KeyPair> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const key = forge.pki.privateKeyFromPem(privateKey);
  return { privateKey: key, publicKey: forge.pki.setRsaPublicKey(key.n, key.e) };
}

/** A self-signed CA. @param now milliseconds since the epoch @param life milliseconds */
export function issueAuthority(
  commonName: string,
  now: number,
  life = CA_DAYS * DAY_MS,
  keys = forge.pki.rsa.generateKeyPair(2048),
): KeyPair {
  const certificate = blank(keys.publicKey, commonName, now, life);
  certificate.setIssuer(certificate.subject.attributes);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  certificate.sign(keys.privateKey, forge.md.sha256.create());
  return pem(certificate, keys.privateKey);
}

/** A server certificate for these host names and addresses. @param now milliseconds since the epoch @param life milliseconds */
export function issueLeaf(
  ca: KeyPair,
  hosts: string[],
  now: number,
  life = LEAF_DAYS * DAY_MS,
  keys = forge.pki.rsa.generateKeyPair(2048),
): KeyPair {
  const authority = forge.pki.certificateFromPem(ca.cert);
  const certificate = blank(keys.publicKey, hosts[0] ?? 'oaas-tuner', now, life);
  certificate.setIssuer(authority.subject.attributes);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames: hosts.map(altName) },
    { name: 'authorityKeyIdentifier', keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes() },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(ca.key), forge.md.sha256.create());
  return pem(certificate, keys.privateKey);
}

function blank(publicKey: forge.pki.PublicKey, commonName: string, now: number, life: number): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  // Random, so that a new CA never repeats an old one; a first octet of 4x keeps it positive (RFC 5280, 4.1.2.2) and, other
  // than 00, in its shortest form: Go's crypto/x509, and so the API server, refuses any other.
  certificate.serialNumber = `4${randomBytes(16).toString('hex').slice(1)}`;
  // An hour back, for clocks that disagree.
  certificate.validity.notBefore = new Date(now - 3_600_000);
  certificate.validity.notAfter = new Date(now + life);
  certificate.setSubject([{ name: 'commonName', value: commonName }]);
  return certificate;
}

/** GeneralName types of RFC 5280: 2 is a DNS name, 7 an IP address. */
function altName(host: string): { type: number; value?: string; ip?: string } {
  return /^[\d.]+$|:/.test(host) ? { type: 7, ip: host } : { type: 2, value: host };
}

function pem(certificate: forge.pki.Certificate, key: forge.pki.PrivateKey): KeyPair {
  const [cert, secret] = [forge.pki.certificateToPem(certificate), forge.pki.privateKeyToPem(key)];
  return { cert: cert.replaceAll('\r', ''), key: secret.replaceAll('\r', '') };
}
