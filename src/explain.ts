/**
 * `npm run explain -- <namespace>/<record>`, or `--file <record.yaml>` (`-`: standard input), which may hold the workloads
 * beside the record. Says where each number of the record comes from and whether it matches; 1 when one does not, 2 when
 * there is nothing to explain. Only reads.
 */
import { readFileSync } from 'node:fs';
import { decide } from './admit/decide.ts';
import type { RecordKind } from './admit/scope.ts';
import { at, type JsonObject, textAt } from './domain/json.ts';
import { OWN_BOUNDS } from './domain/knative-rules.ts';
import type { Gates } from './domain/ladder.ts';
import { OUTCOMES } from './domain/reasons.ts';
import type { RecordResource, Tuning } from './domain/record.ts';
import { dns1035, kindOf, memoryOf, OWNER_LABEL, ownerOf, tunedContainers, workloadRef } from './domain/workload.ts';
import { connect } from './kube/connect.ts';
import { listObjects, readManifests, readObject } from './kube/one-record.ts';
import { RECORD_GROUP, recordType } from './kube/records.ts';
import { reason } from './log.ts';
import { drawExplanation, explain, type Running } from './record/explain.ts';
import { readTuning } from './record/wishes.ts';
import { readSettings, type Settings } from './settings.ts';
import { rulesOf } from './worker/rules.ts';

const USAGE = 'usage: explain <namespace>/<record>, or explain --file <record.yaml or - for standard input>';

type Found = { record: RecordResource; workloads: JsonObject[] | undefined };

function settingsFrom(env: Record<string, string | undefined>): Settings {
  const read = readSettings(env);
  if ('problems' in read) throw new Error(read.problems.join('; '));
  return read.settings;
}

function fromFile(file: string, kind: string): Found {
  const objects = readManifests(readFileSync(file === '-' ? 0 : file, 'utf8'));
  const record = objects.find((one) => one.kind === kind) as unknown as RecordResource | undefined;
  if (!record) throw new Error(`${file} holds no ${kind}`);
  // Without a cluster a namespace need not be said.
  record.metadata = { ...record.metadata, namespace: record.metadata?.namespace ?? 'default' };
  const workloads = objects.filter((one) => kindOf(one));
  return { record, workloads: workloads.length > 0 ? workloads : undefined };
}

async function fromCluster(namespace: string, name: string, plural: string): Promise<Found> {
  const config = connect();
  const record = (await readObject(config, recordType(plural), namespace, name)) as unknown as RecordResource;
  const selector = `${OWNER_LABEL} in (${[...new Set([name, dns1035(name)])].join(',')})`;
  const types = [
    { group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment' },
    { group: 'serving.knative.dev', version: 'v1', plural: 'services', kind: 'Service' },
  ];
  const lists = await Promise.all(types.map((type) => listObjects(config, type, namespace, selector)));
  return { record, workloads: lists.flat() };
}

/** What each container of the record's workloads runs, and what the real admission would make of it. */
function runningOf(workloads: JsonObject[], tuning: Tuning, gates: Gates, record: RecordKind): Running[] {
  return workloads.flatMap((object) => {
    const kind = kindOf(object);
    const owner = ownerOf(object);
    if (!kind || (owner !== tuning.name && owner !== dns1035(tuning.name))) return [];
    const request = { uid: '', username: '', subResource: '', operation: 'CREATE', oldObject: undefined };
    const decision = decide(
      { ...request, namespace: tuning.namespace, object },
      { tuning, storeReady: true, gates, namespacePaused: false, record, ownAccount: undefined, knative: OWN_BOUNDS },
    );
    const workload = workloadRef(kind, textAt(object, 'metadata', 'name'));
    if (decision.containers.length === 0) {
      return tunedContainers(object).map(({ name, json }) => {
        const memory = memoryOf(json);
        return { workload, container: name, memory, wanted: memory, because: `left alone: ${decision.reason}` };
      });
    }
    return decision.containers.map(({ container, after, rungs, reason }) => {
      const rung = rungs.length === 0 ? 'manifest' : rungs.join(' and ');
      const because = OUTCOMES[reason].result === 'skipped' ? `${rung}, left alone: ${reason}` : rung;
      return { workload, container: container.name, memory: memoryOf(container.json), wanted: after, because };
    });
  });
}

async function run(args: string[]): Promise<number> {
  const settings = settingsFrom(process.env);
  const [first = '', second = ''] = args;
  const [, namespace = '', name = ''] = /^([^/\s-][^/\s]*)\/([^/\s]+)$/.exec(first) ?? [];
  const fromAFile = first === '--file' && second !== '' && args.length === 2;
  if (!fromAFile && (name === '' || args.length !== 1)) {
    console.error(USAGE);
    return 2;
  }
  const { record, workloads } = fromAFile
    ? fromFile(second, settings.recordKind)
    : await fromCluster(namespace, name, settings.recordPlural);
  // Applied values stand in the status only while the gate is open and nothing is paused; of the profile it tells by its phase.
  const byVpa = settings.strategy === 'vpa';
  const enabledByDefault = at(record.status, 'nfr_recommendations', 'memory', 'phase') !== 'Disabled';
  const gates = { enforcement: !byVpa, enabledByDefault };
  const kind = { group: RECORD_GROUP, kind: settings.recordKind };
  const running = workloads && runningOf(workloads, readTuning(record), gates, kind);
  const explanation = explain(record, running, (changed) => rulesOf(settingsFrom(changed)), byVpa);
  console.log(drawExplanation(explanation));
  return explanation.wrong > 0 ? 1 : 0;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  console.error(reason(error));
  process.exitCode = 2;
}
