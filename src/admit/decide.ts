/**
 * Review + record → what each container's memory shall be. The heart of the admission path: pure, no I/O, no clock, so
 * that the same review always gets the same answer (the API server asks up to five times for one apply).
 */
import { at, type Json } from '../domain/json.ts';
import { type Gates, ladder, overrideOf } from '../domain/ladder.ts';
import { sameQuantity } from '../domain/quantity.ts';
import { OUTCOMES, type Reason } from '../domain/reasons.ts';
import type { Tuning } from '../domain/record.ts';
import {
  annotation,
  type Container,
  FIELDS,
  kindOf,
  memoryOf,
  type Pair,
  ROLLOUT_ANNOTATION,
  tunedContainers,
  workloadRef,
} from '../domain/workload.ts';
import { hasPodLevelMemory, hasStrangeResources, refusedBecause } from './acceptable.ts';
import { asWritten, type Book, readBook } from './book.ts';
import type { AdmissionRequest } from './request.ts';
import { outOfScope, type RecordKind } from './scope.ts';
import { sameTemplate, withKnownNames } from './template.ts';

/** What a decision depends on beside the review. */
export type Context = {
  /** the record that the workload's label names, if the store knows it */
  tuning: Tuning | undefined;
  storeReady: boolean;
  gates: Gates;
  record: RecordKind;
  /** the worker's own account: only its rollout requests count */
  ownAccount: string | undefined;
};

/** What happens to one container. */
export type ContainerDecision = {
  container: Container;
  reason: Reason;
  /** memory in the object under review */
  before: Pair<Json>;
  /** memory as its author wrote it */
  written: Pair<Json>;
  /** memory as it shall be; equal to `before` where nothing changes */
  after: Pair<Json>;
};

export type Decision = { reason: Reason; containers: ContainerDecision[] };

export function decide(request: AdmissionRequest, context: Context): Decision {
  const skip = outOfScope(request, context.record);
  if (skip) return { reason: skip, containers: [] };
  const { oldObject } = request;
  const object = withKnownNames(request.object, oldObject);
  const containers = tunedContainers(object);
  if (containers.length === 0) return { reason: 'no-containers', containers: [] };

  const oldBook = readBook(oldObject) ?? new Map();
  const book = readBook(object) ?? oldBook;
  const leftAlone =
    request.operation === 'UPDATE' &&
    !asksForRollout(request, context) &&
    sameTemplate(object, oldObject, book, oldBook);
  const canKeep = leftAlone && book.size > 0;
  if (!context.tuning && !context.storeReady && !canKeep) return { reason: 'store-not-ready', containers: [] };
  if (!context.tuning && book.size === 0) return { reason: 'unknown-record', containers: [] };
  if (namesItsRevision(object)) return { reason: 'named-revision', containers: [] };

  const old = leftAlone ? tunedContainers(oldObject) : undefined;
  const decisions = containers.map((container) => decideContainer(container, containers, book, old, object, context));
  return { reason: mostTelling(decisions), containers: decisions };
}

function decideContainer(
  container: Container,
  all: Container[],
  book: Book,
  old: Container[] | undefined,
  object: unknown,
  context: Context,
): ContainerDecision {
  const before = memoryOf(container.json);
  const written = asWritten(container.json, book.get(container.name));
  const decided = (reason: Reason, after: Pair<Json> = before): ContainerDecision => {
    const changes = FIELDS.some((field) => !sameQuantity(before[field], after[field]));
    const outcome = changes || OUTCOMES[reason].result !== 'changed' ? reason : 'as-it-is';
    return { container, reason: outcome, before, written, after };
  };
  if (all.some((other) => other !== container && other.name === container.name)) return decided('ambiguous-name');
  if (hasStrangeResources(container.json)) return decided('unreadable-value');

  const values = wanted(container, object, context);
  const running = old && runningMemory(old, container);
  if (running) {
    if (Object.keys(values.overrides).length === 0 || hasPodLevelMemory(object)) return decided('kept', running);
    const accepted = acceptable(running, written, values.overrides);
    return accepted && !sameValues(accepted, running) ? decided('injected', accepted) : decided('kept', running);
  }
  if (Object.keys(values.all).length === 0)
    return decided(isInjected(before, written) ? 'given-back' : 'as-it-is', written);
  // An apply that names one side only leaves our other side beside it, and the two may not fit.
  const asFound = refusedBecause(before) ? written : before;
  if (hasPodLevelMemory(object)) return decided('pod-level-memory', asFound);
  const accepted = acceptable({ ...written, ...values.all }, written, values.overrides);
  if (accepted) return decided('injected', accepted);
  return decided(refusedBecause({ ...written, ...values.all }) ?? 'request-above-limit', asFound);
}

/** An applied value that does not fit a person's override yields to it; the override does not yield to ours. */
function acceptable(decided: Pair<Json>, written: Pair<Json>, overrides: Pair<Json>): Pair<Json> | undefined {
  return [decided, written].map((base) => ({ ...base, ...overrides })).find((values) => !refusedBecause(values));
}

/** What the ladder wants for the container, and the part of it that a person wrote. */
function wanted(
  container: Container,
  object: unknown,
  { tuning, gates }: Context,
): { all: Pair<Json>; overrides: Pair<Json> } {
  const kind = kindOf(object);
  if (!tuning || !kind) return { all: {}, overrides: {} };
  const name = String(at(object, 'metadata', 'name') ?? '');
  const all: Pair<Json> = {};
  for (const [field, injected] of Object.entries(ladder(tuning, gates, workloadRef(kind, name), container.name))) {
    all[field as keyof Pair<Json>] = injected.value;
  }
  return { all, overrides: overrideOf(tuning, name, container.name) };
}

function runningMemory(old: Container[], container: Container): Pair<Json> | undefined {
  const match = old.find(({ name }) => name === container.name);
  return match && memoryOf(match.json);
}

/** Only the worker's own account may ask for a rollout; anyone else's change of the annotation is just metadata. */
function asksForRollout({ object, oldObject, username }: AdmissionRequest, { ownAccount }: Context): boolean {
  const asked = annotation(object, ROLLOUT_ANNOTATION);
  return asked !== undefined && asked !== annotation(oldObject, ROLLOUT_ANNOTATION) && username === ownAccount;
}

/** Knative refuses any change of a template that keeps its own revision name (`VerifyNameChange`). */
function namesItsRevision(object: unknown): boolean {
  const name = at(object, 'spec', 'template', 'metadata', 'name') ?? '';
  return kindOf(object) === 'KnativeService' && name !== '';
}

function isInjected(before: Pair<Json>, written: Pair<Json>): boolean {
  return !sameValues(before, written);
}

function sameValues(a: Pair<Json>, b: Pair<Json>): boolean {
  return FIELDS.every((field) => sameQuantity(a[field], b[field]));
}

/** The reason for the object as a whole: a change if there is one, else why a container was skipped. */
function mostTelling(decisions: ContainerDecision[]): Reason {
  const reasons = decisions.map(({ reason }) => reason);
  const changed = (['injected', 'given-back', 'kept'] as const).find((reason) => reasons.includes(reason));
  return changed ?? reasons.find((reason) => reason !== 'as-it-is') ?? 'as-it-is';
}
