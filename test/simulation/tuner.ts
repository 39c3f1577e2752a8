/**
 * The tuner over a played Service: the real rules, fed with the statistics that Prometheus would have, once a minute;
 * what they apply is the next Revision.
 */
import type { Load, LoadWindow, Point, Usage, WindowUsage } from '../../src/domain/usage.ts';
import { type Finding, type Look, lookAtContainer } from '../../src/recommend/container.ts';
import { fitMemory } from '../../src/recommend/fit.ts';
import { observe, proposeMemory } from '../../src/recommend/memory.ts';
import { lookAtPair, type ServiceAlone } from '../../src/recommend/pairing.ts';
import { lookAtService, type ServiceFinding } from '../../src/recommend/service.ts';
import { RULES } from '../recommend/rules.ts';
import { type Service, STEP_SECONDS, type Template, type Tick } from './service.ts';

/** Nothing is tuned; memory alone; both rules, each for itself; both as the worker pairs them. */
export const MODES = ['off', 'memory', 'plain', 'paired'] as const;
export type Mode = (typeof MODES)[number];

export type Outcome = {
  kills: number;
  /** requests that were refused or died with a pod */
  lost: number;
  /** GiB that the pods requested, on average */
  requested: number;
  limited: number;
  /** Revisions that the tuner made */
  revisions: number;
  /** how often the target went back where it had come from */
  turns: number;
  last: Template;
};

const CYCLE = 60;
const RULE_SECONDS = { short: RULES.shortWindowSeconds, long: RULES.longWindowSeconds };

export function play(service: Service, written: Template, days: number, mode: Mode): Outcome {
  const history: Tick[] = [];
  const outcome: Outcome = { kills: 0, lost: 0, requested: 0, limited: 0, revisions: 0, turns: 0, last: written };
  let way = 0;
  let memory: Finding | undefined;
  let requests: ServiceFinding | undefined;
  let killedAt: { seconds: number; limit: number }[] = [];
  let since: number | undefined;
  let long: ReturnType<typeof statistics> | undefined;
  const steps = (days * 86_400) / STEP_SECONDS;
  // Nobody tunes a Service of which nothing has been measured yet: its first hours are the same for all.
  for (let seconds = -RULE_SECONDS.long; seconds <= 0; seconds += STEP_SECONDS) {
    const tick = service.tick(seconds);
    history.push(tick);
    if (tick.killed > 0) killedAt.push({ seconds, limit: written.memory.limit });
  }
  for (let step = 1; step <= steps; step += 1) {
    const seconds = step * STEP_SECONDS;
    const tick = service.tick(seconds);
    history.push(tick);
    while (history.length > RULE_SECONDS.long / STEP_SECONDS) history.shift();
    const runs = service.template();
    if (tick.killed > 0) killedAt.push({ seconds, limit: runs.memory.limit });
    outcome.kills += tick.killed;
    outcome.lost += tick.lost * (1 / steps);
    outcome.requested += (tick.pods.length * runs.memory.request) / 2 ** 30 / steps;
    outcome.limited += (tick.pods.length * runs.memory.limit) / 2 ** 30 / steps;
    if (mode === 'off' || seconds % CYCLE !== 0) continue;

    killedAt = killedAt.filter((one) => one.seconds > seconds - RULE_SECONDS.long);
    const short = statistics(history.slice(-RULE_SECONDS.short / STEP_SECONDS));
    if (!long || seconds % RULE_SECONDS.short === 0) long = statistics(history);
    const usage: Usage = { short: short.usage, long: long.usage, partial: false };
    if (killedAt.length > 0) usage.oomLimit = Math.max(...killedAt.map(({ limit }) => limit));
    const load: Load = { short: short.load, long: long.load, partial: false, points: {} };
    const aftermath = since === undefined ? {} : { since: since * 1000 };
    const look: Look = {
      ...{ usage, current: runs.memory, written: written.memory, enforced: true, fixed: {}, range: {}, aftermath },
      ...(memory?.recommended && { standing: memory.recommended }),
      ...(memory?.applied && { applied: memory.applied }),
    };
    const alone: ServiceAlone = {
      ...{ load, written: { target: written.target, containerConcurrency: written.hard } },
      current: {
        ...{ target: runs.target, containerConcurrency: runs.hard },
        ...{ targetBurstCapacity: 211, aim: runs.target * 0.7 },
      },
      ...{ most: 1000, atMaxScale: false, fixed: {}, enforced: true, aftermath },
      ours: runs.target !== written.target || runs.hard !== written.hard,
      ...(requests?.recommended && { standing: requests.recommended }),
      ...(requests?.applied && { applied: requests.applied }),
    };
    const now = seconds * 1000;
    if (mode === 'paired') {
      const fit = fitMemory(long.points);
      const pair = lookAtPair(alone, [{ name: 'function', look, ...(fit && { fit }) }], RULES, now);
      memory = pair.containers[0]?.finding;
      requests = pair.service.finding;
    } else {
      memory = lookAtContainer(look, RULES, now);
      if (mode === 'plain') requests = lookAtService({ ...alone, ...ofMemory(look) }, RULES, now);
    }
    const next: Template = {
      memory: memory?.applied ? { request: memory.applied.request, limit: memory.applied.limit } : runs.memory,
      target: requests?.applied?.target ?? runs.target,
      hard: requests?.applied?.containerConcurrency ?? runs.hard,
    };
    if (JSON.stringify(next) === JSON.stringify(runs)) continue;
    // As the worker's plan has it: one rollout in a cooldown, unless a kill asks for it.
    const killed = usage.oomLimit !== undefined && usage.oomLimit >= runs.memory.limit;
    const urgent = killed && (next.memory.limit > runs.memory.limit || next.target < runs.target);
    if (since !== undefined && seconds - since < RULES.cooldownSeconds && !urgent) continue;
    outcome.revisions += 1;
    const turned = Math.sign(next.target - runs.target);
    if (turned !== 0 && way !== 0 && turned !== way) outcome.turns += 1;
    if (turned !== 0) way = turned;
    service.roll(next, seconds);
    since = seconds;
  }
  return { ...outcome, last: service.template() };
}

