/** What an earlier cycle wrote about concurrency into the status, read without trusting it. */
import {
  type AppliedKnobs as AppliedStatus,
  type ConcurrencyStatus,
  type KnobDecision,
  readKnobs,
  type ServiceStatus,
} from '../domain/concurrency.ts';
import { asObject, at } from '../domain/json.ts';
import type { Wanted } from '../recommend/concurrency.ts';
import type { AppliedKnobs, DecidedKnobs } from '../recommend/service.ts';
import { moment } from './read-back.ts';

/** Our part of a record's status as the last cycle left it; what is unreadable in there counts as absent. */
export function previousConcurrency(status: unknown): ConcurrencyStatus | undefined {
  const concurrency = asObject(at(status, 'nfr_recommendations', 'concurrency'));
  if (!concurrency) return undefined;
  const objects = (list: unknown) => (Array.isArray(list) ? list.filter((entry) => asObject(entry)) : []);
  return {
    ...concurrency,
    services: objects(concurrency.services).filter(
      ({ workload, current }) => typeof workload === 'string' && asObject(current),
    ),
    history: objects(concurrency.history),
    ...(Array.isArray(concurrency.evidence) && { evidence: objects(concurrency.evidence) }),
  } as unknown as ConcurrencyStatus;
}

export function findService(status: ConcurrencyStatus | undefined, workload: string): ServiceStatus | undefined {
  return status?.services.find((one) => one.workload === workload);
}

export function readKnobDecision(decision: KnobDecision | undefined): DecidedKnobs | undefined {
  const [wanted, when] = [readWanted(decision), moment(decision?.at)];
  if (!wanted || Number.isNaN(when)) return undefined;
  const instead = at(decision, 'instead_of');
  return { ...wanted, at: when, ...(typeof instead === 'string' && { instead }) };
}

export function readAppliedKnobs(decision: AppliedStatus | undefined): AppliedKnobs | undefined {
  const [wanted, when] = [readWanted(decision), moment(decision?.at)];
  if (!decision || !wanted || Number.isNaN(when)) return undefined;
  const [previous, cooldown] = [readWanted(decision.previous), decision.cooldown_seconds];
  return {
    ...wanted,
    at: when,
    ...(previous && { previous }),
    ...(Number.isInteger(cooldown) && Number(cooldown) > 0 && { cooldownSeconds: Number(cooldown) }),
    ...(decision.taken_back === true && { takenBack: true }),
  };
}

function readWanted(knobs: unknown): Wanted | undefined {
  const { target, containerConcurrency } = readKnobs(knobs);
  if (target === undefined) return undefined;
  return { target, ...(containerConcurrency !== undefined && { containerConcurrency }) };
}
