/**
 * AdmissionReview in, AdmissionReview out. Never throws and never says no: whatever goes wrong, the object is admitted
 * unchanged and the answer says why (design, "The admission path does no I/O").
 */
import type { Reason } from '../domain/reasons.ts';
import { type Context, type Decision, decide } from './decide.ts';
import { type Operation, patchOf } from './patch.ts';
import type { AdmissionRequest } from './request.ts';
import { warningsOf } from './warnings.ts';

/** `admission.k8s.io/v1`; `patch` (base64 JSON Patch) and `patchType` come together or not at all. */
export type AdmissionReview = {
  apiVersion: 'admission.k8s.io/v1';
  kind: 'AdmissionReview';
  response: AdmissionResponse;
};
export type AdmissionResponse = {
  uid: string;
  allowed: boolean;
  patchType?: 'JSONPatch';
  patch?: string;
  warnings?: string[];
  status?: { code: number; reason: string; message: string; details?: object };
};

/** The answer, and what the log and the metrics say about it. */
export type Answer = {
  review: AdmissionReview;
  reason: Reason;
  decision?: Decision;
  operations: Operation[];
  error?: unknown;
};

/** @param context what the store knows; the record, if any, is that of the object's owner label */
export function answer(request: AdmissionRequest, context: Context): Answer {
  try {
    const decided = decide(request, context);
    const wanted = request.object && patchOf(request.object, decided);
    // Values without the annotation that remembers what they replaced could never be given back.
    const { leftAlone, book } = decided;
    const decision: Decision = wanted === 'no-room' ? { reason: wanted, containers: [], leftAlone, book } : decided;
    const operations = wanted === 'no-room' ? [] : (wanted ?? []);
    const warnings = warningsOf(request, decision, context.tuning);
    return { review: reviewOf(request.uid, operations, warnings), reason: decision.reason, decision, operations };
  } catch (error) {
    const warnings = ['oaas-tuner: an internal error; the object was admitted unchanged'];
    return { review: reviewOf(request.uid, [], warnings), reason: 'internal-error', operations: [], error };
  }
}

function reviewOf(uid: string, operations: Operation[], warnings: string[]): AdmissionReview {
  const response: AdmissionResponse = { uid, allowed: true };
  if (operations.length > 0) {
    response.patchType = 'JSONPatch';
    response.patch = Buffer.from(JSON.stringify(operations)).toString('base64');
  }
  if (warnings.length > 0) response.warnings = warnings;
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}
