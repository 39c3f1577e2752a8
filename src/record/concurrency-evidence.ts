/** As memory's evidence (`evidence.ts`): with the look at a Service the same pure function decides the same again. */
import {
  type AppliedKnobs as AppliedStatus,
  type ConcurrencyStatus,
  type Fit,
  KNOBS,
  type KnobDecision,
  type KnobEvidence,
  type LoadEvidence,
  type MemoryEvidence,
  readKnobs,
} from '../domain/concurrency.ts';
import { asObject, at } from '../domain/json.ts';
import { formatBytes, readBytes } from '../domain/quantity.ts';
import type { LoadWindow } from '../domain/usage.ts';
import type { MemoryNow } from '../recommend/concurrency.ts';
import type { AppliedKnobs, DecidedKnobs, ServiceLook } from '../recommend/service.ts';
import { readAppliedKnobs, readKnobDecision } from './concurrency-read-back.ts';
import { moment } from './read-back.ts';

/** @param settings the rules' settings that differ from their defaults, by variable */
export function writeKnobEvidence(
  key: { at: string; workload: string },
  look: ServiceLook,
  settings: Readonly<Record<string, string>>,
): KnobEvidence {
  const { load, current, written, memory, most, atMaxScale, foreign: _, fixed, enforced, ours, ...rest } = look;
  const { standing, applied, memoryDecidedAt, memoryDoubt, killed, aftermath, unread: __, ...others } = rest;
  // A field that a look gets one day has to be written down here, and read below.
  others satisfies Record<string, never>;
  const evidence: KnobEvidence = { ...key, current, memory: memory.map(writeMemory), most };
  if (load?.short) evidence.short = writeLoad(load.short);
  if (load?.long) evidence.long = writeLoad(load.long);
  if (KNOBS.some((knob) => written[knob] !== undefined)) evidence.manifest = written;
  if (KNOBS.some((knob) => fixed[knob] !== undefined)) evidence.override = fixed;
  if (memoryDecidedAt !== undefined) evidence.memory_decided_at = new Date(memoryDecidedAt).toISOString();
  if (memoryDoubt !== undefined) evidence.memory_doubt = memoryDoubt;
  if (standing) evidence.recommended = knobDecision(standing);
  if (applied) evidence.applied = appliedKnobs(applied);
  for (const [name, says] of Object.entries({
    partial: load?.partial,
    at_max_scale: atMaxScale,
    killed,
    enforced,
    ours,
  }))
    if (says) Object.assign(evidence, { [name]: true });
  if (aftermath?.since !== undefined) {
    const { since, unavailable } = aftermath;
    evidence.aftermath = { since: new Date(since).toISOString(), ...(unavailable !== undefined && { unavailable }) };
  }
  if (Object.keys(settings).length > 0) evidence.settings = { ...settings };
  return evidence;
}

/** The look as it was. Read without trusting it: what is unreadable counts as absent, and decides something else. */
export function readKnobEvidence(evidence: KnobEvidence): ServiceLook {
  const [short, long] = [readLoad(evidence.short), readLoad(evidence.long)];
  const { target = 0, containerConcurrency = 0, targetBurstCapacity = 0 } = readKnobs(evidence.current);
  const look: ServiceLook = {
    load: { partial: evidence.partial === true, ...(short && { short }), ...(long && { long }) },
    current: { target, containerConcurrency, targetBurstCapacity, aim: number(at(evidence, 'current', 'aim')) ?? 0 },
    written: readKnobs(evidence.manifest),
    fixed: readKnobs(evidence.override),
    memory: (Array.isArray(evidence.memory) ? evidence.memory : []).flatMap(readMemory),
    most: number(evidence.most) ?? 0,
    atMaxScale: evidence.at_max_scale === true,
    killed: evidence.killed === true,
    enforced: evidence.enforced === true,
    ours: evidence.ours === true,
  };
  const [standing, applied] = [readKnobDecision(evidence.recommended), readAppliedKnobs(evidence.applied)];
  if (standing) look.standing = standing;
  if (applied) look.applied = applied;
  const [decided, since] = [moment(evidence.memory_decided_at), moment(evidence.aftermath?.since)];
  if (!Number.isNaN(decided)) look.memoryDecidedAt = decided;
  if (evidence.memory_doubt !== undefined) look.memoryDoubt = evidence.memory_doubt;
  const unavailable = evidence.aftermath?.unavailable;
  if (!Number.isNaN(since)) look.aftermath = { since, ...(unavailable !== undefined && { unavailable }) };
  return look;
}

