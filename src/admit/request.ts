/** The parts of an `AdmissionReview` (admission.k8s.io/v1) that a decision needs, read without trusting any of it. */
import { asObject, type JsonObject } from '../domain/json.ts';

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
  const { kind, apiVersion, request: asked } = asObject(body) ?? {};
  if (kind !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1') {
    return `expected an AdmissionReview of admission.k8s.io/v1, got kind ${word(kind)}, apiVersion ${word(apiVersion)}`;
  }
  const request = asObject(asked) ?? {};
  const { uid } = request;
  if (typeof uid !== 'string' || uid === '') return 'the AdmissionReview has no request.uid';
  return {
    uid,
    operation: textOf(request.operation),
    namespace: textOf(request.namespace),
    username: textOf(asObject(request.userInfo)?.username),
    subResource: textOf(request.subResource),
    object: asObject(request.object),
    oldObject: asObject(request.oldObject),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The value for a message: whatever was sent, it is short. */
function word(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : `(${typeof value})`;
}
