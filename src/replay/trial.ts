/**
 * What enforcing a record would have done to it: its own history under our rules and under its manifests, side by side.
 * An OOM kill that did happen is a use beyond the limit that killed, because nothing could be measured there.
 */
import { readable } from '../domain/quantity.ts';
import type { Pair } from '../domain/workload.ts';
import type { Rules } from '../recommend/container.ts';
import { beyondKill } from '../recommend/memory.ts';
import { manifest } from './manifest.ts';
import { ours } from './ours.ts';
import { createReplay, type Replay, type Sample } from './replay.ts';

/** A container that is to be tried. */
export type Tried = {
  /** e.g. `Deployment/orders container function` */
  name: string;
  /** what it has without tuning; bytes */
  manifest: Pair<number>;
};

export type Verdict = {
  passed: boolean;
  /** absent where there was too little to judge by */
  kills?: { manifest: number; tuned: number };
  /** what was found, and where it failed what would make it pass */
  message: string;
};

export type Trial = {
  /**
   * @param index which container, by its place in the list
   * @param killedAt the limit (bytes) at which it was OOM killed since the sample before
   */
  take(index: number, sample: Sample, killedAt?: number): void;
  /** @param days the history that was asked for */
  verdict(days: number): Verdict;
};

/** A history of less than this says too little of a container. */
const LEAST_DAYS = 1;

/** @param intervalSeconds from one cycle of the worker to the next */
export function createTrial(containers: readonly Tried[], rules: Rules, intervalSeconds: number): Trial {
  const tuned = ours('tuned', rules, intervalSeconds);
  const pairs = containers.map((one) => ({
    ...one,
    before: createReplay(manifest, one.manifest),
    after: createReplay(tuned, one.manifest),
  }));
  const sum = (of: (pair: (typeof pairs)[number]) => Replay) =>
    pairs.reduce((total, pair) => total + of(pair).tally.kills, 0);
  return {
    take(index, { at, bytes }, killedAt) {
      const used = killedAt === undefined ? bytes : Math.max(bytes, beyondKill(killedAt, rules));
      pairs[index]?.before.step({ at, bytes: used });
      pairs[index]?.after.step({ at, bytes: used });
    },
    verdict(days) {
      const unknown = pairs.find(({ before }) => before.tally.days < LEAST_DAYS * ALMOST);
      if (unknown) {
        const hours = Math.round(unknown.before.tally.days * 24);
        return {
          passed: false,
          message: `${unknown.name} has ${hours} hours of samples in the last ${days} days, and needs 24`,
        };
      }
      const kills = { manifest: sum(({ before }) => before), tuned: sum(({ after }) => after) };
      const found = `over ${days} days ${kills.tuned} OOM kills with tuning, ${kills.manifest} without`;
      if (kills.tuned <= kills.manifest) return { passed: true, kills, message: found };
      const more = ({ before, after }: (typeof pairs)[number]) => after.tally.kills - before.tally.kills;
      const worst = pairs.reduce((one, other) => (more(other) > more(one) ? other : one));
      const missed = readable(Math.ceil(worst.after.tally.shortfall));
      const pass = `an override of its limit would make it pass, or a larger OPRC_CRM_LIMIT_MAX_FACTOR, or ${days} days without such a rise`;
      return { passed: false, kills, message: `${found}, most of them in ${worst.name}, by up to ${missed}; ${pass}` };
    },
  };
}

/** The first sample of a history begins none of its days. */
const ALMOST = 0.99;
