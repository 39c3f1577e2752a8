/**
 * A review that the tuner sends to itself the way the API server would: by the Service's name, over a new connection,
 * verified by the CA that is published. Whichever replica answers, the path works. Nothing depends on it but a metric.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { at } from '../domain/json.ts';
import { type Log, reason } from '../log.ts';

export type Canary = {
  /** where reviews are answered, e.g. `https://oaas-tuner.oaas-system.svc/mutate` */
  url: string;
  /** PEM of the CAs that the API server is told to trust; `undefined` as long as there are none, then nothing is sent */
  ca(): string | undefined;
  told(answered: boolean): void;
  everyMs: number;
  log: Log;
  signal: AbortSignal;
};

/** As long as the API server waits for us (`timeoutSeconds` of the webhooks). */
const TIMEOUT_MS = 3_000;

/** Sends for ever, until the signal aborts; what goes wrong is told once for each cause. */
export async function followCanary({ url, ca, told, everyMs, log, signal }: Canary): Promise<void> {
  let trouble = '';
  while (!signal.aborted) {
    const trusted = ca();
    if (trusted !== undefined) {
      try {
        await send(url, trusted);
        told(true);
        trouble = '';
      } catch (error) {
        told(false);
        const said = reason(error);
        if (trouble !== said) log.warn({ url, error: said }, 'the API server would not reach us this way');
        trouble = said;
      }
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}

/** @throws {Error} unless it is answered as a review has to be */
async function send(url: string, ca: string): Promise<void> {
  const uid = randomUUID();
  // Of no kind that is ours, so that the answer is the same under every record.
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'canary' } };
  const body = { uid, operation: 'CREATE', namespace: '', object };
  const dispatcher = new Agent({ connect: { ca }, pipelining: 0 });
  try {
    const answer = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      dispatcher,
    });
    const { response } = (await answer.body.json()) as { response?: unknown };
    if (answer.statusCode !== 200 || at(response, 'uid') !== uid || at(response, 'allowed') !== true)
      throw new Error(`answered with HTTP ${answer.statusCode}, and not as a review is`);
  } finally {
    await dispatcher.destroy();
  }
}
