/**
 * What a person wrote into a record: read into a `Tuning` with only what can be meant, and judged. The same judgement
 * serves `POST /validate` and the store, and the CRD's CEL rules say the same words (a cluster test runs one table
 * through both), so that a bad override is refused where it is written and, where it slipped in, never injected.
 */
import { appliedKnobsOf, type ConcurrencyOverrides } from '../domain/concurrency.ts';
import { asObject, at, type Json } from '../domain/json.ts';
import { Mi, parseQuantity } from '../domain/quantity.ts';
import type { Problem, RecordResource, Tuning } from '../domain/record.ts';
import { FIELDS, isPaused, type Pair } from '../domain/workload.ts';
import { readKnativeWishes } from './knative-wishes.ts';
import { refusal, shown } from './problem.ts';

const MEMORY = 'spec.nfr.memory_tuning';
const NAME = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** `256m` is a quarter of a byte; nothing useful runs in less than this. */
const PROBABLY_A_SLIP_NANOS = BigInt(4 * Mi) * 1_000_000_000n;

/** Everything in the record's wishes that cannot be meant (`error`) or was probably not meant (`warning`). */
export function checkRecord(record: RecordResource): Problem[] {
  return readWishes(record).problems;
}

/** The record as admission needs it; values with an error are left out, everything else is kept. */
export function readTuning(record: RecordResource): Tuning {
  const { enabled, enforce, overrides, knative, problems } = readWishes(record);
  const { namespace, name } = record.metadata;
  const services = at(record, 'status', 'nfr_recommendations', 'concurrency', 'services');
  return {
    ...{ namespace, name, enabled, enforce: enforce === true, paused: isPaused(record) },
    ...{ overrides: slim(overrides), applied: slim(readApplied(record)), problems },
    concurrency: {
      overrides: { ...knative, annotations: slim(knative.annotations) },
      applied: slim(appliedKnobsOf(services)),
    },
  };
}

const NONE = Object.freeze(Object.create(null));

/** The store holds these for thousands of records: each empty map of its own would take 240 bytes. */
function slim<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.keys(map).length === 0 ? NONE : map;
}

type Wishes = {
  enabled: boolean | undefined;
  enforce: boolean | undefined;
  overrides: Record<string, Pair<string>>;
  knative: ConcurrencyOverrides;
  problems: Problem[];
};

function readWishes(record: RecordResource): Wishes {
  const problems: Problem[] = [];
  const wishes: Wishes = {
    ...{ enabled: undefined, enforce: undefined, overrides: Object.create(null) },
    ...{ knative: { annotations: {} }, problems },
  };
  const tuning = at(record, 'spec', 'nfr', 'memory_tuning');
  for (const key of ['enabled', 'enforce'] as const) {
    const value = at(tuning, key) ?? undefined;
    if (typeof value === 'boolean') wishes[key] = value;
    else if (value !== undefined) {
      problems.push(refusal(`${MEMORY}.${key}`, `must be true or false, was ${shown(value)}`));
    }
  }
  const overrides = at(tuning, 'overrides') ?? {};
  if (!asObject(overrides)) {
    problems.push(
      refusal(`${MEMORY}.overrides`, `must map container names to { request, limit }, was ${shown(overrides)}`),
    );
  }
  for (const [name, value] of Object.entries(asObject(overrides) ?? {})) {
    const override = readOverride(name, value ?? null, problems);
    if (override) wishes.overrides[name] = override;
  }
  wishes.knative = readKnativeWishes(at(record, 'spec', 'nfr', 'knative_tuning', 'overrides'), problems);
  return wishes;
}

function readOverride(name: string, value: Json, problems: Problem[]): Pair<string> | undefined {
  const path = `${MEMORY}.overrides[${name}]`;
  if (!NAME.test(name)) {
    problems.push(
      refusal(`${MEMORY}.overrides`, `keys must be a container name or workload/container, was ${shown(name)}`),
    );
    return undefined;
  }
  const entry = asObject(value);
  if (!entry) {
    problems.push(refusal(path, `must be { request, limit }, was ${shown(value)}`));
    return undefined;
  }
  const override: Pair<string> = {};
  for (const field of FIELDS) {
    const wish = entry[field] ?? undefined;
    if (wish === undefined) continue;
    const nanos = typeof wish === 'string' ? parseQuantity(wish) : undefined;
    if (typeof wish !== 'string' || nanos === undefined || nanos <= 0n) {
      problems.push(
        refusal(`${path}.${field}`, `must be a positive quantity such as 256Mi or 1Gi, was ${shown(wish)}`),
      );
      continue;
    }
    if (nanos < PROBABLY_A_SLIP_NANOS) {
      problems.push({ field: `${path}.${field}`, message: `is below 4Mi, was ${shown(wish)}`, severity: 'warning' });
    }
    override[field] = wish;
  }
  const { request, limit } = override;
  if (request !== undefined && limit !== undefined && (parseQuantity(request) ?? 0n) > (parseQuantity(limit) ?? 0n)) {
    problems.push(refusal(path, `request must not exceed limit, was request "${request}" and limit "${limit}"`));
    return undefined;
  }
  return override;
}

/** Our own earlier decisions, from status; anything in there that cannot be meant counts as absent. */
function readApplied(record: RecordResource): Record<string, Pair<string>> {
  const applied: Record<string, Pair<string>> = Object.create(null);
  const containers = at(record, 'status', 'nfr_recommendations', 'memory', 'containers');
  for (const container of Array.isArray(containers) ? containers : []) {
    const [workload, name] = [at(container, 'workload'), at(container, 'name')];
    const [request, limit] = [at(container, 'applied', 'request'), at(container, 'applied', 'limit')];
    if (typeof workload !== 'string' || typeof name !== 'string') continue;
    if (typeof request !== 'string' || typeof limit !== 'string') continue;
    const [low, high] = [parseQuantity(request) ?? 0n, parseQuantity(limit) ?? 0n];
    if (low > 0n && low <= high) applied[`${workload}/${name}`] = { request, limit };
  }
  return applied;
}
