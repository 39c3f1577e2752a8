/** What an earlier cycle wrote into the status, read without trusting it: others can write there too. */
import { asObject, at, type Json } from '../domain/json.ts';
import { readBytes } from '../domain/quantity.ts';
import type {
  AppliedDecision,
  ContainerStatus,
  Decision,
  MemoryStatus,
  Recommendation,
  RolloutStatus,
} from '../domain/record.ts';
import { bytesOf } from '../domain/workload.ts';
import type { Applied, Decided, Standing } from '../recommend/guards.ts';

/** Our part of a record's status as the last cycle left it; what is unreadable in there counts as absent. */
export function previousStatus(status: unknown): MemoryStatus | undefined {
  const memory = asObject(at(status, 'nfr_recommendations', 'memory'));
  if (!memory) return undefined;
  const objects = (list: unknown) => (Array.isArray(list) ? list.filter((entry) => asObject(entry)) : []);
  const { outcome, backtest, ...others } = memory;
  return {
    ...others,
    containers: objects(memory.containers).filter(
      ({ workload, name, current }) => typeof workload === 'string' && typeof name === 'string' && asObject(current),
    ),
    history: objects(memory.history),
    rollouts: objects(memory.rollouts).filter(({ workload }) => typeof workload === 'string'),
    ...(isOutcome(outcome) && { outcome }),
    ...(isBacktest(backtest) && { backtest }),
    ...(Array.isArray(memory.evidence) && { evidence: objects(memory.evidence) }),
  } as unknown as MemoryStatus;
}

function isOutcome(outcome: Json | undefined): boolean {
  const isText = (value: unknown) => value === undefined || typeof value === 'string';
  const isSide = (side: Json | undefined) =>
    asObject(side) &&
    isText(at(side, 'request')) &&
    isText(at(side, 'limit')) &&
    ['undefined', 'number'].includes(typeof at(side, 'kills'));
  const [before, after] = [at(outcome, 'before'), at(outcome, 'after')];
  const told = [at(outcome, 'kills_over'), at(outcome, 'summary')].every(isText);
  return !Number.isNaN(moment(at(outcome, 'since'))) && Boolean(isSide(before) && isSide(after)) && told;
}

function isBacktest(backtest: Json | undefined): boolean {
  const is = (type: string, ...keys: string[]) => keys.every((key) => typeof at(backtest, key) === type);
  const isObject = (value: Json | undefined) => value === undefined || asObject(value) !== undefined;
  return is('boolean', 'passed') && is('string', 'at', 'message') && isObject(at(backtest, 'settings'));
}

/** The container's entry of the last status. */
export function findContainer(
  status: MemoryStatus | undefined,
  workload: string,
  name: string,
): ContainerStatus | undefined {
  return status?.containers.find((container) => container.workload === workload && container.name === name);
}

/** A decision read back from status: bytes and milliseconds; `undefined` when any part of it is unreadable. */
export function readDecision(decision: Decision | undefined): Decided | undefined {
  const [request, limit, when] = [readBytes(decision?.request), readBytes(decision?.limit), moment(decision?.at)];
  if (request === undefined || limit === undefined || Number.isNaN(when)) return undefined;
  return { request, limit, at: when };
}

/** The same with since when less would do; what is unreadable of that counts as absent. */
export function readStanding(recommendation: Recommendation | undefined): Standing | undefined {
  const decided = readDecision(recommendation);
  const since = moment(recommendation?.unneeded_since);
  return decided && { ...decided, ...(!Number.isNaN(since) && { unneededSince: since }) };
}

/** The same with what is needed to take the values back; what is unreadable of that is left out. */
export function readApplied(decision: AppliedDecision | undefined): Applied | undefined {
  const decided = readDecision(decision);
  if (!decision || !decided) return undefined;
  const previous = asObject(decision.previous);
  const cooldown = decision.cooldown_seconds;
  return {
    ...decided,
    ...(previous && { previous: bytesOf(previous) }),
    ...(Number.isInteger(cooldown) && Number(cooldown) > 0 && { cooldownSeconds: Number(cooldown) }),
    ...(decision.taken_back === true && { takenBack: true }),
  };
}

/** The workload's entry of the last status. */
export function findRollout(status: MemoryStatus | undefined, workload: string): RolloutStatus | undefined {
  return status?.rollouts?.find((rollout) => rollout.workload === workload);
}

/** Milliseconds since the epoch; `NaN` for what is no date, whatever it is. */
export function moment(text: unknown): number {
  return typeof text === 'string' ? Date.parse(text) : Number.NaN;
}
