/**
 * A person's overrides for Knative's concurrency, judged by what Knative's own validation accepts
 * (knative/serving `pkg/apis/autoscaling/annotation_validation.go`, `pkg/apis/serving/v1/revision_validation.go`).
 */
import { asObject, type Json } from '../domain/json.ts';
import type { Problem } from '../domain/record.ts';
import { refusal, shown } from './problem.ts';

const PATH = 'spec.nfr.knative_tuning.overrides';
const AUTOSCALING = 'autoscaling.knative.dev/';

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

/** @param overrides `spec.nfr.knative_tuning.overrides`, whatever it holds */
export function knativeProblems(overrides: Json | undefined): Problem[] {
  if (overrides === undefined || overrides === null) return [];
  const wishes = asObject(overrides);
  if (!wishes) return [refusal(PATH, `must be an object, was ${shown(overrides)}`)];
  const problems: Problem[] = [];
  const concurrency = wishes.containerConcurrency ?? undefined;
  if (
    concurrency !== undefined &&
    !(Number.isInteger(concurrency) && Number(concurrency) >= 0 && Number(concurrency) <= 1000)
  ) {
    problems.push(
      refusal(`${PATH}.containerConcurrency`, `must be a whole number between 0 and 1000, was ${shown(concurrency)}`),
    );
  }
  const annotations = wishes.annotations ?? undefined;
  if (annotations === undefined) return problems;
  if (!asObject(annotations))
    return [...problems, refusal(`${PATH}.annotations`, `must be an object, was ${shown(annotations)}`)];
  for (const [key, value] of Object.entries(asObject(annotations) ?? {})) {
    const problem = annotationProblem(key, value ?? null);
    if (problem) problems.push(refusal(`${PATH}.annotations`, problem));
  }
  return problems;
}

function annotationProblem(key: string, value: Json): string | undefined {
  if (!key.startsWith(AUTOSCALING)) return `keys must begin with ${AUTOSCALING}, was ${shown(key)}`;
  if (typeof value !== 'string') return `${key} must be a string, was ${shown(value)}`;
  const rule = ALLOWED.find(([keys]) => keys.includes(key.slice(AUTOSCALING.length)));
  return rule && !rule[1](value) ? `${key} must be ${rule[2]}, was ${shown(value)}` : undefined;
}
