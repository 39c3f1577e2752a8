/** The settings as the rules take them: percent become fractions, and the enough-data guard is derived. */
import { lookEvery } from '../collect/load-queries.ts';
import type { PairRules } from '../recommend/pairing.ts';
import { changedSettings, type Settings } from '../settings.ts';

/** Every setting that a number can depend on. */
const RULES = [
  'memoryRules',
  'shortWindowSeconds',
  'longWindowSeconds',
  'scrapeIntervalSeconds',
  'cooldownSeconds',
  'hysteresisPercent',
  'hysteresisBytes',
  'stepPercent',
  'requestP95Factor',
  'requestAvgFactor',
  'requestMin',
  'requestMax',
  'limitMaxFactor',
  'limitRequestFactor',
  'limitMin',
  'limitMax',
  'roundTo',
  'oomFactor',
  'oomBytes',
] as const satisfies (keyof Settings)[];

/** The rules, and which of their settings differ from the defaults: with both a decision can be made again. */
export type RulesInForce = PairRules & { changed: Readonly<Record<string, string>> };

export function rulesOf(settings: Settings): RulesInForce {
  // Nothing else than these: a rule that reads another setting does not compile.
  const chosen = Object.fromEntries(RULES.map((key) => [key, settings[key]])) as Pick<Settings, (typeof RULES)[number]>;
  const enoughSeconds = enough(settings);
  const { shortWindowSeconds: short, longWindowSeconds: long } = settings;
  const looks = (seconds: number, window: number) => Math.max(1, Math.floor(seconds / lookEvery(window, short)));
  return {
    ...chosen,
    enoughSeconds,
    hysteresisRatio: settings.hysteresisPercent / 100,
    stepRatio: settings.stepPercent / 100,
    minSamples: Math.max(1, Math.floor(enoughSeconds / settings.scrapeIntervalSeconds)),
    // Half of the short window, so that a start from zero with its queue is no load; of the long one as much as memory needs.
    enoughLooks: { short: looks(short / 2, short), long: looks(enoughSeconds, long) },
    changed: changedSettings(settings, RULES),
  };
}

/** The adaptive rules leave so little above what is used that they need to have seen a container's start, which takes longer. */
function enough({ memoryRules, shortWindowSeconds, longWindowSeconds }: Settings): number {
  return memoryRules === 'adaptive' ? Math.min(3600, longWindowSeconds) : shortWindowSeconds;
}

/** `enabled` for records that do not say (seed: true in edge and full, false in dev). */
export function enabledByDefault({ profile }: Settings): boolean {
  return profile !== 'dev';
}
