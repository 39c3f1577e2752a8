/**
 * The answer of `POST /validate`: a record whose wishes cannot be meant is refused with the field, the value and what is
 * allowed; what was probably not meant is a warning. For clusters where OaaS owns the CRD and ours has no CEL rules.
 */
import { asObject } from '../domain/json.ts';
import type { RecordResource } from '../domain/record.ts';
import { checkRecord } from '../record/wishes.ts';
import type { AdmissionRequest } from './request.ts';
import type { AdmissionReview } from './review.ts';
import { deliverable } from './warnings.ts';

export function validate({ uid, object, oldObject, operation }: AdmissionRequest): AdmissionReview {
  const problems = operation === 'CREATE' || operation === 'UPDATE' ? check(object) : [];
  // What was already there does not block an unrelated edit, as with the CRD's own rules (KEP-4008, ratcheting).
  const before = new Set(check(oldObject).map(({ field, message }) => `${field} ${message}`));
  const errors = problems.filter(
    ({ severity, field, message }) => severity === 'error' && !before.has(`${field} ${message}`),
  );
  const warnings = problems
    .filter(({ severity }) => severity === 'warning')
    .map(({ field, message }) => `${field} ${message}`);
  const response: AdmissionReview['response'] = { uid, allowed: errors.length === 0 };
  if (warnings.length > 0) response.warnings = deliverable(warnings);
  if (errors.length > 0) {
    // As the API server words it for a CRD's own rules; kubectl shows the causes, one a line.
    const causes = errors.map(({ field, message }) => ({
      reason: 'FieldValueInvalid',
      field,
      message: `Invalid value: ${message}`,
    }));
    response.status = {
      code: 422,
      reason: 'Invalid',
      message: causes.map(({ field, message }) => `${field}: ${message}`).join('; '),
      details: { causes },
    };
  }
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

function check(object: unknown) {
  const record = asObject(object);
  return record ? checkRecord(record as unknown as RecordResource) : [];
}
