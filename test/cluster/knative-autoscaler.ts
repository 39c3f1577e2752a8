import { setTimeout as delay } from 'node:timers/promises';
import type { Api } from './api.ts';

const AUTOSCALERS = '/apis/autoscaling.internal.knative.dev/v1alpha1';

/**
 * Says of each Revision what Knative's autoscaler says once its pods are available, so that it becomes ready: the real one
 * scrapes the pods, and KWOK's answer nobody. Nothing is ever scaled.
 *
 * @returns what ends it
 */
export function playAutoscaler(api: Api): () => Promise<void> {
  const over = new AbortController();
  const end = loop();

  async function loop(): Promise<void> {
    while (!over.signal.aborted) {
      // An API server that a test has stopped is asked again.
      await look().catch(() => {});
      await delay(200, undefined, { signal: over.signal }).catch(() => {});
    }
  }

  async function look(): Promise<void> {
    const { body } = await api.send(`${AUTOSCALERS}/podautoscalers`);
    for (const { metadata, spec, status } of body.items ?? []) {
      if (status?.observedGeneration === metadata.generation) continue;
      const { namespace, name, generation } = metadata;
      const target = await api.send(`/apis/apps/v1/namespaces/${namespace}/deployments/${spec.scaleTargetRef.name}`);
      const pods = target.body?.status?.availableReplicas ?? 0;
      if (pods === 0) continue;
      const conditions = ['Active', 'Ready', 'ScaleTargetInitialized', 'SKSReady'].map((type) => ({
        ...{ type, status: 'True', lastTransitionTime: new Date().toISOString() },
      }));
      const said = {
        observedGeneration: generation,
        serviceName: name,
        desiredScale: pods,
        actualScale: pods,
        conditions,
      };
      await api.send(`${AUTOSCALERS}/namespaces/${namespace}/podautoscalers/${name}/status`, {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { status: said },
      });
    }
  }

  return async () => {
    over.abort();
    await end;
  };
}
