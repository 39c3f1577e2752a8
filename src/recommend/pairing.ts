/**
 * Memory and concurrency of one Knative Service, looked at together, so that they never chase each other: both answer
 * the same scarcity. Fewer requests in flight and more memory are the one direction, more requests and less memory the
 * other; in one look both may go the same way, never opposite ones, and where a line tells what the requests cost only
 * the cheaper of the two goes.
 */
import type { Fit } from '../domain/concurrency.ts';
import { Ki } from '../domain/quantity.ts';
import { type MemoryNow, NEAR } from './concurrency.ts';
import { type Finding, type Look, lookAtContainer, type Rules } from './container.ts';

import { coolsUntil, isSame } from './guards.ts';
import { observe, proposeMemory, roundUp } from './memory.ts';
import { lookAtService, type ServiceFinding, type ServiceLook, type ServiceRules } from './service.ts';

/** Everything of a Service but what follows from its containers' looks. */
export type ServiceAlone = Omit<ServiceLook, 'memory' | 'memoryDecidedAt' | 'memoryDoubt' | 'killed'>;

/** The rules of both. */
export type PairRules = Rules & ServiceRules;

export type ContainerAlone = { name: string; look: Look; fit?: Fit };

export type Pair = {
  service: { look: ServiceLook; finding: ServiceFinding };
  containers: { name: string; look: Look; finding: Finding }[];
};

export function lookAtPair(
  alone: ServiceAlone,
  containers: readonly ContainerAlone[],
  rules: PairRules,
  now: number,
): Pair {
  const { standing } = alone;
  const first = containers.map((one) => lookWith(one, heldBy(alone, one, rules, now), rules, now));
  const look: ServiceLook = {
    ...alone,
    memory: containers.flatMap((one, index) => memoryNow(one, first[index]?.finding, rules)),
    killed: containers.some(({ look }) => isKilled(look)),
  };
  const decided = containers.flatMap(({ look }) => [look.standing?.at ?? 0, look.applied?.at ?? 0]);
  const last = Math.max(0, ...decided);
  if (last > 0) look.memoryDecidedAt = last;
  const doubtful = first.find(({ finding }) => finding.doubt !== undefined);
  if (doubtful) look.memoryDoubt = `memory of ${doubtful.name}: ${doubtful.finding.doubt}`;
  const finding = lookAtService(look, rules, now);
  // A decision of this very look binds memory from now on.
  const { recommended, proposal } = finding;
  const isNew = recommended !== undefined && recommended !== standing;
  const held = (name: string): Look['held'] => {
    if (isNew && proposal?.direction === 'raise')
      return { from: 'falling', why: 'more requests in flight are to come' };
    if (proposal?.instead === name && recommended?.instead === name) return { from: 'rising', why: CHEAPER };
    return isNew && proposal && !proposal.along
      ? { from: 'falling', why: 'fewer requests in flight are to come' }
      : undefined;
  };
  return {
    service: { look, finding },
    containers: containers.map((one, index) => {
      const again = held(one.name);
      const before = first[index] as (typeof first)[number];
      return again && before.look.held?.from !== again.from ? lookWith(one, again, rules, now) : before;
    }),
  };
}

const CHEAPER = 'fewer requests in flight cost less than more memory';

/** What an earlier decision about concurrency still asks of a container's memory. */
function heldBy(
  { standing, applied, current }: ServiceAlone,
  one: ContainerAlone,
  rules: Rules,
  now: number,
): Look['held'] {
  const changed = applied ?? standing;
  if (!changed) return undefined;
  const until = coolsUntil(changed, rules, now);
  const raised = changed.target > (applied?.previous?.target ?? current.target);
  if (until && raised) return { from: 'falling', why: `concurrency was raised lately (until ${until})` };
  // The long window remembers what requests needed before there were fewer of them: as long as the short one does not
  // agree, that is no reason to rise.
  const remembers = coolsUntil(changed, { cooldownSeconds: rules.longWindowSeconds }, now);
  const lowered = standing?.instead === one.name && applied !== undefined && applied.target <= current.target;
  const { usage, current: runs } = one.look;
  const calm = usage?.short !== undefined && usage.short.max < (runs.limit ?? 0) * NEAR;
  return lowered && remembers && calm
    ? { from: 'rising', why: `${CHEAPER}: what is older than that does not count` }
    : undefined;
}

/** A kill at a limit that has been raised since says nothing about the one that runs. */
function isKilled({ usage, current }: Look): boolean {
  return usage?.oomLimit !== undefined && current.limit !== undefined && usage.oomLimit >= current.limit;
}

function lookWith({ name, look }: ContainerAlone, held: Look['held'], rules: Rules, now: number) {
  const heldLook = held ? { ...look, held } : look;
  return { name, look: heldLook, finding: lookAtContainer(heldLook, rules, now) };
}

/** Nothing can be said of a container without a limit, or without a sample. */
function memoryNow({ name, look, fit }: ContainerAlone, finding: Finding | undefined, rules: Rules): MemoryNow[] {
  const { usage, current, written, range } = look;
  const lasting = usage && observe(usage.long ? { ...usage, short: usage.long } : usage);
  if (current.limit === undefined || !lasting || !finding) return [];
  const moves = movesOf(finding, look);
  return [
    {
      container: name,
      limit: current.limit,
      ...(written.limit !== undefined && { written: written.limit }),
      ...(usage.short && { short: roundUp(usage.short.max, Ki) }),
      // It was read a while ago; what the short one has seen since is in it, too.
      ...(usage.long && { long: roundUp(Math.max(usage.long.max, usage.short?.max ?? 0), Ki) }),
      wanted: proposeMemory(lasting, rules).limit,
      ceiling: Math.min(rules.limitMax, range.max ?? rules.limitMax),
      ...(isKilled(look) && { killed: true }),
      ...(moves && { moves }),
      ...(fit && { fit }),
    },
  ];
}

/** Which way memory goes by what is new in this look: up as soon as either side does. */
function movesOf({ changes, recommended, applied }: Finding, { current }: Look): 'up' | 'down' | undefined {
  if (changes.length === 0) return undefined;
  const to = applied ?? recommended;
  if (!to || isSame(to, current)) return undefined;
  return to.limit > (current.limit ?? 0) || to.request > (current.request ?? 0) ? 'up' : 'down';
}
