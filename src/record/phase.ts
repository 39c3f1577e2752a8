/** In which state a record's tuning is, with one sentence that a person can act on. */

import type { ContainerStatus, MemoryStatus } from '../domain/record.ts';
import { OWNER_LABEL, sameMemory } from '../domain/workload.ts';
import type { Report } from './report.ts';

/** Numbers that drift from cycle to cycle stay out of the message: it would be written anew each time. */
export function phaseOf(
  report: Report,
  record: string,
  containers: ContainerStatus[],
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
  if (report.enforced) {
    const waiting = containers.filter(({ applied, current }) => applied && !sameMemory(applied, current)).length;
    const message =
      waiting > 0
        ? `Applied values wait for the next change of the pod template in ${waiting} of ${containers.length} containers.`
        : 'What runs is what was applied, or fits what is used.';
    return { phase: 'Enforcing', message: `${message}${gap}` };
  }
  if (recommended.length > 0) {
    const count = `${recommended.length} of ${containers.length} containers`;
    return {
      phase: 'Recommending',
      message: `There are recommendations for ${count}; spec.nfr.memory_tuning.enforce: true lets them be applied.${gap}`,
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
  return { phase: 'Observing', message: `The current values fit what is used.${gap}` };
}
