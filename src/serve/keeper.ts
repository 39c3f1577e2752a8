/**
 * The certificates of a cluster: every replica reads them from the Secret; the one that works keeps them valid there, and
 * the API server's trust equal to them. Told the time, asked every few seconds: no long timer that sleeps through a
 * suspended machine (cert-manager `pkg/server/tls/dynamic_source.go`).
 */
import type { SecretClient } from '../kube/secret.ts';
import type { TrustClient } from '../kube/webhook-configuration.ts';
import type { Log } from '../log.ts';
import { issuePair, type KeyPair, type Served } from './certificates.ts';
import { expiryOf, type Held, nextAction, pruned, readHeld, writeHeld } from './rotation.ts';

export type KeeperOptions = {
  secret: SecretClient;
  trust: TrustClient;
  /** the name by which the API server calls us */
  host: string;
  /** how long a certificate lives, in milliseconds */
  life: number;
  /** whether this replica is the one that works */
  leads(): boolean;
  log: Log;
};

/** Longer than a new bundle needs to reach every API server's watch, whatever the life of a certificate. */
const SETTLE_MS = 60_000;

/**
 * @returns one look: what is to be served now, `undefined` before there is anything
 * @throws {ApiError} when the API server does not play along; what is served stays
 */
export function createKeeper(options: KeeperOptions): (now: number) => Promise<Served | undefined> {
  const { secret, host, life, leads, log } = options;
  const timing = { life, settle: Math.min(SETTLE_MS, life / 12) };
  let published: { bundle: string; since: number } | undefined;

  async function renewed(held: Held, version: string, now: number): Promise<Held> {
    const kept = pruned(held, now);
    const since = published?.bundle === kept.bundle.join('') ? published.since : undefined;
    const action = nextAction(kept, host, now, timing, since);
    const renewing = await act(action, kept, { host, now, life });
    if (action === 'keep' && kept.bundle.length === held.bundle.length) return held;
    await secret.replace(writeHeld(renewing), version);
    if (action !== 'keep') log.info({ action, authorities: renewing.bundle.length }, 'certificate');
    return renewing;
  }

  return async (now) => {
    const stored = await secret.read();
    let held = readHeld(stored.data);
    if (leads()) {
      held = await renewed(held, stored.version, now);
      const bundle = held.bundle.join('');
      const healed = await heal(options, bundle);
      if (healed === 'published' || published?.bundle !== bundle) published = { bundle, since: now };
    } else published = undefined;
    const ca = held.bundle.join('');
    return held.served && { ...held.served, expiry: expiryOf(held.served.cert), ca };
  };
}

async function act(
  action: ReturnType<typeof nextAction>,
  { bundle, served, next }: Held,
  { host, now, life }: { host: string; now: number; life: number },
): Promise<Held> {
  if (action === 'promote' && next) return { bundle, served: next };
  if (action === 'keep') return { bundle, ...(served && { served }), ...(next && { next }) };
  const { ca, ...pair }: KeyPair & { ca: string } = await issuePair([host], now, life);
  if (action === 'issue') return { bundle: [...bundle, ca], served: pair };
  return { bundle: [...bundle, ca], ...(served && { served }), next: pair };
}

/** Makes the API server trust this bundle wherever it does not. */
async function heal({ trust, log }: KeeperOptions, bundle: string): Promise<'published' | 'as-it-is'> {
  let done: 'published' | 'as-it-is' = 'as-it-is';
  for (const configuration of await trust.read()) {
    if ([...configuration.bundles.values()].every((standing) => standing === bundle)) continue;
    await trust.publish(configuration, bundle);
    log.info({ configuration: configuration.kind }, 'told the API server whom to trust');
    done = 'published';
  }
  return done;
}