/** The facts about memory that the plain rule asks for, and nothing of what pairing adds. */
function ofMemory({ usage, current }: Look) {
  const observed = usage && observe(usage);
  if (!usage || !observed) return { memory: [], killed: false };
  const [short, long] = [usage.short?.max ?? 0, usage.long?.max ?? 0];
  const windows = { short, long: Math.max(short, long) };
  const wanted = proposeMemory(observed, RULES, usage.oomLimit).limit;
  const memory = [{ container: 'function', limit: current.limit ?? 0, ...windows, wanted, ceiling: RULES.limitMax }];
  return { memory, killed: usage.oomLimit !== undefined };
}

function statistics(ticks: Tick[]): { usage: WindowUsage; load: LoadWindow; points: Point[] } {
  const bytes: number[] = [];
  const [requests, waiting]: [number[], number[]] = [[], []];
  let samples = 0;
  for (const { pods } of ticks) {
    for (const pod of pods) bytes.push(pod.bytes);
    requests.push(Math.max(...pods.map((pod) => pod.requests)));
    waiting.push(Math.max(...pods.map((pod) => pod.waiting)));
    samples += 1;
  }
  const sorted = bytes.sort((a, b) => a - b);
  const usage: WindowUsage = {
    avg: sorted.reduce((sum, one) => sum + one, 0) / sorted.length,
    p95: sorted[Math.floor(sorted.length * 0.95)] ?? 0,
    max: sorted.at(-1) ?? 0,
    samples,
  };
  const p95 = (values: number[]) => {
    const ranked = values.toSorted((a, b) => a - b);
    return Math.round((ranked[Math.floor(ranked.length * 0.95)] ?? 0) * 100) / 100;
  };
  const points: Point[] = [];
  const perPoint = RULE_SECONDS.short / STEP_SECONDS;
  for (let end = ticks.length; end - perPoint >= 0; end -= perPoint) {
    const pods = ticks.slice(end - perPoint, end).flatMap((tick) => tick.pods);
    points.push({
      requests: Math.max(...pods.map((pod) => pod.requests)),
      bytes: Math.max(...pods.map((pod) => pod.bytes)),
    });
  }
  return { usage, load: { concurrency: p95(requests), queue: p95(waiting), samples }, points };
}
