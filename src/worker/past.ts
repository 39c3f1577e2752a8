/** What Prometheus still knows of a record's past: its OOM kills before and since tuning, and how tuning would have gone. */
import type { Prometheus, Row } from '../collect/prometheus.ts';
import { earliestQuery, historyQuery, killsQuery, type QueryOptions } from '../collect/queries.ts';
import { LONGEST_PREFIX, type Shard } from '../collect/shards.ts';
import type { Pair } from '../domain/workload.ts';
import type { Kills } from '../record/report.ts';
import { createTrial, type Tried, type Verdict } from '../replay/trial.ts';
import type { RulesInForce } from './rules.ts';
import type { Workload } from './workloads.ts';

/** Whose past it is. */
type Of = { namespace: string; workloads: readonly Pick<Workload, 'ref' | 'deployments'>[] };
export type KillsQuestion = Of & { /** milliseconds since the epoch */ since: number };
export type TrialQuestion = Of & { replayed: { workload: string; name: string; manifest: Pair<number> }[] };

export type Past = {
  /** @returns `undefined` where Prometheus does not reach back an hour before tuning */
  kills(question: KillsQuestion, now: number): Promise<Kills | undefined>;
  trial(question: TrialQuestion, now: number): Promise<Verdict>;
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** As far back as is looked, in days. */
export const HISTORY_DAYS = 7;

/** The largest use within so many seconds is one sample of a history. */
const STEP_SECONDS = 300;
/** So much of a history is read at once. */
const SPAN_MS = DAY_MS / 2;

/** Deployments in one query: their names are in its text, which not every backend takes at any length. */
const TOGETHER = 10;

/** One record's past is not waited for any longer. */
const PATIENCE_MS = 300_000;

export function createPast(
  prometheus: Prometheus,
  options: QueryOptions,
  rules: RulesInForce,
  intervalSeconds: number,
): Past {
  return {
    async kills({ since, ...of }, now) {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const ask = async (at: number, query: (shard: Shard) => string) => {
        const found: number[] = [];
        for (const shard of shardsOf(of)) {
          const { rows } = await prometheus.query(query(shard), at, signal);
          for (const row of rows) if (refOf(of, row) !== undefined) found.push(row.value);
        }
        return found;
      };
      const longest = HISTORY_DAYS * DAY_MS;
      const earliest = await ask(since, (shard) => earliestQuery(shard, longest / 1000, options));
      const covered = since - Math.min(...earliest) * 1000;
      const overSeconds = Math.floor(Math.min(covered, now - since, longest) / HOUR_MS) * 3600;
      if (earliest.length === 0 || overSeconds <= 0) return undefined;
      const count = async (at: number) => {
        const kills = await ask(at, (shard) => killsQuery(shard, overSeconds, options));
        return Math.round(kills.reduce((sum, one) => sum + one, 0));
      };
      return { before: await count(since), after: await count(now), overSeconds };
    },

    async trial({ replayed: containers, ...of }, now) {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const named = containers.map(
        ({ workload, name, manifest }): Tried => ({ name: `${workload} container ${name}`, manifest }),
      );
      const trial = createTrial(named, rules, intervalSeconds);
      const places = new Map(containers.map(({ workload, name }, index) => [`${workload}/${name}`, index]));
      const end = Math.floor(now / (STEP_SECONDS * 1000)) * STEP_SECONDS * 1000;
      for (const shard of shardsOf(of)) {
        for (let at = end - HISTORY_DAYS * DAY_MS + SPAN_MS; at <= end; at += SPAN_MS) {
          const query = historyQuery(shard, SPAN_MS / 1000, STEP_SECONDS, options);
          const { rows } = await prometheus.query(query, at, signal);
          for (const { place, moment, bytes, oom } of inOrder(rows, (row) => {
            const ref = refOf(of, row);
            return ref === undefined ? undefined : places.get(`${ref}/${row.labels.container}`);
          })) {
            // Nobody measured what was used when it was killed.
            if (bytes !== undefined || oom !== undefined) trial.take(place, { at: moment, bytes: bytes ?? 0 }, oom);
          }
        }
      }
      return trial.verdict(HISTORY_DAYS);
    },
  };
}

/** By the names of the pods: a namespace can be much larger than a record. A workload's Deployments stay together. */
function shardsOf({ namespace, workloads }: Of): Shard[] {
  const groups: string[][] = [];
  for (const { deployments } of workloads) {
    const last = groups.at(-1);
    if (last && last.length + deployments.length <= TOGETHER) last.push(...deployments);
    else if (deployments.length > 0) groups.push([...deployments]);
  }
  return groups.map((names) => ({
    deployments: names.map((name) => ({ namespace, name })),
    namespaces: [namespace],
    prefixes: names.map((name) => name.slice(0, LONGEST_PREFIX)),
  }));
}

/** Which workload a row is about; a name can begin that of somebody else. */
function refOf({ namespace, workloads }: Of, { labels }: Row): string | undefined {
  if (labels.namespace !== namespace) return undefined;
  return workloads.find(({ deployments }) => deployments.includes(labels.workload ?? ''))?.ref;
}

type Moment = { place: number /** milliseconds */; moment: number; bytes?: number; oom?: number };

/** What each container went through, oldest first; of several Deployments of one workload the largest counts. */
function inOrder(rows: readonly Row[], placeOf: (row: Row) => number | undefined): Moment[] {
  const moments = new Map<string, Moment>();
  for (const row of rows) {
    const place = placeOf(row);
    if (place === undefined) continue;
    const [key, which] = [`${row.at}/${place}`, row.labels.statistic === 'oom' ? 'oom' : 'bytes'] as const;
    const one = moments.get(key) ?? { place, moment: row.at * 1000 };
    one[which] = Math.max(one[which] ?? 0, row.value);
    moments.set(key, one);
  }
  return [...moments.values()].sort((a, b) => a.moment - b.moment);
}
