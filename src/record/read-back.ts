/** What an earlier cycle wrote into the status, read without trusting it: others can write there too. */
import { asObject, at } from '../domain/json.ts';
import { readBytes } from '../domain/quantity.ts';
import type { ContainerStatus, Decision, MemoryStatus } from '../domain/record.ts';
import type { Decided } from '../recommend/guards.ts';

/** Our part of a record's status as the last cycle left it; what is unreadable in there counts as absent. */
export function previousStatus(status: unknown): MemoryStatus | undefined {
  const memory = asObject(at(status, 'nfr_recommendations', 'memory'));
  if (!memory) return undefined;
  const objects = (list: unknown) => (Array.isArray(list) ? list.filter((entry) => asObject(entry)) : []);
  return {
    ...memory,
    containers: objects(memory.containers).filter(
      ({ workload, name, current }) => typeof workload === 'string' && typeof name === 'string' && asObject(current),
    ),
    history: objects(memory.history),
    ...(Array.isArray(memory.evidence) && { evidence: objects(memory.evidence) }),
  } as unknown as MemoryStatus;
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

/** Milliseconds since the epoch; `NaN` for what is no date, whatever it is. */
export function moment(text: unknown): number {
  return typeof text === 'string' ? Date.parse(text) : Number.NaN;
}
