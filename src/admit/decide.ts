/**
 * Review + record → what each container's memory, and a Knative Service's concurrency, shall be. The heart of the admission path: pure, no I/O, no clock, so
 * that the same review always gets the same answer (the API server asks up to five times for one apply).
 */
import { at, type Json, textAt } from '../domain/json.ts';
import type { KnativeBounds } from '../domain/knative-rules.ts';
import { concurrencyLadder, type Gates, type Injected, type InjectedSetting, ladder } from '../domain/ladder.ts';
import { OUTCOMES, type Reason } from '../domain/reasons.ts';
import type { Tuning } from '../domain/record.ts';
import {
  APPLIED_ANNOTATION,
  annotation,
  type Container,
  FIELDS,
  isPaused,
  kindOf,
  memoryOf,
  type Pair,
  ROLLOUT_ANNOTATION,
  sameMemory,
  tunedContainers,
  workloadRef,
} from '../domain/workload.ts';
import { hasPodLevelMemory, hasStrangeResources, refusedBecause } from './acceptable.ts';
import { asWritten, type Book, CONCURRENCY, readBook, sameInjections } from './book.ts';
import { type ConcurrencyDecision, decideConcurrency } from './concurrency.ts';
import type { AdmissionRequest } from './request.ts';
import { outOfScope, type RecordKind } from './scope.ts';
import { sameTemplate, withKnownNames } from './template.ts';

/** What a decision depends on beside the review. */
export type Context = {
  /** the record that the workload's label names, if the store knows it */
  tuning: Tuning | undefined;
  storeReady: boolean;
  gates: Gates;
  /** the namespace carries the annotation that pauses enforcement */
  namespacePaused: boolean;
  record: RecordKind;
  /** the worker's own account: only its rollout requests count */
  ownAccount: string | undefined;
  /** what Knative's administrator allows */
  knative: KnativeBounds;
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
  /** the rungs of the ladder that speak about the container */
  rungs: Injected['rung'][];
};

export type Decision = {
  reason: Reason;
  containers: ContainerDecision[];
  /** an update that leaves the pod template alone, as its author wrote it */
  leftAlone: boolean;
  /** what was injected before, and over what */
  book: Book;
  /** of a Knative Service, where anything is said about it */
  concurrency?: ConcurrencyDecision;
};

/** No pod has come near it; whoever may deploy may send a hundred thousand, and everybody else would wait for it. */
const MOST_CONTAINERS = 1_000;

export function decide(request: AdmissionRequest, context: Context): Decision {
  const { oldObject } = request;
  const skip = outOfScope(request, context.record);
  if (skip) return skipped(skip);
  const object = withKnownNames(request.object, oldObject);
  const containers = tunedContainers(object);
  if (containers.length === 0) return skipped('no-containers');
  if (containers.length > MOST_CONTAINERS) return skipped('too-many-containers');

  const oldBook = readBook(oldObject) ?? new Map();
  const updates = request.operation === 'UPDATE';
  // Where not even our values changed, what we injected is what the old book says, whatever somebody did to the annotation;
  // what was under it may be news of a first review of the same update.
  const untouched = updates && sameTemplate(object, oldObject, new Map(), new Map());
  const sameText = annotation(object, APPLIED_ANNOTATION) === annotation(oldObject, APPLIED_ANNOTATION);
  const ownBook = sameText ? oldBook : readBook(object);
  const book = ownBook && (!untouched || sameInjections(ownBook, oldBook)) ? ownBook : oldBook;
  // Without a book on either side, reading the templates by it would only compare them a second time.
  const asWrittenBefore = () => book.size + oldBook.size > 0 && sameTemplate(object, oldObject, book, oldBook);
  const wanted = wantedOf(object, context);
  const settings = wantedConcurrency(object, context);
  const wantsApplied = () =>
    containers.some((container) => wanted(container).rungs.includes('applied')) ||
    [...settings.values()].some(({ rung }) => rung === 'applied');
  const leftAlone = updates && !asksForRollout(request, context, wantsApplied) && (untouched || asWrittenBefore());
  const canKeep = leftAlone && book.size > 0;
  if (!context.tuning && !context.storeReady && !canKeep) return skipped('store-not-ready');
  if (!context.tuning && book.size === 0) return skipped('unknown-record');
  if (namesItsRevision(object)) return skipped('named-revision');

  const old = leftAlone ? tunedContainers(oldObject) : [];
  const podLevelMemory = hasPodLevelMemory(object);
  const decisions = containers.map((container) => {
    const running = old.find(({ name }) => name === container.name);
    const twice = containers.some((other) => other !== container && other.name === container.name);
    const facts: Facts = {
      before: memoryOf(container.json),
      written: asWritten(container.json, book.get(container.name)),
      wanted: wanted(container),
      podLevelMemory,
      running: running && memoryOf(running.json),
    };
    if (twice) return conclude(container, facts, ['ambiguous-name', facts.before]);
    if (hasStrangeResources(container.json)) return conclude(container, facts, ['unreadable-value', facts.before]);
    return conclude(container, facts, facts.running ? keep(facts, facts.running) : choose(facts));
  });
  const concurrency = decideConcurrency({
    object,
    running: leftAlone ? oldObject : undefined,
    entries: book.get(CONCURRENCY) ?? {},
    runningEntries: oldBook.get(CONCURRENCY) ?? {},
    wanted: settings,
    bounds: context.knative,
  });
  const reason = mostTelling(concurrency ? [...decisions, concurrency] : decisions);
  return { reason, containers: decisions, leftAlone, book, ...(concurrency && { concurrency }) };
}

function skipped(reason: Reason): Decision {
  return { reason, containers: [], leftAlone: false, book: new Map() };
}

