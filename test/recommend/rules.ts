/** The rules as an administrator gets them: the settings' defaults, or what an environment says, as numbers. */
import { readSettings } from '../../src/settings.ts';
import { type RulesInForce, rulesOf } from '../../src/worker/rules.ts';

/** @param env variables that differ from the defaults, e.g. `{ OPRC_CRM_STEP_PERCENT: '50' }` */
export function rulesFrom(env: Record<string, string> = {}): RulesInForce {
  const read = readSettings(env);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return rulesOf(read.settings);
}

export const RULES = rulesFrom();

export const NOW = Date.parse('2026-01-31T10:00:00Z');
export const MINUTE = 60_000;
