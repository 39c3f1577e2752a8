/** The Lease by which replicas agree who works (coordination.k8s.io/v1): read, and write what was read, nothing else. */
import { CustomObjectsApi, type KubeConfig } from '#kubernetes';
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { ApiError, attempt } from './api.ts';

/** What a Lease says. Times are the holder's clock: for people; nobody else decides by them. */
export type Lease = {
  /** empty: nobody holds it */
  holder: string;
  durationSeconds: number;
  /** RFC 3339 with microseconds */
  acquireTime: string;
  renewTime: string;
  /** how often it has changed hands */
  transitions: number;
};

/** A Lease as it stood when it was read; the version is what makes two writers collide instead of both winning. */
export type StoredLease = Lease & { version: string };

export type LeaseClient = {
  /** `undefined` when there is none. @throws {ApiError} */
  read(): Promise<StoredLease | undefined>;
  /** @throws {ApiError} with code 409 when somebody was faster */
  create(lease: Lease): Promise<void>;
  /** Over exactly that version. @throws {ApiError} with code 409 when it has changed since */
  replace(lease: Lease, version: string): Promise<void>;
};

const TYPE = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

export function leaseClient(config: KubeConfig, namespace: string, name: string): LeaseClient {
  const custom = config.makeApiClient(CustomObjectsApi);
  const what = `lease ${namespace}/${name}`;
  return {
    async read() {
      try {
        return readLease(
          await attempt(`read ${what}`, () => custom.getNamespacedCustomObject({ ...TYPE, namespace, name })),
        );
      } catch (error) {
        if (error instanceof ApiError && error.code === 404) return undefined;
        throw error;
      }
    },
    async create(lease) {
      const body = bodyOf(lease, { name, namespace });
      await attempt(`create ${what}`, () => custom.createNamespacedCustomObject({ ...TYPE, namespace, body }));
    },
    async replace(lease, resourceVersion) {
      const body = bodyOf(lease, { name, namespace, resourceVersion });
      await attempt(`renew ${what}`, () => custom.replaceNamespacedCustomObject({ ...TYPE, namespace, name, body }));
    },
  };
}

function readLease(object: JsonObject): StoredLease {
  const spec = asObject(object.spec) ?? {};
  return {
    version: textAt(object, 'metadata', 'resourceVersion'),
    holder: textAt(spec, 'holderIdentity'),
    durationSeconds: Number(at(spec, 'leaseDurationSeconds') ?? 0),
    acquireTime: textAt(spec, 'acquireTime'),
    renewTime: textAt(spec, 'renewTime'),
    transitions: Number(at(spec, 'leaseTransitions') ?? 0),
  };
}

function bodyOf(lease: Lease, metadata: JsonObject): JsonObject {
  const { holder, durationSeconds, acquireTime, renewTime, transitions } = lease;
  return {
    apiVersion: `${TYPE.group}/${TYPE.version}`,
    kind: 'Lease',
    metadata,
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: durationSeconds,
      ...{ acquireTime, renewTime, leaseTransitions: transitions },
    },
  };
}
