/** One Secret, read whole and replaced whole. It is made by the chart: this account may not make any. */
import { CoreV1Api, type KubeConfig } from '#kubernetes';
import { attempt } from './api.ts';

/** Texts by key, and the version that a replacement has to be of. */
export type StoredSecret = { data: Record<string, string>; version: string };

export type SecretClient = {
  /** @throws {ApiError} with code 404 when there is none */
  read(): Promise<StoredSecret>;
  /** @throws {ApiError} with code 409 when it has changed since it was read */
  replace(data: Record<string, string>, version: string): Promise<void>;
};

export function secretClient(config: KubeConfig, namespace: string, name: string): SecretClient {
  const core = config.makeApiClient(CoreV1Api);
  return {
    async read() {
      const secret = await attempt(`read secret ${namespace}/${name}`, () =>
        core.readNamespacedSecret({ namespace, name }),
      );
      const data = Object.entries(secret.data ?? {}).map(([key, value]) => [key, fromBase64(value)]);
      return { data: Object.fromEntries(data), version: secret.metadata?.resourceVersion ?? '' };
    },
    async replace(data, resourceVersion) {
      await attempt(`replace secret ${namespace}/${name}`, async () => {
        // What others set on it (labels, owners) is kept.
        const secret = await core.readNamespacedSecret({ namespace, name });
        const metadata = { ...secret.metadata, resourceVersion };
        const encoded = Object.entries(data).map(([key, value]) => [key, toBase64(value)]);
        await core.replaceNamespacedSecret({
          ...{ namespace, name },
          body: { ...secret, metadata, data: Object.fromEntries(encoded) },
        });
      });
    },
  };
}

const toBase64 = (text: string) => Buffer.from(text).toString('base64');
const fromBase64 = (text: string) => Buffer.from(text, 'base64').toString();
