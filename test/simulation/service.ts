/**
 * A Knative Service that lives in minutes: requests arrive, the autoscaler follows them, memory follows the requests, and a
 * pod that reaches its limit is killed. A fluid in steps of a scrape, with the delays of the real thing: an autoscaler
 * that averages over a minute, pods that take half a minute to come.
 */
import type { Knobs } from '../../src/domain/concurrency.ts';
import type { Pair } from '../../src/domain/workload.ts';

export const STEP_SECONDS = 30;

export type Workload = {
  /** requests in flight that the world sends, all pods together, at a second */
  load(seconds: number): number;
  /** bytes of a pod without requests, and of each request */
  base: number;
  perRequest: number;
  /** bytes that a pod loses in an hour, and never gets back */
  leakPerHour: number;
};

export type Template = { memory: Required<Pair<number>>; target: number; hard: number };

type PodState = { since: number; leaked: number };

/** What a scrape sees of one pod. */
export type Seen = { bytes: number; requests: number; waiting: number };

export type Tick = { seconds: number; pods: Seen[]; killed: number; lost: number };

const UTILIZATION = 0.7;
/** The busiest pod gets so much more than its share. */
const UNEVEN = 1.25;
const MOST_PODS = 100;
/** Requests that a queue-proxy lets wait, for each one that it lets in. */
const QUEUE = 10;

/** Chance that repeats: the same seed plays the same day. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function createService({ load, base, perRequest, leakPerHour }: Workload, first: Template, seed: number) {
  const random = chance(seed);
  let template = first;
  let wanted = Math.ceil(load(-21_600) / (first.target * UTILIZATION));
  let pods: PodState[] = Array.from({ length: wanted }, () => ({ since: 0, leaked: 0 }));
  const lately: number[] = [];

  return {
    template: () => template,
    pods: () => pods.length,
    /** A new Revision: all pods are new ones. */
    roll(next: Template, seconds: number) {
      template = next;
      pods = pods.map(() => ({ since: seconds, leaked: 0 }));
    },
    tick(seconds: number): Tick {
      const offered = load(seconds) * (0.95 + random() * 0.1);
      // What was wanted half a minute ago is there now; pods go at once.
      while (pods.length < wanted) pods.push({ since: seconds, leaked: 0 });
      pods.length = Math.max(1, Math.min(pods.length, wanted));
      const share = offered / pods.length;
      let [killed, lost] = [0, 0];
      const seen = pods.map((pod, index): Seen => {
        const even = pods.length === 1 ? 1 : index === 0 ? UNEVEN : 1 - (UNEVEN - 1) / (pods.length - 1);
        const sent = share * even * (0.97 + random() * 0.06);
        const requests = template.hard > 0 ? Math.min(sent, template.hard) : sent;
        const waiting = Math.min(sent - requests, requests * QUEUE);
        lost += sent - requests - waiting;
        pod.leaked += (leakPerHour * STEP_SECONDS) / 3600;
        const bytes = (base + perRequest * requests + pod.leaked) * (0.98 + random() * 0.04);
        if (bytes < template.memory.limit) return { bytes, requests, waiting };
        killed += 1;
        lost += requests;
        pod.leaked = 0;
        pod.since = seconds;
        return { bytes: template.memory.limit, requests, waiting };
      });
      lately.push(offered);
      if (lately.length > 2) lately.shift();
      const stable = lately.reduce((sum, one) => sum + one, 0) / lately.length;
      const aim = Math.max(template.target * UTILIZATION, 0.01);
      const down = Math.ceil(pods.length / 2);
      wanted = Math.min(MOST_PODS, Math.max(Math.ceil(stable / aim), pods.length > 1 ? down : 1));
      return { seconds, pods: seen, killed, lost };
    },
  };
}

export type Service = ReturnType<typeof createService>;

/** Whatever a template leaves out is what Knative does. */
export const knobsOf = ({ target, hard }: Template): Required<Omit<Knobs, 'targetBurstCapacity'>> => ({
  target,
  containerConcurrency: hard,
});
