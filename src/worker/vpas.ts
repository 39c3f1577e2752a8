/** The VerticalPodAutoscalers by which a record's applied values reach its pods (strategy `vpa`), and their end. */
import { asObject, at, type JsonObject, textAt } from '../domain/json.ts';
import { overrideOf } from '../domain/ladder.ts';
import type { MemoryStatus } from '../domain/record.ts';
import type { Pair } from '../domain/workload.ts';
import { ApiError } from '../kube/api.ts';
import { reason } from '../log.ts';
import type { Finding } from '../recommend/container.ts';
import type { Decided } from '../recommend/guards.ts';
import { findContainer, readDecision } from '../record/read-back.ts';
import { OURS, saidOf, saysTheSame, type VpaContainer, vpaName, vpaOf } from '../record/vpa.ts';
import type { Cluster } from './cluster.ts';
import { LeaseLostError } from './guarded.ts';
import { inPod, type LiveContainer, type OwnedWorkloads } from './workloads.ts';

/** Those that we made, by the record that owns them: `namespace/name`. */
export function oursByRecord(vpas: JsonObject[]): Map<string, JsonObject[]> {
  const ours = vpas.filter((vpa) =>
    Object.entries(OURS).every(([key, value]) => at(vpa, 'metadata', 'labels', key) === value),
  );
  const owner = (vpa: JsonObject) => textAt(vpa, 'metadata', 'ownerReferences', 0, 'name');
  return Map.groupBy(ours, (vpa) => `${textAt(vpa, 'metadata', 'namespace')}/${owner(vpa)}`);
}

/**
 * What a record's status has applied, as VerticalPodAutoscalers: one for each workload that there is something to say of.
 *
 * @param defaults what the namespace gives to a container that names no memory, in bytes
 * @param standing the record's VerticalPodAutoscalers as they are
 */
export function wantedVpas(
  { record, tuning, workloads }: OwnedWorkloads,
  status: MemoryStatus,
  defaults: Pair<number>,
  standing: JsonObject[],
  now: number,
): JsonObject[] {
  return workloads.flatMap((workload) => {
    const { newest, name, ref } = workload;
    if (newest === undefined) return [];
    const containers = workload.containers.flatMap((live) => {
      if (live.nativeSidecar) return [];
      const stands = findContainer(status, ref, live.name);
      const decided = { applied: readDecision(stands?.applied), recommended: readDecision(stands?.recommended) };
      return [vpaContainer(live, overrideOf(tuning, name, live.name), decided, defaults)];
    });
    const vpa = vpaOf(record, newest, containers, named(standing, vpaName(newest)), now);
    return vpa ? [vpa] : [];
  });
}

/** A container as VPA is told of it. @param decided what was decided about it, if anything; bytes */
export function vpaContainer(
  { name, current, written }: LiveContainer,
  override: Pair<string>,
  { applied, recommended }: { applied?: Decided | undefined; recommended?: Decided | undefined },
  defaults: Pair<number>,
): VpaContainer {
  const templates = [current, written].map((template) => inPod(template, defaults));
  return { name, templates, override, ...(applied && { applied }), ...(recommended && { recommended }) };
}

/**
 * Writes what differs and removes what is not wanted any more, each only as long as it is as it was listed.
 *
 * @throws {ApiError} with code 409 when somebody was faster
 */
export async function agree(cluster: Cluster, wanted: JsonObject[], standing: JsonObject[]): Promise<void> {
  for (const vpa of wanted) {
    const stands = named(standing, textAt(vpa, 'metadata', 'name'));
    if (!stands) await cluster.writeVpa(vpa);
    else if (!saysTheSame(vpa, stands)) await cluster.writeVpa(ofVersion(vpa, stands));
  }
  for (const vpa of standing) {
    if (!named(wanted, textAt(vpa, 'metadata', 'name'))) await cluster.removeVpa(vpa);
  }
}

/** What the record's VerticalPodAutoscalers shall be. @returns why they are not, as a sentence for who can mend it */
export async function sayToVpa(
  wanted: JsonObject[],
  standing: JsonObject[],
  cluster: Cluster,
): Promise<string | undefined> {
  try {
    await agree(cluster, wanted, standing);
    return undefined;
  } catch (error) {
    // Somebody was faster: nothing that a person has to know of.
    if (error instanceof LeaseLostError || (error instanceof ApiError && error.code === 409)) throw error;
    return `Applied values do not reach VPA: ${reason(error)}.`;
  }
}

/** How the applied values reach the pods: what VPA makes of them belongs to the reasons for a number. */
export function heardByVpa(
  container: LiveContainer,
  override: Pair<string>,
  finding: Finding,
  defaults: Pair<number>,
): string {
  if (container.nativeSidecar) return '; VPA does not reach native sidecars';
  const said = finding.applied && saidOf(vpaContainer(container, override, finding, defaults));
  return said ? `; ${said.reason}` : '';
}

function ofVersion(vpa: JsonObject, stands: JsonObject): JsonObject {
  const resourceVersion = at(stands, 'metadata', 'resourceVersion');
  return { ...vpa, metadata: { ...asObject(vpa.metadata), ...(resourceVersion !== undefined && { resourceVersion }) } };
}

function named(vpas: JsonObject[], name: string): JsonObject | undefined {
  return vpas.find((vpa) => textAt(vpa, 'metadata', 'name') === name);
}
