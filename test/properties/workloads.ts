/** Generated workloads, records and settings, from the ordinary to the absurd. */
import fc from 'fast-check';
import type { Context } from '../../src/admit/decide.ts';
import type { ConcurrencyTuning, Knobs } from '../../src/domain/concurrency.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { OWN_BOUNDS } from '../../src/domain/knative-rules.ts';
import type { Tuning } from '../../src/domain/record.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { context, deployment, edited, service, tuning } from '../admit/objects.ts';

/** Spellings that the API server reads; several mean the same amount. */
export const quantities = fc.constantFrom(
  ...['64Mi', '128Mi', '256Mi', '0.25Gi', '268435456', '262144Ki', '336Mi', '512Mi', '0.5Gi', '1024Mi', '1Gi', '.5Gi'],
  ...['2Gi', '1e9', '1E9', '1000M', '1G', '100e6', '128974848000m', '1.5Gi', '+300Mi', '0.1', '1500m', '1', '3.2Mi'],
);
const readable: fc.Arbitrary<Json> = fc.oneof(
  { weight: 8, arbitrary: quantities },
  { weight: 1, arbitrary: fc.constantFrom<Json[]>(0, '0', 1, 268435456, 1073741824) },
);
const garbage = fc.constantFrom<Json[]>('', 'lots', '12 Gi', '64mi', '-1', -5, 1.5, true, {}, [], '1e', '\n');

const names = ['function', 'odgm', 'sidecar', 'constructor', '__proto__'];

/** Settings as a person writes them, or only a webhook ever sees them; several spellings of what is one to Knative. */
const SETTINGS: Record<string, Json[]> = {
  containerConcurrency: [0, 1, 10, 50, 1000],
  target: ['0.01', '5', '70', '1e2'],
  'target-burst-capacity': ['-1', '0', '5'],
  targetBurstCapacity: ['-1', '0', '7'],
  'min-scale': ['0', '1', '3'],
  minScale: ['0', '2'],
  'max-scale': ['0', '1', '3'],
  metric: ['concurrency', 'rps', 'cpu'],
  class: ['kpa.autoscaling.knative.dev', 'hpa.autoscaling.knative.dev', 'own.example.com'],
  window: ['6s', '1h'],
};
const ODD_SETTINGS: Json[] = ['ten', '', '-2', null, 7, {}, '1001'];
type Scaling = { [key: string]: Json };

/** By `containerConcurrency` or full annotation key. */
function scaling(odd: boolean): fc.Arbitrary<Scaling> {
  const one = fc.constantFrom(...Object.keys(SETTINGS)).chain((name) => {
    const value = fc.constantFrom(...(SETTINGS[name] ?? []), ...(odd ? ODD_SETTINGS : []));
    return value.map((chosen) => [name === 'containerConcurrency' ? name : `autoscaling.knative.dev/${name}`, chosen]);
  });
  return fc.array(one, { maxLength: 4 }).map((entries) => Object.fromEntries(entries));
}

/** The Service whose template says so. */
export function scaled(object: JsonObject, { containerConcurrency, ...annotations }: Scaling): JsonObject {
  return edited(object, ({ kind, spec: { template } }) => {
    if (kind !== 'Service') return;
    if (containerConcurrency !== undefined) template.spec.containerConcurrency = containerConcurrency;
    if (Object.keys(annotations).length > 0)
      template.metadata = { ...template.metadata, annotations: { ...template.metadata?.annotations, ...annotations } };
  });
}

type Manifest = { values: fc.Arbitrary<Json>; odd: boolean };

function lists({ values, odd }: Manifest): fc.Arbitrary<JsonObject | null | undefined> {
  const filled = fc
    .tuple(fc.option(values, { nil: undefined }), fc.constantFrom(undefined, '1', '100m'))
    .map(
      ([memory, cpu]) => ({ ...(memory !== undefined && { memory }), ...(cpu !== undefined && { cpu }) }) as JsonObject,
    );
  return odd
    ? fc.oneof(filled, fc.constantFrom(null, undefined, { memory: null }))
    : fc.oneof(filled, fc.constant(undefined));
}

function containers(manifest: Manifest): fc.Arbitrary<JsonObject> {
  const resources = fc.tuple(lists(manifest), lists(manifest)).map(([requests, limits]) => ({
    ...(requests !== undefined && { requests }),
    ...(limits !== undefined && { limits }),
  }));
  const strange = fc.constantFrom<(Json | undefined)[]>(undefined, null, {}, [], 'x', { requests: [] }, { limits: 7 });
  return fc
    .record({
      name: fc.constantFrom(...names),
      image: fc.constantFrom('a:1', 'b:2'),
      resources: manifest.odd
        ? fc.oneof({ weight: 4, arbitrary: resources }, { weight: 1, arbitrary: strange })
        : resources,
      restartPolicy: fc.constantFrom(undefined, 'Always'),
    })
    .map(({ restartPolicy, resources, ...one }) => ({
      ...one,
      ...(resources !== undefined && { resources: resources as Json }),
      ...(restartPolicy && { restartPolicy }),
    }));
}

