/**
 * Questions about the past of each record, in turns: a few at a time, beside the cycles and never in their way, each
 * again when its answer has grown old.
 */
import { type Log, reason } from '../log.ts';

export type Turns<Question, Answer> = {
  /** what was found last, if anything was since this worker started */
  latest(key: string): Answer | undefined;
  /**
   * Begins with a few of those that are due, those first that have waited longest. What nobody asks any more is forgotten.
   *
   * @param questions by a key that says what the answer is about
   * @param now milliseconds since the epoch
   */
  begin(questions: ReadonlyMap<string, Question>, now: number): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
};

export type Asks<Question, Answer> = {
  ask(question: Question, now: number): Promise<Answer>;
  /** how long an answer is good for, as long as it is asked for */
  goodForMs: number;
  log: Log;
};

/** Questions that one round answers, one after the other. */
const AT_ONCE = 5;

/** What could not be answered is asked again after this. */
const AGAIN_MS = 600_000;

export function createTurns<Question, Answer>(asks: Asks<Question, Answer>): Turns<Question, Answer> {
  const known = new Map<string, { answer?: Answer; due: number }>();
  let round: Promise<void> | undefined;

  async function answer(key: string, question: Question, now: number): Promise<void> {
    try {
      const found = await asks.ask(question, now);
      known.set(key, { answer: found, due: now + asks.goodForMs });
    } catch (error) {
      asks.log.warn({ about: key, error: reason(error) }, 'the past could not be read; it is tried again later');
      known.set(key, { ...known.get(key), due: now + AGAIN_MS });
    }
  }

  return {
    latest: (key) => known.get(key)?.answer,
    begin(questions, now) {
      for (const key of known.keys()) if (!questions.has(key)) known.delete(key);
      if (round) return;
      const due = (key: string) => known.get(key)?.due ?? Number.NEGATIVE_INFINITY;
      const waiting = [...questions].filter(([key]) => due(key) <= now);
      const next = waiting.toSorted(([a], [b]) => due(a) - due(b) || 0).slice(0, AT_ONCE);
      if (next.length === 0) return;
      round = (async () => {
        for (const [key, question] of next) await answer(key, question, now);
        round = undefined;
      })();
    },
    idle: async () => round,
  };
}
