/** How far a rollout has come, by what its controller says. */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { isRolloutPaused, progressOf } from '../../src/worker/progress.ts';
import { NOW } from '../recommend/rules.ts';

const COMPLETE = { observedGeneration: 3, replicas: 3, updatedReplicas: 3, availableReplicas: 3 };
const deployment = (status: JsonObject = {}, spec: JsonObject = {}): JsonObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { generation: 3 },
  spec: { replicas: 3, ...spec },
  status: { ...COMPLETE, ...status },
});
const service = (status: JsonObject): JsonObject => ({
  apiVersion: 'serving.knative.dev/v1',
  kind: 'Service',
  metadata: { generation: 3 },
  status: { observedGeneration: 3, latestCreatedRevisionName: 'a-2', latestReadyRevisionName: 'a-2', ...status },
});
const condition = (type: string, status: string, reason = 'Why', at = NOW) => ({
  conditions: [{ type, status, reason, message: 'words', lastTransitionTime: new Date(at).toISOString() }],
});
const rolls = (object: JsonObject) => progressOf(object, NOW).rolling;
const says = (object: JsonObject, since: number | undefined = NOW) => progressOf(object, since).unavailable;

t.test('a Deployment rolls until every pod is new and available', async (t) => {
  t.equal(rolls(deployment()), false);
  t.equal(rolls(deployment({ observedGeneration: 2 })), true);
  t.equal(rolls(deployment({ updatedReplicas: 2 })), true);
  t.equal(rolls(deployment({ replicas: 4 })), true, 'an old pod is still there');
  t.equal(rolls(deployment({ availableReplicas: 2 })), true);
  t.equal(rolls(deployment({ replicas: 0, updatedReplicas: 0, availableReplicas: 0 }, { replicas: 0 })), false);
});

t.test('a Knative Service rolls until its newest Revision is ready', async (t) => {
  t.equal(rolls(service({})), false);
  t.equal(rolls(service({ latestCreatedRevisionName: 'a-3' })), true);
  t.equal(rolls(service({ observedGeneration: 2 })), true);
});

t.test('what broke since our values came is told in the controller’s words', async (t) => {
  t.equal(says(deployment()), undefined);
  t.equal(
    says(deployment(condition('Progressing', 'False', 'ProgressDeadlineExceeded'))),
    'not available (ProgressDeadlineExceeded: words)',
  );
  t.match(says(deployment(condition('Available', 'False'))), /not available/);
  t.equal(says(deployment(condition('Available', 'True'))), undefined);
  t.equal(says(deployment({ ...condition('Available', 'False'), observedGeneration: 2 })), undefined, 'of before');
  t.match(says(service(condition('ConfigurationsReady', 'False'))), /not available/);
  t.equal(says(service(condition('ConfigurationsReady', 'Unknown'))), undefined);
});

t.test('what was broken before is not our doing', async (t) => {
  t.equal(says(deployment(condition('Available', 'False', 'Why', NOW - 1000))), undefined);
  t.match(
    says(deployment(condition('Available', 'False', 'Why', NOW)), NOW + 999),
    /not available/,
    'Kubernetes counts whole seconds',
  );
  t.equal(progressOf(deployment(condition('Available', 'False')), undefined).unavailable, undefined);
});

t.test('Recreate has no pods while it rolls', async (t) => {
  const strategy = { strategy: { type: 'Recreate' } };
  const none = { ...condition('Available', 'False'), availableReplicas: 0 };
  t.equal(says(deployment(none, strategy)), undefined);
  t.match(says(deployment(none)), /not available/);
});

t.test('a Deployment whose rollout a person paused', async (t) => {
  t.equal(isRolloutPaused(deployment({}, { paused: true })), true);
  t.equal(isRolloutPaused(deployment()), false);
});
