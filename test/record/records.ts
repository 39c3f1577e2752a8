/** Records as a person writes them, and statuses as the worker leaves them. */
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { ContainerStatus, MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import type { Finding } from '../../src/recommend/container.ts';
import type { ContainerFinding, Report } from '../../src/record/report.ts';
import { decided, lookOf, measured, values } from '../recommend/looks.ts';

/** A record whose `spec.nfr` says this, and whose status that. */
export const recordOf = (nfr: Json, memory?: Json): RecordResource => ({
  apiVersion: 'oaas.io/v1alpha1',
  kind: 'DeploymentRecord',
  metadata: { name: 'orders', namespace: 'shop' },
  spec: { nfr },
  ...(memory !== undefined && { status: { nfr_recommendations: { memory } } }),
});

export const withOverrides = (overrides: Json): RecordResource => recordOf({ memory_tuning: { overrides } });

export const withKnativeOverrides = (overrides: Json): RecordResource => recordOf({ knative_tuning: { overrides } });

export const withAnnotation = (key: string, value: Json): RecordResource =>
  withKnativeOverrides({ annotations: { [`autoscaling.knative.dev/${key}`]: value } });

/** The seed's container with a first recommendation. */
export const found = (finding: Partial<Finding> = {}, rest: Partial<ContainerFinding> = {}): ContainerFinding => ({
  workload: 'Deployment/orders',
  name: 'function',
  current: values(256, 512),
  manifest: rest.current ?? values(256, 512),
  override: {},
  look: lookOf(),
  finding: {
    observed: measured(110, 180, 210),
    recommended: decided(224, 336),
    changes: [{ change: 'recommended', rationale: 'p95-based' }],
    rationale: 'p95-based; all of it',
    ...finding,
  },
  ...rest,
});

export const report = (says: Partial<Report> = {}): Report => ({
  enabled: true,
  enforced: false,
  overridden: false,
  workloads: 1,
  problems: [],
  containers: [found()],
  window: '6h',
  settings: {},
  ...says,
});

/** Any of our statuses as plain JSON, as the API server hands it back. */
export const readBack = (status: MemoryStatus | ContainerStatus): JsonObject => JSON.parse(JSON.stringify(status));
