/**
 * A person's overrides for Knative's concurrency, judged by what Knative's own validation accepts
 * (knative/serving `pkg/apis/autoscaling/annotation_validation.go`, `pkg/apis/serving/v1/revision_validation.go`).
 */
import { AUTOSCALING, type ConcurrencyOverrides } from '../domain/concurrency.ts';
import { asObject, type Json } from '../domain/json.ts';
import type { Problem } from '../domain/record.ts';
import { refusal, shown } from './problem.ts';

const PATH = 'spec.nfr.knative_tuning.overrides';

const DECIMAL = /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$/;
const WHOLE = /^[0-9]{1,9}$/;

/** What Knative allows for the keys whose values it checks, under each of a key's spellings. */
const ALLOWED: [keys: string[], allowed: (value: string) => boolean, words: string][] = [
  [
    ['class'],
    (v) => !v.endsWith('.knative.dev') || /^(kpa|hpa)\.autoscaling\.knative\.dev$/.test(v),
    'kpa.autoscaling.knative.dev or hpa.autoscaling.knative.dev',
  ],
  [['metric'], (v) => v !== '', 'the name of a metric'],
  [['target'], (v) => DECIMAL.test(v) && Number(v) >= 0.01, 'a number of at least 0.01'],
  [
    ['target-utilization-percentage', 'targetUtilizationPercentage'],
    (v) => DECIMAL.test(v) && Number(v) >= 1 && Number(v) <= 100,
    'a number between 1 and 100',
  ],
  [
    ['target-burst-capacity', 'targetBurstCapacity'],
    (v) => DECIMAL.test(v) && (Number(v) >= 0 || Number(v) === -1),
    'a number of at least 0, or -1',
  ],
  [
    ['min-scale', 'minScale', 'max-scale', 'maxScale', 'initial-scale', 'initialScale'],
    (v) => WHOLE.test(v),
    'a whole number of at least 0',
  ],
];

/**
 * @param overrides `spec.nfr.knative_tuning.overrides`, whatever it holds
 * @returns what can be meant; what cannot goes to `problems`
 */
export function readKnativeWishes(overrides: Json | undefined, problems: Problem[]): ConcurrencyOverrides {
  const wishes: ConcurrencyOverrides & { annotations: Record<string, string> } = { annotations: Object.create(null) };
  if (overrides === undefined || overrides === null) return wishes;
  if (!asObject(overrides)) {
    problems.push(refusal(PATH, `must be an object, was ${shown(overrides)}`));
    return wishes;
  }
  const { containerConcurrency: concurrency, annotations } = asObject(overrides) ?? {};
  if (typeof concurrency === 'number' && Number.isInteger(concurrency) && concurrency >= 0 && concurrency <= 1000) {
    wishes.containerConcurrency = concurrency;
  } else if ((concurrency ?? undefined) !== undefined) {
    problems.push(
      refusal(`${PATH}.containerConcurrency`, `must be a whole number between 0 and 1000, was ${shown(concurrency)}`),
    );
  }
  if ((annotations ?? undefined) !== undefined && !asObject(annotations)) {
    problems.push(refusal(`${PATH}.annotations`, `must be an object, was ${shown(annotations)}`));
  }
  for (const [key, value] of Object.entries(asObject(annotations) ?? {})) {
    const problem = annotationProblem(key, value ?? null);
    if (problem) problems.push(refusal(`${PATH}.annotations`, problem));
    else wishes.annotations[key] = value as string;
  }
  return wishes;
}

function annotationProblem(key: string, value: Json): string | undefined {
  if (!key.startsWith(AUTOSCALING)) return `keys must begin with ${AUTOSCALING}, was ${shown(key)}`;
  if (typeof value !== 'string') return `${key} must be a string, was ${shown(value)}`;
  const rule = ALLOWED.find(([keys]) => keys.includes(key.slice(AUTOSCALING.length)));
  return rule && !rule[1](value) ? `${key} must be ${rule[2]}, was ${shown(value)}` : undefined;
}
