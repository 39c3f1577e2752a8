/**
 * What is to be done about the certificates in the Secret, as a function of what it holds and the time.
 *
 * Every leaf has a CA of its own, whose key is thrown away when it has signed: nobody can steal what nobody has. A new
 * pair is first *staged*: its CA is published beside the old one while the old leaf is served. Once the API server has
 * had time to see that, it is *promoted*. A CA leaves the bundle when it has expired, which is when nobody can be serving
 * its leaf any more. So at each moment the bundle trusts whatever any replica serves.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyPair } from './certificates.ts';

/** What the Secret holds; what cannot be read as a certificate is not held. */
export type Held = {
  /** CAs that the API server is to trust, PEM each */
  bundle: string[];
  served?: KeyPair;
  next?: KeyPair;
};

/** `issue`: serve a new pair at once, there is nothing to overlap with. */
export type Action = 'issue' | 'stage' | 'promote' | 'keep';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function readHeld(data: Record<string, string>): Held {
  const served = readPair(data['tls.crt'], data['tls.key']);
  const next = readPair(data['next.crt'], data['next.key']);
  const bundle = (data['ca.crt'] ?? '').match(PEM) ?? [];
  return {
    bundle: bundle.map((pem) => `${pem}\n`).filter((pem) => expiryOf(pem) > 0),
    ...(served && { served }),
    ...(next && { next }),
  };
}

export function writeHeld({ bundle, served, next }: Held): Record<string, string> {
  return {
    'ca.crt': bundle.join(''),
    ...(served && { 'tls.crt': served.cert, 'tls.key': served.key }),
    ...(next && { 'next.crt': next.cert, 'next.key': next.key }),
  };
}

/**
 * @param now milliseconds since the epoch
 * @param timing how long a leaf lives, and how long its CA must have been published before it is served; milliseconds
 * @param publishedSince since when the API server has been told of every CA in the bundle
 */
export function nextAction(
  { bundle, served, next }: Held,
  host: string,
  now: number,
  timing: { life: number; settle: number },
  publishedSince: number | undefined,
): Action {
  const good = (pair: KeyPair | undefined) => pair && expiryOf(pair.cert) > now && isTrusted(pair, bundle, host);
  if (!good(served)) return good(next) ? 'promote' : 'issue';
  if (next && good(next))
    return publishedSince !== undefined && now - publishedSince >= timing.settle ? 'promote' : 'keep';
  const left = expiryOf(served?.cert ?? '') - now;
  return left < timing.life / 3 ? 'stage' : 'keep';
}

/** Without the CAs that have expired. */
export function pruned({ bundle, ...rest }: Held, now: number): Held {
  return { ...rest, bundle: bundle.filter((pem) => expiryOf(pem) > now) };
}

function readPair(cert: string | undefined, key: string | undefined): KeyPair | undefined {
  try {
    if (!cert || !key) return undefined;
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? { cert, key } : undefined;
  } catch {
    return undefined;
  }
}

/** When a certificate ends, in milliseconds since the epoch; 0 for what is none. */
export function expiryOf(pem: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return 0;
  }
}

function isTrusted({ cert }: KeyPair, bundle: string[], host: string): boolean {
  const leaf = new X509Certificate(cert);
  return leaf.checkHost(host) !== undefined && bundle.some((pem) => leaf.verify(new X509Certificate(pem).publicKey));
}