export function findKnobEvidence(status: ConcurrencyStatus, when: string, workload: string): KnobEvidence | undefined {
  return status.evidence?.find((one) => one.at === when && one.workload === workload);
}

/** Only what a decision that stands or the history still points to. */
export function stillNeededKnobs(evidence: KnobEvidence[], { services, history }: ConcurrencyStatus): KnobEvidence[] {
  return evidence.filter(
    ({ at, workload }) =>
      services.some((one) => one.workload === workload && [one.recommended?.at, one.applied?.at].includes(at)) ||
      history.some((one) => one.workload === workload && one.at === at),
  );
}

export function knobDecision({ at, instead, ...wanted }: DecidedKnobs): KnobDecision {
  return { ...wanted, at: new Date(at).toISOString(), ...(instead !== undefined && { instead_of: instead }) };
}

/** With what is needed to take the values back. */
export function appliedKnobs({ at, previous, cooldownSeconds, takenBack, ...wanted }: AppliedKnobs): AppliedStatus {
  return {
    ...wanted,
    at: new Date(at).toISOString(),
    ...(previous && { previous }),
    ...(cooldownSeconds !== undefined && { cooldown_seconds: cooldownSeconds }),
    ...(takenBack && { taken_back: true }),
  };
}

function writeLoad({ concurrency, queue, rate, samples }: LoadWindow): LoadEvidence {
  return {
    concurrency_p95: concurrency,
    ...(queue !== undefined && { queue_depth_p95: queue }),
    ...(rate !== undefined && { request_rate: rate }),
    samples,
  };
}

function readLoad(evidence: LoadEvidence | undefined): LoadWindow | undefined {
  const concurrency = number(evidence?.concurrency_p95);
  if (concurrency === undefined) return undefined;
  const [queue, rate] = [number(evidence?.queue_depth_p95), number(evidence?.request_rate)];
  return {
    concurrency,
    ...(queue !== undefined && { queue }),
    ...(rate !== undefined && { rate }),
    samples: number(evidence?.samples) ?? 0,
  };
}

function writeMemory({
  container,
  limit,
  written,
  short,
  long,
  wanted,
  ceiling,
  killed,
  moves,
  fit,
}: MemoryNow): MemoryEvidence {
  return {
    container,
    limit: formatBytes(limit),
    ...(written !== undefined && { written: formatBytes(written) }),
    ...(short !== undefined && { short_max: formatBytes(short) }),
    ...(long !== undefined && { long_max: formatBytes(long) }),
    wanted: formatBytes(wanted),
    ceiling: formatBytes(ceiling),
    ...(killed && { killed }),
    ...(moves && { moves }),
    ...(fit && { fit }),
  };
}

function readMemory(evidence: MemoryEvidence): MemoryNow[] {
  const [limit, wanted, ceiling] = [evidence?.limit, evidence?.wanted, evidence?.ceiling].map(readBytes);
  if (limit === undefined || wanted === undefined || ceiling === undefined) return [];
  const [written, short, long] = [evidence.written, evidence.short_max, evidence.long_max].map(readBytes);
  const fit = readFit(evidence.fit);
  return [
    {
      ...{ container: String(evidence.container), limit, wanted, ceiling },
      ...(written !== undefined && { written }),
      ...(short !== undefined && { short }),
      ...(long !== undefined && { long }),
      ...(evidence.killed === true && { killed: true }),
      ...((evidence.moves === 'up' || evidence.moves === 'down') && { moves: evidence.moves }),
      ...(fit && { fit }),
    },
  ];
}

function readFit(fit: unknown): Fit | undefined {
  if (!asObject(fit)) return undefined;
  const of = (key: string) => number(at(fit, key)) ?? 0;
  const [base, slope, quality] = [of('base'), of('slope'), of('quality')];
  return { base, slope, quality, samples: of('samples'), from: of('from'), to: of('to') };
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
