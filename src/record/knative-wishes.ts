/**
 * A person's overrides for Knative's concurrency, judged by what Knative's own validation accepts
 * (knative/serving `pkg/apis/autoscaling/annotation_validation.go`, `pkg/apis/serving/v1/revision_validation.go`).
 */
import type { ConcurrencyOverrides } from '../domain/concurrency.ts';
import { asObject, type Json } from '../domain/json.ts';
import { mustBe } from '../domain/knative-rules.ts';
import type { Problem } from '../domain/record.ts';
import { AUTOSCALING } from '../domain/scaling-settings.ts';
import { refusal, shown } from './problem.ts';

const PATH = 'spec.nfr.knative_tuning.overrides';

/** What the API server takes for the part of an annotation's key after the slash. */
const NAME = /^[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?$/;

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
  if (!NAME.test(key.slice(AUTOSCALING.length))) return `keys must be a name after ${AUTOSCALING}, was ${shown(key)}`;
  const words = mustBe(key, value);
  return words === undefined ? undefined : `${key} must be ${words}, was ${shown(value)}`;
}
