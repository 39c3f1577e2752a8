/** What is known of a record's past, what follows from it, and what should be read of it next. */
import { createHash } from 'node:crypto';
import { overrideOf } from '../domain/ladder.ts';
import type { Backtest, MemoryStatus } from '../domain/record.ts';
import type { Pair } from '../domain/workload.ts';
import { type Log, reason } from '../log.ts';
import { isDue, type Judged, unproven } from '../record/backtest.ts';
import { moment } from '../record/read-back.ts';
import type { Kills, Report } from '../record/report.ts';
import type { Verdict } from '../replay/trial.ts';
import type { KillsQuestion, Past, TrialQuestion } from './past.ts';
import type { RulesInForce } from './rules.ts';
import { createTurns, type Turns } from './turns.ts';
import { inPod, type OwnedWorkloads } from './workloads.ts';

type Trial = TrialQuestion & Judged & { /** the verdict so far */ standing?: Backtest };

/** What was read since this worker started; what earlier ones read stands in the statuses. */
export type Known = {
  kills?: Turns<KillsQuestion, Kills | undefined>;
  /** only where a replay is required before anything is applied */
  trials?: Turns<Trial, Backtest>;
};

/** What is to be read, by a key that changes with what an answer would be about. */
export type Asks = { kills?: [key: string, KillsQuestion]; trial?: [key: string, Trial] };

const HOUR_MS = 3_600_000;

/** @param required whether a replay has to pass before anything is applied */
export function knownPast(past: Past, required: boolean, log: Log): Known {
  const kills = createTurns({ ask: past.kills, goodForMs: HOUR_MS, log });
  if (!required) return { kills };
  const trial = async (question: Trial, now: number): Promise<Backtest> => {
    const { containers, tried, settings, standing } = question;
    const verdict = await past.trial(question, now).catch((error): Verdict => {
      // A Prometheus that is away takes nothing back.
      if (standing?.passed) throw error;
      return { passed: false, message: `its history could not be read: ${reason(error)}` };
    });
    return {
      ...{ passed: verdict.passed, at: new Date(now).toISOString(), message: verdict.message, containers, tried },
      ...(verdict.kills && { kills: verdict.kills }),
      ...(Object.keys(settings).length > 0 && { settings }),
    };
  };
  return { kills, trials: createTurns({ ask: trial, goodForMs: HOUR_MS, log }) };
}

/** @param wished whether its values are to be applied, as far as the record and the gates say */
export function pastOf(
  { record, tuning, workloads }: OwnedWorkloads,
  previous: MemoryStatus | undefined,
  wished: boolean,
  { known, rules, defaults, now }: { known: Known; rules: RulesInForce; defaults: Pair<number>; now: number },
): { told: Pick<Report, 'kills' | 'backtest'>; unproven?: string; asks: Asks } {
  const { namespace, name } = record.metadata;
  const asks: Asks = {};
  const told: Pick<Report, 'kills' | 'backtest'> = {};
  const since = moment(previous?.outcome?.since);
  if (!Number.isNaN(since)) {
    const key = `${namespace}/${name} since ${previous?.outcome?.since}`;
    const kills = known.kills?.latest(key);
    if (kills) told.kills = kills;
    if (now - since >= HOUR_MS) asks.kills = [key, { namespace, workloads, since }];
  }
  if (!known.trials || !wished) return { told, asks };
  const replayed = workloads.flatMap(({ ref, name: workload, containers }) =>
    containers
      // A limit that a person has fixed stays, with tuning and without.
      .filter((container) => overrideOf(tuning, workload, container.name).limit === undefined)
      .map(({ name, written }) => ({ workload: ref, name, manifest: inPod(written, defaults) })),
  );
  const judged = { containers: replayed.length, tried: fingerprint(replayed), settings: rules.changed };
  const key = `${namespace}/${name} ${judged.tried}`;
  const verdict = known.trials.latest(key) ?? previous?.backtest;
  if (verdict) told.backtest = verdict;
  if (isDue(verdict, judged, now))
    asks.trial = [key, { namespace, workloads, replayed, ...judged, ...(verdict && { standing: verdict }) }];
  const why = unproven(verdict, judged, now);
  return { told, asks, ...(why !== undefined && { unproven: why }) };
}

/** Short, because it stands in the status. */
function fingerprint(replayed: TrialQuestion['replayed']): string {
  const sorted = replayed.toSorted((a, b) => (`${a.workload}/${a.name}` < `${b.workload}/${b.name}` ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16);
}
