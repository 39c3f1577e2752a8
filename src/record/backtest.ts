/** What the verdict of a replay lets happen (`OPRC_CRM_ENFORCEMENT_BACKTEST=required`), and when it is asked for again. */
import type { Backtest } from '../domain/record.ts';
import { moment } from './read-back.ts';

/** What a verdict has to be about. */
export type Judged = {
  /** containers whose limit tuning would set */
  containers: number;
  /** a fingerprint of them and of what their manifests say */
  tried: string;
  /** the rules' settings that differ from their defaults, by variable */
  settings: Readonly<Record<string, string>>;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A replay is made again each day; one that there was too little data for, each hour. */
const AGAIN_MS = { judged: DAY_MS, unknown: HOUR_MS };

/** Where the history cannot be read any more the last verdict counts for this long. */
const LONGEST_MS = 7 * DAY_MS;

/** @returns why nothing may be applied, as the end of a sentence; `undefined` when it may */
export function unproven(verdict: Backtest | undefined, judged: Judged, now: number): string | undefined {
  if (judged.containers === 0) return undefined;
  if (!verdict) return 'it has not been made yet';
  if (!isAbout(verdict, judged)) return `the last one, of ${verdict.at}, was of other containers, values or settings`;
  if (!(ageOf(verdict, now) < LONGEST_MS)) return `the last one, of ${verdict.at}, is too old`;
  return verdict.passed ? undefined : verdict.message;
}

export function isDue(verdict: Backtest | undefined, judged: Judged, now: number): boolean {
  if (judged.containers === 0) return false;
  if (!verdict || !isAbout(verdict, judged)) return true;
  return !(ageOf(verdict, now) < (verdict.kills ? AGAIN_MS.judged : AGAIN_MS.unknown));
}

function isAbout(verdict: Backtest, { containers, tried, settings }: Judged): boolean {
  const text = (values: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(values).sort());
  // One from before fingerprints were kept is made again within a day.
  const same = verdict.tried === undefined ? verdict.containers === containers : verdict.tried === tried;
  return same && text(verdict.settings ?? {}) === text(settings);
}

/** In milliseconds. One from the future (a clock, a hand) is no verdict. */
function ageOf({ at }: Backtest, now: number): number {
  const age = now - moment(at);
  return age >= 0 ? age : Number.NaN;
}
