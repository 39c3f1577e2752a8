/** Ten thousand reviews that nobody thought of, sent to the running process. */
import fc from 'fast-check';
import t from 'tap';
import type { AdmissionRequest } from '../../src/admit/request.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { RecordResource, Tuning } from '../../src/domain/record.ts';
import { readTuning } from '../../src/record/wishes.ts';
import { admit, context, create, edited, patched, update } from '../admit/objects.ts';
import { until } from '../cluster/until.ts';
import { acceptsAll } from '../properties/api-server.ts';
import { manifests, oddManifests, records } from '../properties/workloads.ts';
import { record, review } from '../serve/served.ts';
import { playCluster } from './played-cluster.ts';
import { IN_TIME_MS, keepsItsPromise, run, timed } from './running.ts';

const REVIEWS = Number(process.env.CHAOS_REVIEWS ?? 10_000);
const RECORDS = 200;
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

/** A record as the API server holds it, from what admission would read in it. */
function resource(name: string, { enabled, enforce, overrides, applied }: Tuning): JsonObject {
  const containers = Object.entries(applied).map(([key, values]) => {
    const slash = key.lastIndexOf('/');
    return { workload: key.slice(0, slash), name: key.slice(slash + 1), applied: values };
  });
  const memory_tuning = { ...(enabled !== undefined && { enabled }), enforce, overrides };
  return JSON.parse(
    JSON.stringify({
      apiVersion: 'oaas.io/v1alpha1',
      kind: 'DeploymentRecord',
      metadata: { name, namespace: 'shop' },
      spec: { nfr: { memory_tuning } },
      status: { nfr_recommendations: { memory: { containers } } },
    }),
  );
}

t.test(`${REVIEWS} random reviews, seed ${seed}`, { timeout: 590_000 }, async (t) => {
  const known = fc.sample(
    records.filter((one) => one !== undefined),
    { numRuns: RECORDS, seed },
  ) as Tuning[];
  const resources = known.map((one, index) => resource(`record-${index}`, one));
  const cluster = await playCluster(t, [...resources, record()]);
  const env = { KUBECONFIG: cluster.kubeconfig, OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'true' };
  const tuner = await run(t, { env });
  await until('it to be ready', async () => (await tuner.ready()) === 'ok\n');

  const objects = fc.oneof({ weight: 3, arbitrary: manifests }, { weight: 1, arbitrary: oddManifests });
  const pairs = fc.sample(fc.tuple(objects, objects, fc.nat(2), fc.nat(RECORDS - 1)), { numRuns: REVIEWS, seed });
  const owned = (object: JsonObject, index: number) =>
    edited(object, ({ metadata }) => (metadata.labels['oaas.io/owner'] = `record-${index}`));
  const wrong: unknown[] = [];
  let [changed, next] = [0, 0];
  const asker = async () => {
    for (let pair = pairs[next]; pair; pair = pairs[next]) {
      next += 1;
      const [first, second, operation, index] = pair;
      const [object, old] = [owned(first, index), owned(second, index)];
      const request =
        operation === 0 ? create(object) : update(object, operation === 1 ? structuredClone(object) : old);
      const body = review(object, { operation: request.operation, oldObject: request.oldObject ?? null });
      const { reply, ms } = await timed(() => tuner.client.post('/mutate', JSON.stringify(body)));
      const { patch } = reply.body.response;
      const after = patched(object, patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString()));
      if (patch !== undefined) changed += 1;
      const right = JSON.stringify(after) === JSON.stringify(expected(request, resources[index] as JsonObject));
      const refused = acceptsAll(object) && !acceptsAll(after);
      if (reply.status !== 200 || !reply.body.response.allowed || ms > IN_TIME_MS || refused || !right) {
        wrong.push({
          status: reply.status,
          ms,
          refused,
          right,
          object,
          old: request.oldObject,
          after,
          record: known[index],
        });
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, asker));
  t.strictSame(wrong.slice(0, 2), [], `${wrong.length} of ${pairs.length} were wrong`);
  t.ok(changed > REVIEWS / 10, `${changed} objects were changed`);
  const text = await tuner.metrics();
  t.notMatch(text, /reason="(internal-error|bad-review|too-busy)"\} [1-9]/, 'none was an error of ours');
  await keepsItsPromise(t, tuner, 'right');
});

/** What the pure decision makes of it, whose laws `test/properties` knows: the process must add nothing of its own. */
function expected(request: AdmissionRequest, record: JsonObject): JsonObject {
  const tuning = readTuning(record as unknown as RecordResource);
  return admit(request, context(tuning, { ownAccount: undefined })).object;
}
