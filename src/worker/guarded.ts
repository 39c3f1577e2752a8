/** The cluster as one may write it who holds the lease: asked right before each write, because a cycle can be long. */
import type { Cluster } from './cluster.ts';

/** Nothing of a cycle may be written any more. */
export class LeaseLostError extends Error {
  constructor() {
    super('not written: another replica may hold the lease by now');
    this.name = 'LeaseLostError';
  }
}

export type Guarded = {
  cluster: Cluster;
  /** Resolves when no write is on its way: only then may the lease be given away. */
  idle(): Promise<void>;
};

export function onlyWhile(leads: () => boolean, cluster: Cluster): Guarded {
  const underWay = new Set<Promise<void>>();
  const guarded = async (write: () => Promise<void>) => {
    if (!leads()) throw new LeaseLostError();
    const written = write();
    underWay.add(written);
    await written.finally(() => underWay.delete(written));
  };
  return {
    cluster: {
      ...cluster,
      writeStatus: (...status) => guarded(() => cluster.writeStatus(...status)),
      writeVpa: (vpa) => guarded(() => cluster.writeVpa(vpa)),
      removeVpa: (vpa) => guarded(() => cluster.removeVpa(vpa)),
      requestRollout: (workload, id) => guarded(() => cluster.requestRollout(workload, id)),
      emit: (record, event) => guarded(() => cluster.emit(record, event)),
    },
    async idle() {
      await Promise.allSettled(underWay);
    },
  };
}