function workload(manifest: Manifest): fc.Arbitrary<JsonObject> {
  const options = manifest.odd ? {} : { selector: (one: JsonObject) => one.name };
  return fc
    .record({
      make: fc.constantFrom(deployment, service),
      containers: fc.uniqueArray(containers(manifest), { minLength: 1, maxLength: 3, ...options } as never),
      initContainers: fc.uniqueArray(containers(manifest), { maxLength: 2, ...options } as never),
      bounded: fc.integer({ min: 0, max: 15 }),
      annotations: fc.constantFrom(undefined, null, {}, { team: 'a' }),
      settings: scaling(manifest.odd),
    })
    .map(({ make, containers, initContainers, bounded, annotations, settings }) => {
      const taken = manifest.odd ? [] : (containers as JsonObject[]).map(({ name }) => name);
      const others = (initContainers as JsonObject[]).filter(({ name }) => !taken.includes(name));
      const object = make(containers as JsonObject[], {
        ...(others.length > 0 && { initContainers: others }),
        ...(bounded === 0 && { resources: { limits: { memory: '64Gi' } } }),
      });
      if (annotations !== undefined) Object.assign(object.metadata as JsonObject, { annotations });
      return scaled(object, settings);
    });
}

/** What a person may write: any quantity in any spelling, any of them missing. */
export const manifests = workload({ values: readable, odd: false });
/** What only a webhook ever sees: values that are no quantities, parents that are no objects, names twice. */
export const oddManifests = workload({ values: fc.oneof(readable, garbage), odd: true });

const overridden: fc.Arbitrary<Pair<string>> = fc
  .tuple(fc.option(quantities, { nil: undefined }), fc.option(quantities, { nil: undefined }))
  .map(([request, limit]) => ({ ...(request !== undefined && { request }), ...(limit !== undefined && { limit }) }));
const decided = fc.constantFrom<Pair<string>[]>(
  { request: '64Mi', limit: '128Mi' },
  { request: '224Mi', limit: '336Mi' },
  { request: '1Gi', limit: '1536Mi' },
  { request: '4Gi', limit: '8Gi' },
);

function byKey(keys: string[], values: fc.Arbitrary<Pair<string>>): fc.Arbitrary<Record<string, Pair<string>>> {
  return fc
    .array(fc.tuple(fc.constantFrom(...keys), values), { maxLength: 4 })
    .map((entries) => Object.assign(Object.create(null), JSON.parse(JSON.stringify(Object.fromEntries(entries)))));
}

const refs = names.flatMap((name) => [`Deployment/orders/${name}`, `KnativeService/orders/${name}`]);

const knobs = fc.constantFrom<Knobs[]>(
  { target: 5 },
  { target: 7.5, containerConcurrency: 10 },
  { containerConcurrency: 60, targetBurstCapacity: -1 },
);
const concurrency: fc.Arbitrary<ConcurrencyTuning> = fc
  .tuple(scaling(false), fc.option(knobs, { nil: undefined }))
  .map(([{ containerConcurrency, ...annotations }, applied]) => ({
    overrides: {
      annotations: annotations as Record<string, string>,
      ...(typeof containerConcurrency === 'number' && { containerConcurrency }),
    },
    applied: applied ? { 'KnativeService/orders': applied } : {},
  }));

export const records: fc.Arbitrary<Tuning | undefined> = fc.option(
  fc
    .record({
      enabled: fc.constantFrom(undefined, true, true, false),
      enforce: fc.constantFrom(true, true, false),
      overrides: byKey([...names, ...names.map((name) => `orders/${name}`)], overridden),
      applied: byKey(refs, decided),
      concurrency,
    })
    .map((more) => tuning(more)),
  { nil: undefined, freq: 8 },
);

export const gates = fc.record({
  enforcement: fc.constantFrom(true, true, true, false),
  enabledByDefault: fc.constantFrom(true, true, false),
});

/** Of an administrator who bounds his users. */
const STRICT = { ...OWN_BOUNDS, mostConcurrency: 50, unlimitedConcurrency: false, mostScale: 2 };

/** What is known and switched on at the moment of one review. */
export const contexts: fc.Arbitrary<Context> = fc
  .tuple(records, gates, fc.constantFrom(true, true, true, false), fc.constantFrom(OWN_BOUNDS, OWN_BOUNDS, STRICT))
  .map(([record, switches, storeReady, knative]) => context(record, { gates: switches, storeReady, knative }));
