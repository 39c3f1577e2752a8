/** The parts of an `AdmissionReview` (admission.k8s.io/v1) that a decision needs, read without trusting any of it. */
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';

export type AdmissionRequest = {
  uid: string;
  operation: string;
  namespace: string;
  username: string;
  /** `status`, `scale`, …; empty for the object itself */
  subResource: string;
  object: JsonObject | undefined;
  oldObject: JsonObject | undefined;
};

/** @returns the request, or one sentence that says what is wrong with the body */
export function readReview(body: unknown): AdmissionRequest | string {
  const [kind, version] = [at(body, 'kind'), at(body, 'apiVersion')];
  if (kind !== 'AdmissionReview' || version !== 'admission.k8s.io/v1') {
    return `expected an AdmissionReview of admission.k8s.io/v1, got kind ${word(kind)}, apiVersion ${word(version)}`;
  }
  const request = at(body, 'request');
  const uid = at(request, 'uid');
  if (typeof uid !== 'string' || uid === '') return 'the AdmissionReview has no request.uid';
  return {
    uid,
    operation: textAt(request, 'operation'),
    namespace: textAt(request, 'namespace'),
    username: textAt(request, 'userInfo', 'username'),
    subResource: textAt(request, 'subResource'),
    object: asObject(at(request, 'object')),
    oldObject: asObject(at(request, 'oldObject')),
  };
}

/** The value for a message: whatever was sent, it is short. */
function word(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : `(${typeof value})`;
}
