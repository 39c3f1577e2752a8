import type { Api } from './api.ts';

/**
 * Makes a container of a running pod look as if the kernel had killed it for its memory and the kubelet had started it
 * again. KWOK leaves a running pod's status as it finds it.
 */
export async function oomKill(api: Api, namespace: string, pod: string, container: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}`;
  const found = await api.send(path);
  const statuses: { name: string; restartCount: number }[] = found.body?.status?.containerStatuses ?? [];
  const status = statuses.find(({ name }) => name === container);
  if (status === undefined) throw new Error(`the pod ${namespace}/${pod} has no running container ${container}`);
  const at = new Date().toISOString();
  const killed = {
    ...status,
    restartCount: status.restartCount + 1,
    state: { running: { startedAt: at } },
    lastState: { terminated: { reason: 'OOMKilled', exitCode: 137, startedAt: at, finishedAt: at } },
  };
  const body = { status: { containerStatuses: statuses.map((one) => (one === status ? killed : one)) } };
  const answer = await api.send(`${path}/status`, {
    method: 'PATCH',
    body,
    contentType: 'application/merge-patch+json',
  });
  if (answer.status !== 200)
    throw new Error(`the OOM kill of ${pod} was answered ${answer.status}: ${answer.body?.message}`);
}