type Facts = {
  before: Pair<Json>;
  written: Pair<Json>;
  wanted: Wanted;
  podLevelMemory: boolean;
  /** the old object's values, when the update leaves the template alone */
  running: Pair<Json> | undefined;
};
type Conclusion = [reason: Reason, after: Pair<Json>];

/** The template stays: so do the values that run, and overrides alone may change them. */
function keep({ written, wanted, podLevelMemory }: Facts, running: Pair<Json>): Conclusion {
  if (Object.keys(wanted.overrides).length === 0 || podLevelMemory) return ['kept', running];
  const accepted = acceptable(running, written, wanted.overrides);
  return accepted && !sameMemory(accepted, running) ? ['injected', accepted] : ['kept', running];
}

/** The template changes anyway: the ladder's values, now. */
function choose({ before, written, wanted, podLevelMemory }: Facts): Conclusion {
  // A manifest that is refused by itself had passed under our values; it must not fail a deploy that is not about it.
  const refusal = refusedBecause(written);
  const givenBack: Conclusion = refusal && !refusedBecause(before) ? [refusal, before] : ['given-back', written];
  if (wanted.rungs.length === 0) return givenBack;
  // Left to the API server to refuse: a patch would only hide it until the values are given back.
  if (refusal === 'unreadable-value') return [refusal, before];
  if (podLevelMemory) return ['pod-level-memory', written];
  const all = { ...written, ...wanted.all };
  // The author's next apply would be refused while we are away: it puts back the sides that the manifest names and
  // leaves ours, which nobody owns, beside them. A manifest that is refused by itself is no concern of ours.
  const doesNotFit = !refusal && refusedBecause({ ...all, ...written });
  const accepted = acceptable(doesNotFit ? written : all, written, wanted.overrides);
  if (accepted)
    return [sameMemory(accepted, written) && !sameMemory(all, written) ? 'does-not-fit' : 'injected', accepted];
  // An apply that names one side only leaves our other side beside it, and the two may not fit.
  return [refusedBecause(all) ?? 'request-above-limit', refusedBecause(before) ? written : before];
}

/** An applied value that does not fit a person's override yields to it; the override does not yield to ours. */
function acceptable(decided: Pair<Json>, written: Pair<Json>, overrides: Pair<Json>): Pair<Json> | undefined {
  const ours = { ...decided, ...overrides };
  if (!refusedBecause(ours)) return ours;
  const theirs = { ...written, ...overrides };
  return refusedBecause(theirs) ? undefined : theirs;
}

function conclude(
  container: Container,
  { before, written, wanted }: Facts,
  [reason, after]: Conclusion,
): ContainerDecision {
  const unchanged = OUTCOMES[reason].result === 'changed' && sameMemory(before, after);
  return { container, reason: unchanged ? 'as-it-is' : reason, before, written, after, rungs: wanted.rungs };
}

type Wanted = { all: Pair<Json>; overrides: Pair<Json>; rungs: Injected['rung'][] };

/** What the ladder wants for each container of the object, and the part of it that a person wrote. */
function wantedOf(object: unknown, context: Context): (container: Container) => Wanted {
  const kind = kindOf(object);
  const { tuning } = context;
  if (!tuning || !kind) return () => ({ all: {}, overrides: {}, rungs: [] });
  const ref = workloadRef(kind, textAt(object, 'metadata', 'name'));
  const gates = gatesFor(object, context);
  return ({ name }) => {
    const values: Wanted = { all: {}, overrides: {}, rungs: [] };
    const injected = ladder(tuning, gates, ref, name);
    for (const field of FIELDS) {
      const found = injected[field];
      if (!found) continue;
      values.all[field] = found.value;
      if (found.rung === 'override') values.overrides[field] = found.value;
      if (!values.rungs.includes(found.rung)) values.rungs.push(found.rung);
    }
    return values;
  };
}

function wantedConcurrency(object: unknown, context: Context): ReadonlyMap<string, InjectedSetting> {
  if (!context.tuning || kindOf(object) !== 'KnativeService') return new Map();
  const ref = workloadRef('KnativeService', textAt(object, 'metadata', 'name'));
  return concurrencyLadder(context.tuning, gatesFor(object, context), ref);
}

/** The gates as they stand for this object: a pause closes the one for applied values. */
function gatesFor(object: unknown, { gates, namespacePaused }: Context): Gates {
  return { ...gates, enforcement: gates.enforcement && !namespacePaused && !isPaused(object) };
}

/**
 * Only the worker's own account may ask for a rollout, and only of applied values: where they were taken out of force
 * while its request was on the way, the request is just metadata, as anyone else's change of the annotation.
 */
function asksForRollout(
  { object, oldObject, username }: AdmissionRequest,
  { ownAccount }: Context,
  wantsApplied: () => boolean,
): boolean {
  const asked = annotation(object, ROLLOUT_ANNOTATION);
  if (asked === undefined || asked === annotation(oldObject, ROLLOUT_ANNOTATION)) return false;
  return username === ownAccount && wantsApplied();
}

/** Knative refuses any change of a template that keeps its own revision name (`VerifyNameChange`). */
function namesItsRevision(object: unknown): boolean {
  return kindOf(object) === 'KnativeService' && (at(object, 'spec', 'template', 'metadata', 'name') ?? '') !== '';
}

/** The reason for the object as a whole: a change if there is one, else why a container was skipped. */
function mostTelling(decisions: { reason: Reason }[]): Reason {
  const reasons = decisions.map(({ reason }) => reason);
  const changed = (['injected', 'given-back', 'kept'] as const).find((reason) => reasons.includes(reason));
  return changed ?? reasons.find((reason) => reason !== 'as-it-is') ?? 'as-it-is';
}
