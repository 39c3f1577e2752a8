/** Keeps what is served equal to where the certificate comes from; open connections are not touched. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Log, reason } from '../log.ts';
import { ensureCertificates, readCertificate, type Served } from './certificates.ts';

export type Reloading = {
  /** what to look at; `undefined` when there is no certificate yet */
  look: (now: number) => Promise<Served | undefined>;
  use: (served: Served) => void;
  everyMs: number;
  log: Log;
  signal: AbortSignal;
};

/** Looks for ever, until the signal aborts. A look that fails leaves what is served, and says so once for each cause. */
export async function followCertificate({ look, use, everyMs, log, signal }: Reloading): Promise<void> {
  let current = '';
  let trouble = '';
  while (!signal.aborted) {
    try {
      const served = await look(Date.now());
      if (served && served.cert !== current) {
        use(served);
        current = served.cert;
        const expires = new Date(served.expiry).toISOString();
        if (served.expiry > Date.now()) log.info({ expires }, 'serving a certificate');
        else log.error({ expires }, 'serving a certificate that has expired');
      }
      trouble = '';
    } catch (error) {
      if (trouble !== reason(error)) log.warn({ error: reason(error) }, 'cannot look after the certificate');
      trouble = reason(error);
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** The certificate in the folder; for a laptop one is made when there is none. @throws {Error} with one sentence */
export async function ownCertificate(folder: string, log: Log): Promise<Served> {
  if (await ensureCertificates(folder, Date.now())) {
    log.warn({ folder }, 'made a certificate for localhost, because there was none');
  }
  return readCertificate(folder);
}

/** PEM of the CA whose certificates may ask for reviews. @throws {Error} with one sentence */
export async function readClientCa(file: string): Promise<string> {
  try {
    const pem = await readFile(file, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new Error(`OAAS_TUNER_CLIENT_CA: ${file} holds no certificate that can be read: ${reason(error)}`);
  }
}

/** What the server starts with. */
export function tlsOptions(served: Served | undefined, clientCa: string | undefined) {
  return {
    ...(served && { cert: served.cert, key: served.key }),
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}

/** From the next handshake on. @param clientCa PEM of who may ask, if not everybody may */
export function serveWith(server: Server, { cert, key }: Served, clientCa?: string): void {
  server.setSecureContext({ cert, key, minVersion: 'TLSv1.2', ...(clientCa !== undefined && { ca: clientCa }) });
}
