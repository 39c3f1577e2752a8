/**
 * What a decision was made from, kept in status beside it: with the look, the moment and the settings that were not at
 * their defaults, the same pure function decides the same again. That is how a number is explained from status alone.
 */
import { asObject, at, type JsonObject } from '../domain/json.ts';
import { formatBytes, Ki, readBytes } from '../domain/quantity.ts';
import type {
  AppliedDecision,
  Decision,
  Evidence,
  MemoryStatus,
  Recommendation,
  WindowEvidence,
} from '../domain/record.ts';
import type { WindowUsage } from '../domain/usage.ts';
import { bytesOf, FIELDS, type Pair } from '../domain/workload.ts';
import type { Look } from '../recommend/container.ts';
import type { Applied, Decided, Standing } from '../recommend/guards.ts';
import { roundUp } from '../recommend/memory.ts';
import { moment, readApplied, readStanding } from './read-back.ts';

/** Whose decision, and when (RFC 3339). */
type Key = Pick<Evidence, 'at' | 'workload' | 'container'>;

/** @param settings the rules' settings that differ from their defaults, by variable */
export function writeEvidence(key: Key, look: Look, settings: Readonly<Record<string, string>>): Evidence {
  const { usage, current, standing, applied, enforced, fixed, written, range, aftermath, held, ...others } = look;
  // A field that a look gets one day has to be written down here, and read below.
  others satisfies Record<string, never>;
  const evidence: Evidence = { ...key, current: quantities(current) };
  if (usage?.short) evidence.short = writeWindow(usage.short);
  if (usage?.long) evidence.long = writeWindow(usage.long);
  if (usage?.partial) evidence.partial = true;
  if (usage?.oomLimit !== undefined) evidence.oom_limit = formatBytes(usage.oomLimit);
  if (standing) evidence.recommended = recommendation(standing);
  if (applied) evidence.applied = appliedDecision(applied);
  if (enforced) evidence.enforced = true;
  if (isSet(fixed)) evidence.override = quantities(fixed);
  if (isSet(written)) evidence.manifest = quantities(written);
  const { min, max, maxLimitRequestRatio: ratio } = range;
  if (min !== undefined || max !== undefined || ratio !== undefined) {
    evidence.limit_range = {
      ...(min !== undefined && { min: formatBytes(min) }),
      ...(max !== undefined && { max: formatBytes(max) }),
      ...(ratio !== undefined && { ratio }),
    };
  }
  if (aftermath?.since !== undefined) {
    const { since, unavailable } = aftermath;
    evidence.aftermath = { since: new Date(since).toISOString(), ...(unavailable !== undefined && { unavailable }) };
  }
  if (held) evidence.held = held;
  if (Object.keys(settings).length > 0) evidence.settings = { ...settings };
  return evidence;
}

/** The look as it was. Read without trusting it: what is unreadable counts as absent, and decides something else. */
export function readEvidence(evidence: Evidence): Look {
  const look: Look = {
    usage: { partial: evidence.partial === true },
    current: bytesAt(evidence, 'current'),
    enforced: evidence.enforced === true,
    fixed: bytesAt(evidence, 'override'),
    written: bytesAt(evidence, 'manifest'),
    range: {},
  };
  const [short, long] = [readWindow(evidence.short), readWindow(evidence.long)];
  const oomLimit = readBytes(evidence.oom_limit);
  if (short) Object.assign(look.usage as object, { short });
  if (long) Object.assign(look.usage as object, { long });
  if (oomLimit !== undefined) Object.assign(look.usage as object, { oomLimit });
  const [standing, applied] = [readStanding(evidence.recommended), readApplied(evidence.applied)];
  if (standing) look.standing = standing;
  if (applied) look.applied = applied;
  const [min, max] = [readBytes(evidence.limit_range?.min), readBytes(evidence.limit_range?.max)];
  const ratio = at(evidence, 'limit_range', 'ratio');
  if (min !== undefined) look.range.min = min;
  if (max !== undefined) look.range.max = max;
  if (typeof ratio === 'number') look.range.maxLimitRequestRatio = ratio;
  const { from, why } = asObject(evidence.held) ?? {};
  if ((from === 'rising' || from === 'falling') && typeof why === 'string') look.held = { from, why };
  const since = moment(evidence.aftermath?.since);
  const unavailable = evidence.aftermath?.unavailable;
  if (!Number.isNaN(since)) look.aftermath = { since, ...(unavailable !== undefined && { unavailable }) };
  return look;
}

/** The evidence of the decision that a container's status or the history tells of. */
export function findEvidence(status: MemoryStatus, { at, workload, container }: Key): Evidence | undefined {
  return status.evidence?.find((one) => one.at === at && one.workload === workload && one.container === container);
}

/** Only what a decision that stands or the history still points to. */
export function stillNeeded(evidence: Evidence[], { containers, history }: MemoryStatus): Evidence[] {
  return evidence.filter(
    ({ at, workload, container }) =>
      containers.some(
        (one) =>
          one.workload === workload && one.name === container && [one.recommended?.at, one.applied?.at].includes(at),
      ) || history.some((one) => one.workload === workload && one.container === container && one.at === at),
  );
}

/** Rounded up to KiB as the rules do: the larger of two such is what they saw, and a reader can recompute. */
function writeWindow({ avg, p95, max, samples }: WindowUsage): WindowEvidence {
  const text = (bytes: number) => formatBytes(roundUp(bytes, Ki));
  return { ws_avg: text(avg), ws_p95: text(p95), ws_max: text(max), samples };
}

function readWindow(window: WindowEvidence | undefined): WindowUsage | undefined {
  if (!asObject(window)) return undefined;
  const [avg = 0, p95 = 0, max = 0] = [window?.ws_avg, window?.ws_p95, window?.ws_max].map(readBytes);
  const samples = at(window, 'samples');
  return { avg, p95, max, samples: typeof samples === 'number' ? samples : 0 };
}

function bytesAt(evidence: Evidence, key: 'current' | 'override' | 'manifest'): Pair<number> {
  return bytesOf((asObject(evidence[key]) ?? {}) as JsonObject);
}

function isSet(values: Pair<number>): boolean {
  return FIELDS.some((field) => values[field] !== undefined);
}

/** Bytes as status shows them; a side that nobody set is left out. */
export function quantities(values: Pair<number>): Pair<string> {
  const pair: Pair<string> = {};
  for (const field of FIELDS) if (values[field] !== undefined) pair[field] = formatBytes(values[field]);
  return pair;
}

export function decision({ request, limit, at }: Decided): Decision {
  return { request: formatBytes(request), limit: formatBytes(limit), at: new Date(at).toISOString() };
}

export function recommendation({ unneededSince, ...decided }: Standing): Recommendation {
  const unneeded = unneededSince !== undefined && { unneeded_since: new Date(unneededSince).toISOString() };
  return { ...decision(decided), ...unneeded };
}

/** With what is needed to take the values back. */
export function appliedDecision({ previous, cooldownSeconds, takenBack, ...decided }: Applied): AppliedDecision {
  return {
    ...decision(decided),
    ...(previous && { previous: quantities(previous) }),
    ...(cooldownSeconds !== undefined && { cooldown_seconds: cooldownSeconds }),
    ...(takenBack && { taken_back: true }),
  };
}
