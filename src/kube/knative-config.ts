/** What Knative's administrator decided for all Services: read now and then, because it changes once in a year. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KnativeConfig } from '../domain/knative-rules.ts';
import { type Log, reason } from '../log.ts';
import type { Api } from './api.ts';

/** Where Knative Serving is installed; its own manifests name no other place. */
const NAMESPACE = 'knative-serving';

/** Empty where Knative is not there. @throws {ApiError} */
export async function readKnativeConfig(api: Pick<Api, 'texts'>): Promise<KnativeConfig> {
  const names = ['config-defaults', 'config-autoscaler'];
  const [defaults = {}, autoscaler = {}] = await Promise.all(names.map((name) => api.texts(NAMESPACE, name)));
  return { defaults, autoscaler };
}

export type Following = { use(config: KnativeConfig): void; everyMs: number; log: Log; signal: AbortSignal };

/** Reads for ever, until the signal aborts; while it cannot, what was read last holds. */
export async function followKnativeConfig(
  api: Pick<Api, 'texts'>,
  { use, everyMs, log, signal }: Following,
): Promise<void> {
  let trouble = '';
  while (!signal.aborted) {
    try {
      use(await readKnativeConfig(api));
      trouble = '';
    } catch (error) {
      const said = reason(error);
      if (trouble !== said) log.warn({ error: said }, "Knative's configuration cannot be read");
      trouble = said;
    }
    await sleep(everyMs, undefined, { signal }).catch(() => {});
  }
}
