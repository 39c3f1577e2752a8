/**
 * How a question about many Deployments is put: in shards, a few at once, and in smaller ones where one is too much for
 * the server.
 */
import { type Prometheus, PrometheusError, type Row } from './prometheus.ts';
import { type Deployment, halves, type Shard, shardsOf } from './shards.ts';

/** Queries at once: Prometheus runs 20 for everybody (`--query.max-concurrency`). */
const AT_ONCE = 3;

/** Deployments in one query, as long as the server does not find that too much. */
const MOST = 2500;

/** How many Deployments a question may be about: half of what was too much, and after a while twice as many again. */
export type ShardSize = { most(now: number): number; tooMuch(count: number, now: number): void };

/** @param everyMs how long a size is kept; what was too much may have been a bad hour of the server */
export function shardSize(everyMs: number): ShardSize {
  let most = MOST;
  let changed = Number.NEGATIVE_INFINITY;
  return {
    most(now) {
      if (most < MOST && now >= changed + everyMs) {
        most = Math.min(MOST, most * 2);
        changed = now;
      }
      return most;
    },
    tooMuch(count, now) {
      most = Math.min(most, Math.ceil(count / 2));
      changed = now;
    },
  };
}

export type Asking = {
  /** what could be asked about at all */
  all: Deployment[];
  size: ShardSize;
  prometheus: Prometheus;
  now: number;
  signal: AbortSignal;
};

/** All rows that were found about one shard. `trouble`: one Deployment alone was too much. */
export type Answer = { rows: Row[]; partial: boolean; trouble?: string };

/**
 * Asks shard by shard.
 *
 * @param tell hears of each shard as soon as it is answered
 * @throws {PrometheusError} when Prometheus as a whole cannot be read
 */
export async function ask(
  wanted: Deployment[],
  queries: (shard: Shard) => string[],
  asking: Asking,
  tell: (shard: Shard, answer: Answer) => void,
): Promise<void> {
  const { all, size, now } = asking;
  for (let round = shardsOf(wanted, all, size.most(now)); round.length > 0; ) {
    const tooMuch: Shard[] = [];
    const queue = [...round];
    const lane = async () => {
      for (let shard = queue.shift(); shard; shard = queue.shift()) {
        const answer = await askShard(shard, queries(shard), asking);
        if (answer) tell(shard, answer);
        else {
          size.tooMuch(shard.deployments.length, now);
          tooMuch.push(...halves(shard, all));
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, lane));
    } finally {
      // After a failure: nobody would look at the other answers, and a Prometheus in trouble is left in peace.
      queue.length = 0;
    }
    round = tooMuch;
  }
}

/** @returns `undefined` when the shard is too much and can be made smaller */
async function askShard(
  { deployments }: Shard,
  queries: string[],
  { prometheus, now, signal }: Asking,
): Promise<Answer | undefined> {
  const answer: Answer = { rows: [], partial: false };
  try {
    for (const promql of queries) {
      const { rows, partial } = await prometheus.query(promql, now, signal);
      answer.partial ||= partial;
      for (const row of rows) answer.rows.push(row);
    }
  } catch (error) {
    if (!(error instanceof PrometheusError && error.fate === 'too-much')) throw error;
    if (deployments.length > 1) return undefined;
    answer.trouble = error.message;
  }
  return answer;
}
