/** The settings as the rules take them: percent become fractions, and the enough-data guard is derived. */
import type { Rules } from '../recommend/container.ts';
import type { Settings } from '../settings.ts';

export function rulesOf(settings: Settings): Rules {
  return {
    ...settings,
    hysteresisRatio: settings.hysteresisPercent / 100,
    stepRatio: settings.stepPercent / 100,
    minSamples: Math.max(1, Math.floor(settings.shortWindowSeconds / settings.scrapeIntervalSeconds)),
  };
}

/** `enabled` for records that do not say (seed: true in edge and full, false in dev). */
export function enabledByDefault({ profile }: Settings): boolean {
  return profile !== 'dev';
}
