/** What is left alone whatever the record says (design, "What an admission does"). One predicate per line, in order. */
import { asObject, at, textAt } from '../domain/json.ts';
import type { Reason } from '../domain/reasons.ts';
import { kindOf, ownerOf } from '../domain/workload.ts';
import type { AdmissionRequest } from './request.ts';

/** How the cluster names its records: newer OaaS calls the kind `ClassRuntime`. */
export type RecordKind = { group: string; kind: string };

/** @returns why the review is none of our business, or `undefined` when it is */
export function outOfScope(request: AdmissionRequest, record: RecordKind): Reason | undefined {
  const { object, operation, subResource, namespace } = request;
  if (!object || subResource !== '') return 'not-a-workload';
  if (operation !== 'CREATE' && operation !== 'UPDATE') return 'not-a-workload';
  return leaveAlone(object, namespace, record);
}

/** The same for an object as it stands in the cluster: the worker looks only at what admission would tune. */
export function leaveAlone(object: unknown, namespace: string, record: RecordKind): Reason | undefined {
  if (!kindOf(object)) return 'not-a-workload';
  if (ownerOf(object) === undefined) return 'no-label';
  if ((at(object, 'metadata', 'deletionTimestamp') ?? undefined) !== undefined) return 'being-deleted';
  if (namespace === 'kube-system' || isTuner(object)) return 'off-limits';
  if (isControlledByAnother(object, record)) return 'controlled';
  return undefined;
}

function isTuner(object: unknown): boolean {
  return at(object, 'metadata', 'labels', 'app.kubernetes.io/name') === 'oaas-tuner';
}

/** OaaS sets `controller: true` on the Deployments that it makes for a record: those are ours to tune. */
function isControlledByAnother(object: unknown, record: RecordKind): boolean {
  const owners = at(object, 'metadata', 'ownerReferences');
  return (Array.isArray(owners) ? owners : []).some((owner) => {
    const group = textAt(owner, 'apiVersion').split('/')[0];
    const isRecord = group === record.group && at(owner, 'kind') === record.kind;
    return asObject(owner)?.controller === true && !isRecord;
  });
}
