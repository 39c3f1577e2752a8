/** A record of one container, look by look, as the worker would write it: what `explain` has to make sense of. */
import type { MemoryStatus, RecordResource } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { bytesOf, type Pair } from '../../src/domain/workload.ts';
import { type Look, lookAtContainer } from '../../src/recommend/container.ts';
import type { Range } from '../../src/recommend/step.ts';
import { findContainer, previousStatus, readApplied, readStanding } from '../../src/record/read-back.ts';
import { memoryStatus, newsOf } from '../../src/record/status.ts';
import type { RulesInForce } from '../../src/worker/rules.ts';
import { MINUTE, NOW, RULES } from '../recommend/rules.ts';
import { recordOf } from './records.ts';

/** What is found at one look; sizes in bytes. */
export type Moment = {
  usage?: Usage;
  /** since the look before */
  minutes: number;
  enforced: boolean;
  /** what was applied has reached the template by now */
  rolledOut: boolean;
  override: Pair<string>;
  range: Range;
  rules: RulesInForce;
  /** why the workload is not available any more, if so */
  unavailable?: string;
};

export const moment = (more: Partial<Moment> = {}): Moment => ({
  ...{ minutes: 31, enforced: true, rolledOut: true, override: {}, range: {}, rules: RULES },
  ...more,
});

/** @param manifest bytes @returns the record after the last look, as the API server hands it back */
export function live(manifest: Pair<number>, moments: Moment[]): RecordResource {
  let status: MemoryStatus | undefined;
  let now = NOW;
  let current = manifest;
  let ranSince: number | undefined;
  for (const { usage, minutes, enforced, rolledOut, override, range, rules, unavailable } of moments) {
    now += minutes * MINUTE;
    const before = findContainer(status, 'Deployment/orders', 'function');
    const [standing, applied] = [readStanding(before?.recommended), readApplied(before?.applied)];
    if (rolledOut && applied) {
      current = { request: applied.request, limit: applied.limit };
      if (ranSince === undefined || ranSince < applied.at) ranSince = now - MINUTE / 2;
    }
    const fixed = bytesOf(override);
    const look: Look = { usage, current, enforced, fixed, written: manifest, range };
    look.aftermath = { ...(ranSince !== undefined && { since: ranSince }), ...(unavailable && { unavailable }) };
    if (standing) look.standing = standing;
    if (applied) look.applied = applied;
    const finding = lookAtContainer(look, rules, now);
    const container = { workload: 'Deployment/orders', name: 'function', current, manifest, override, look, finding };
    const found = { enabled: true, enforced, overridden: false, workloads: 1, problems: [], containers: [container] };
    const report = { ...found, window: '6h', settings: rules.changed };
    const next = memoryStatus(report, 'orders', status, newsOf(report, status, now), now);
    status = previousStatus({ nfr_recommendations: { memory: JSON.parse(JSON.stringify(next)) } });
  }
  const { enforced = false, override = {} } = moments.at(-1) ?? {};
  const wishes = { enforce: enforced, overrides: { function: override } };
  return recordOf({ memory_tuning: wishes }, JSON.parse(JSON.stringify(status)));
}

/** Our part of the record's status, to look at or to tamper with. */
export function memoryOfRecord(record: RecordResource): MemoryStatus {
  const status = record.status as unknown as { nfr_recommendations: { memory: MemoryStatus } };
  return status.nfr_recommendations.memory;
}
