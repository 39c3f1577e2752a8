/** What each record asks for, uses and has saved, in bytes of all its pods: what the metrics show of it. */
import { balanceOf, type Compared, overRequest } from '../record/outcome.ts';
import type { Looked } from './look.ts';

export type Figures = {
  namespace: string;
  record: string;
  /** what its pods request (bytes), those of it whose usage is known, and the average that these use */
  requested: number;
  measured: number;
  used: number;
  /** what the manifests would have, less what is (bytes); below 0 where tuning asks for more */
  saved: { request: number; limit: number };
  /** OOM kills in the long window */
  kills: number;
};

/** What a container uses lately, over what is recommended for it: its p95 over the request, its maximum over the limit. */
export type RecommendationError = { request: number; limit: number };

/** Records that have figures of their own in the metrics; the others share one. */
export const MOST = 100;

/** Who the others are; no namespace is called so. */
const OTHERS = { namespace: '', record: 'other' };

export function figuresOf({ entry, report }: Looked): Figures {
  const { namespace, name } = entry.record.metadata;
  const pods = new Map(entry.workloads.map(({ ref, replicas }) => [ref, replicas]));
  const containers = report.containers.map(
    ({ workload, manifest, current, override, look }): Compared => ({
      manifest,
      // Through VPA a template keeps the manifest's values; the look has what pods got.
      runs: report.vpa ? look.current : current,
      fixed: override,
      used: look.usage?.short?.avg,
      pods: pods.get(workload) ?? 0,
    }),
  );
  const requested = (some: Compared[]) => some.reduce((sum, { runs, pods }) => sum + (runs.request ?? 0) * pods, 0);
  const measured = containers.filter(({ runs, used }) => runs.request !== undefined && used !== undefined);
  const { before, after } = balanceOf(containers);
  return {
    ...{ namespace, record: name },
    requested: requested(containers),
    measured: requested(measured),
    used: measured.reduce((sum, { used = 0, pods }) => sum + used * pods, 0),
    saved: {
      request: (before.request ?? 0) - (after.request ?? 0),
      limit: (before.limit ?? 0) - (after.limit ?? 0),
    },
    kills: report.containers.reduce((sum, { look }) => sum + (look.usage?.kills ?? 0), 0),
  };
}

/** How well each recommendation that stands fits what is used right now. */
export function errorsOf({ report }: Looked): RecommendationError[] {
  return report.containers.flatMap(({ look, finding: { recommended } }) => {
    const short = look.usage?.short;
    return short && recommended && recommended.request > 0
      ? [{ request: short.p95 / recommended.request, limit: short.max / recommended.limit }]
      : [];
  });
}

/**
 * So many series whatever the number of records: each for itself those with kills, because the alert names them, then the
 * largest; the others together.
 */
export function bounded(figures: readonly Figures[], most = MOST): Figures[] {
  const sorted = figures.toSorted((a, b) => Number(b.kills > 0) - Number(a.kills > 0) || b.requested - a.requested);
  const others: Figures = { ...OTHERS, requested: 0, measured: 0, used: 0, saved: { request: 0, limit: 0 }, kills: 0 };
  for (const { requested, measured, used, saved, kills } of sorted.slice(most)) {
    others.requested += requested;
    others.measured += measured;
    others.used += used;
    others.saved.request += saved.request;
    others.saved.limit += saved.limit;
    others.kills += kills;
  }
  return [...sorted.slice(0, most), others];
}

/** The part of what is requested that is not in use; 0 where nothing is requested, or nothing is known. */
export function overRequestOf({ measured, used }: Figures): number {
  return overRequest(measured, used) ?? 0;
}
