/**
 * Whom the API server trusts when it calls us: `caBundle` in our webhook configurations, and nothing else of them. By
 * server-side apply of that one field for each webhook by its name, so that neither an upgrade of the chart nor ours can
 * take what the other wrote.
 */
import { CustomObjectsApi, type KubeConfig, PatchStrategy, setHeaderOptions } from '#kubernetes';
import { at, textAt } from '../domain/json.ts';
import { ApiError, attempt, FIELD_MANAGER } from './api.ts';

/** One of our configurations: the bundle (PEM) that stands at each of its webhooks; empty where none does. */
export type Trust = { plural: string; kind: string; bundles: Map<string, string> };

export type TrustClient = {
  /** The configurations that are there. @throws {ApiError} */
  read(): Promise<Trust[]>;
  /** Puts this bundle (PEM) at all webhooks of one of them. @throws {ApiError} */
  publish(trust: Trust, bundle: string): Promise<void>;
};

const NAME = 'oaas-tuner';
const GROUP = { group: 'admissionregistration.k8s.io', version: 'v1' };
const KINDS = [
  { plural: 'mutatingwebhookconfigurations', kind: 'MutatingWebhookConfiguration' },
  { plural: 'validatingwebhookconfigurations', kind: 'ValidatingWebhookConfiguration' },
];

export function trustClient(config: KubeConfig): TrustClient {
  const custom = config.makeApiClient(CustomObjectsApi);
  return {
    async read() {
      const found: Trust[] = [];
      for (const { plural, kind } of KINDS) {
        try {
          const object = await attempt(`read ${plural} ${NAME}`, () =>
            custom.getClusterCustomObject({ ...GROUP, plural, name: NAME }),
          );
          found.push({ plural, kind, bundles: bundlesOf(object) });
        } catch (error) {
          // Not every install has both, and the chart may not have come this far.
          if (!(error instanceof ApiError && error.code === 404)) throw error;
        }
      }
      return found;
    },
    async publish({ plural, kind, bundles }, bundle) {
      const caBundle = Buffer.from(bundle).toString('base64');
      const webhooks = [...bundles.keys()].map((name) => ({ name, clientConfig: { caBundle } }));
      const body = { apiVersion: `${GROUP.group}/${GROUP.version}`, kind, metadata: { name: NAME }, webhooks };
      await attempt(`publish the CA in ${plural} ${NAME}`, () =>
        custom.patchClusterCustomObject(
          { ...GROUP, plural, name: NAME, body, fieldManager: FIELD_MANAGER, force: true },
          setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
        ),
      );
    },
  };
}

function bundlesOf(configuration: unknown): Map<string, string> {
  const webhooks = at(configuration, 'webhooks');
  return new Map(
    (Array.isArray(webhooks) ? webhooks : []).map((webhook) => [
      textAt(webhook, 'name'),
      Buffer.from(textAt(webhook, 'clientConfig', 'caBundle'), 'base64').toString(),
    ]),
  );
}
