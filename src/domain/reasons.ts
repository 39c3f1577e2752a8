/**
 * Every way in which an admission can end, as one closed set: the same word is the metric's label, the log's field, the
 * beginning of the warning and the README's table (a test compares them).
 */

export const OUTCOMES = {
  injected: { result: 'changed', means: 'values of the record were injected' },
  kept: { result: 'changed', means: 'the pod template did not change, so the values that run were kept' },
  'given-back': {
    result: 'changed',
    means: "tuning no longer covers the container, so the manifest's values came back",
  },
  'as-it-is': {
    result: 'unchanged',
    means: 'the object already says what it should, or the record says nothing about it',
  },
  'not-a-workload': {
    result: 'skipped',
    means: 'neither a Deployment nor a Knative Service, or not a create or update',
  },
  'no-label': { result: 'skipped', means: 'the new object has no `oaas.io/owner` label' },
  'unknown-record': { result: 'skipped', means: 'no record of that name in the namespace' },
  'store-not-ready': { result: 'skipped', means: 'the records have not been listed yet (the tuner has just started)' },
  controlled: { result: 'skipped', means: 'another controller owns the object, such as a Knative Revision' },
  'named-revision': {
    result: 'skipped',
    means: 'the Knative template names its revision, so Knative would refuse any change',
  },
  'being-deleted': { result: 'skipped', means: 'the object has a deletion timestamp' },
  'off-limits': { result: 'skipped', means: 'the tuner itself, or kube-system' },
  'no-containers': { result: 'skipped', means: 'the object carries no pod template with containers' },
  'too-many-containers': { result: 'skipped', means: 'more than 1,000 containers, which no pod can have' },
  'pod-level-memory': {
    result: 'skipped',
    means: 'the pod sets memory for all its containers together (`spec.resources`)',
  },
  'ambiguous-name': { result: 'skipped', means: 'two containers carry the same name' },
  'request-above-limit': {
    result: 'skipped',
    means: 'the resulting request would exceed the limit, and the API server would refuse it',
  },
  'does-not-fit': {
    result: 'skipped',
    means: 'the manifest names one side only, and the applied values would not fit beside it',
  },
  'no-room': { result: 'skipped', means: "the object's annotations are so large that ours does not fit beside them" },
  'unreadable-value': { result: 'skipped', means: 'the manifest holds a memory value that is no quantity' },
  'refused-by-knative': {
    result: 'skipped',
    means: 'Knative would refuse what the template would say about concurrency; the warning says why',
  },
  'other-autoscaler': {
    result: 'skipped',
    means: 'applied concurrency does not count: the Service scales by another metric or autoscaler class',
  },
  'bad-review': { result: 'error', means: 'the request is no AdmissionReview of admission.k8s.io/v1' },
  'too-busy': {
    result: 'error',
    means: 'more reviews were open at once than fit into memory; the API server went on without us',
  },
  'internal-error': { result: 'error', means: 'a defect of the tuner; the object was admitted unchanged' },
} as const;

export type Reason = keyof typeof OUTCOMES;
export type Result = (typeof OUTCOMES)[Reason]['result'];
