/** The points of a rollout at which something can die, with a worker at each: every one has its own record and workload. */
import { at, type JsonObject, textAt } from '../../src/domain/json.ts';
import type { Usage } from '../../src/domain/usage.ts';
import type { Cluster as Hands } from '../../src/worker/cluster.ts';
import { steady } from '../recommend/looks.ts';
import { MINUTE } from '../recommend/rules.ts';
import { playWorker } from './played-worker.ts';
import { until } from './until.ts';

/** Says that the worker is there, and waits until it may go on. */
type Stop = () => Promise<void>;
type Act<Args extends unknown[]> = (...args: Args) => Promise<void>;

function before<Args extends unknown[]>(act: Act<Args>, stop: Stop): Act<Args> {
  return async (...args) => {
    await stop();
    await act(...args);
  };
}

function after<Args extends unknown[]>(act: Act<Args>, stop: Stop): Act<Args> {
  return async (...args) => {
    await act(...args);
    await stop();
  };
}

function second<Args extends unknown[]>(act: Act<Args>, later: Act<Args>): Act<Args> {
  let calls = 0;
  return (...args) => {
    calls += 1;
    return calls === 2 ? later(...args) : act(...args);
  };
}

/** Where each worker stops on its way, in the order of the way. */
const STOPS: Record<string, (hands: Hands, stop: Stop) => Partial<Hands>> = {
  'before-the-status': ({ writeStatus }, stop) => ({ writeStatus: before(writeStatus, stop) }),
  'after-the-status': ({ writeStatus }, stop) => ({ writeStatus: after(writeStatus, stop) }),
  'before-the-request': ({ requestRollout }, stop) => ({ requestRollout: before(requestRollout, stop) }),
  'after-the-request': ({ requestRollout }, stop) => ({ requestRollout: after(requestRollout, stop) }),
  'while-pods-roll': (hands, stop) => ({
    requestRollout: after(async (workload, id) => {
      await hands.requestRollout(workload, id);
      await until('the controller to begin', () => hasBegun(hands, workload));
    }, stop),
  }),
  'before-the-read-back': ({ writeStatus }, stop) => ({ writeStatus: second(writeStatus, before(writeStatus, stop)) }),
};

/** Its controller has seen the new template; the stage's pods of these workloads are available two seconds after that. */
async function hasBegun(hands: Hands, workload: JsonObject): Promise<boolean> {
  const name = textAt(workload, 'metadata', 'name');
  const now = (await hands.workloads()).find((one) => textAt(one, 'metadata', 'name') === name);
  return at(now, 'status', 'observedGeneration') === at(now, 'metadata', 'generation');
}

export const POINTS = Object.keys(STOPS);

/** Those at which nothing has been asked for yet. */
export const BEFORE = ['before-the-status', 'after-the-status', 'before-the-request'];

/** 100Mi × 1.5 = 150Mi → 160Mi, and 240Mi. */
export const USED: Usage = steady(100, 100, 100);

/**
 * Resolves when every worker has gone on and ended its cycles.
 *
 * @param kubeconfig file of the tuner's account
 * @param prefix the records are called `<prefix>-<point>`
 * @param all called when each of them stands at its point; they go on when it resolves
 */
export async function standAtPoints(kubeconfig: string, prefix: string, all: () => Promise<void>): Promise<void> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const way = (point: string) => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const stop = async () => {
      arrive();
      await released;
    };
    const worker = playWorker(kubeconfig, {
      usage: () => USED,
      sees: ({ metadata }) => metadata.name === `${prefix}-${point}`,
      through: (hands) => ({ ...hands, ...STOPS[point]?.(hands, stop) }),
    });
    const start = Date.now();
    const ended = (async () => {
      for (const minute of [0, 1]) await worker.work(start + minute * MINUTE);
    })();
    return { arrived, ended };
  };
  // Pods that roll wait for nobody: these come last.
  const last = 'while-pods-roll';
  const ways = POINTS.filter((point) => point !== last).map(way);
  await Promise.all(ways.map(({ arrived }) => arrived));
  ways.push(way(last));
  await ways.at(-1)?.arrived;
  await all();
  release();
  await Promise.all(ways.map(({ ended }) => ended));
}
