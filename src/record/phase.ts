/** In which state a record's tuning is, with one sentence that a person can act on. */

import type { ContainerStatus, MemoryStatus, RolloutStatus } from '../domain/record.ts';
import { isHold, type Wait } from '../domain/waits.ts';
import { OWNER_LABEL } from '../domain/workload.ts';
import type { Report } from './report.ts';

/** Numbers that drift from cycle to cycle stay out of the message: it would be written anew each time. */
export function phaseOf(
  report: Report,
  record: string,
  containers: ContainerStatus[],
  rollouts: readonly RolloutStatus[] = [],
): Pick<MemoryStatus, 'phase' | 'message'> {
  const errors = report.problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (!report.enabled) {
    const overrides = report.overridden ? ' Overrides still apply.' : '';
    return {
      phase: 'Disabled',
      message: `Memory tuning is off; spec.nfr.memory_tuning.enabled: true switches it on.${overrides}`,
    };
  }
  if (first) {
    const also = report.trouble === undefined ? '' : ` ${report.trouble}.`;
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
    return {
      phase: 'Degraded',
      message: `${first.field} ${first.message}; it is ignored until it is corrected${more}.${also}`,
    };
  }
  if (report.trouble !== undefined) {
    return { phase: 'Degraded', message: `${report.trouble}; the last recommendations stand.` };
  }
  if (report.vpa === 'absent') {
    return {
      phase: 'Degraded',
      message:
        'Nothing is applied: the strategy is vpa, and this cluster does not serve autoscaling.k8s.io/v1. Install the VerticalPodAutoscaler, or set OPRC_CRM_ENFORCEMENT_STRATEGY to something else.',
    };
  }
  if (report.workloads === 0) {
    return {
      phase: 'NoData',
      message: `No Deployment or Knative Service here carries the label ${OWNER_LABEL}: ${record}.`,
    };
  }
  const [troubled, ...others] = containers.filter((container) => container.trouble !== undefined);
  if (troubled) {
    const more = others.length > 0 ? ` (and ${others.length} more containers)` : '';
    return {
      phase: 'Degraded',
      message: `${troubled.workload} container ${troubled.name}: ${troubled.trouble}${more}.`,
    };
  }
  const measured = containers.filter(({ observed }) => observed);
  if (measured.length === 0) {
    return { phase: 'NoData', message: 'Prometheus has no recent memory samples of these containers.' };
  }
  const missing = containers.length - measured.length;
  const gap = missing > 0 ? ` ${missing} of ${containers.length} containers have no samples yet.` : '';
  const recommended = containers.filter((container) => container.recommended);
  if (report.vpa === 'served') {
    const said = containers.filter(({ applied }) => applied).length;
    const message =
      said > 0
        ? `VPA applies the values of ${said} of ${containers.length} containers.`
        : 'What runs is what was applied, or fits what is used.';
    return { phase: 'Enforcing', message: `${message}${gap}` };
  }
  const failed = rollouts.find(({ state }) => state === 'Failed');
  if (report.enforced && failed) return { phase: 'Degraded', message: `${failed.message}${gap}` };
  const held = heldBack(rollouts);
  if (report.enforced) return { phase: 'Enforcing', message: `${underWay(rollouts, report.workloads)}${held}${gap}` };
  if (recommended.length > 0) {
    const count = `${recommended.length} of ${containers.length} containers`;
    return {
      phase: 'Recommending',
      message: `There are recommendations for ${count}${held ? '.' : '; spec.nfr.memory_tuning.enforce: true lets them be applied.'}${held}${gap}`,
    };
  }
  const doubtful = measured.filter(({ doubt }) => doubt !== undefined).length;
  if (doubtful > 0) {
    const count = `${doubtful} of ${containers.length} containers`;
    return {
      phase: 'Observing',
      message: `The data of ${count} can be doubted, so nothing is lowered; see rationale.${gap}`,
    };
  }
  return { phase: 'Observing', message: `The current values fit what is used.${held}${gap}` };
}

/** How far the applied values have come, in one sentence. */
function underWay(rollouts: readonly RolloutStatus[], workloads: number): string {
  const rolling = rollouts.filter(({ state }) => state === 'Requested' || state === 'Rolling').length;
  const waiting = count(rollouts.filter(({ state, reason }) => state === 'Waiting' && !isHold(reason)));
  const of = `of ${workloads} workloads`;
  const parts = [
    rolling > 0 && `roll out in ${rolling} ${of}`,
    waiting && `wait in ${waiting.total} ${of} (${waiting.words})`,
  ];
  const said = parts.filter(Boolean).join(' and ');
  return said === '' ? 'What runs is what was applied, or fits what is used.' : `Applied values ${said}.`;
}

/** What is only observed, and why; empty where nothing is held back. */
function heldBack(rollouts: readonly RolloutStatus[]): string {
  const held = count(rollouts.filter(({ state, reason }) => state === 'Waiting' && isHold(reason)));
  return held ? ` Nothing is applied to ${held.total} workloads (${held.words}); see rollouts.` : '';
}

function count(waiting: readonly RolloutStatus[]): { total: number; words: string } | undefined {
  if (waiting.length === 0) return undefined;
  const byReason = Map.groupBy(waiting, ({ reason }): Wait | undefined => reason);
  const words = [...byReason].map(([reason, { length }]) => (byReason.size > 1 ? `${reason} ${length}` : `${reason}`));
  return { total: waiting.length, words: words.join(', ') };
}
