/**
 * Every reason why applied values do not reach a workload, or not yet, as one closed set: the same word stands in the
 * record's status, in the metric's label and in the README's table (a test compares them).
 */
export const WAITS = {
  paused:
    'the workload, its record, its namespace or that of the tuner carries the annotation `tuning.oaas.io/paused: "true"`',
  'hpa-on-memory': 'a HorizontalPodAutoscaler scales it on memory utilization, which is relative to the request',
  'other-vpa': 'a VerticalPodAutoscaler of somebody else sets its memory',
  backtest:
    'a replay of its history has not shown that tuning kills no more than the manifest (`OPRC_CRM_ENFORCEMENT_BACKTEST`)',
  'next-template-change':
    'with this strategy nothing is asked for; values come with the next change of the pod template',
  'not-injectable': 'admission would leave its values alone; the message says why',
  'rollout-paused': "the Deployment's own rollout is paused (`spec.paused`)",
  'rollout-under-way': 'a rollout of it is still going on',
  'doubtful-data': 'the data can be doubted, and the values would go down',
  cooldown: 'its last rollout is too recent',
  quota: "the namespace's ResourceQuota has no room for the rollout",
  'namespace-limit': 'enough other workloads of the namespace are rolling out',
  'cluster-limit': 'enough other workloads of the cluster are rolling out',
} as const;

export type Wait = keyof typeof WAITS;
/** Those for which a workload is observed only: nothing is applied, and what was goes with the next template change. */
export const HOLDS = ['paused', 'hpa-on-memory', 'other-vpa', 'backtest'] as const satisfies Wait[];
export type Hold = (typeof HOLDS)[number];

/** Whether applied values do not count at all, rather than wait. */
export function isHold(reason: Wait | undefined): reason is Hold {
  return HOLDS.some((hold) => hold === reason);
}
