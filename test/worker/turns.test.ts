/** Questions about the past: a few at a time, beside the cycles, each in its turn. */
import t from 'tap';
import { createTurns } from '../../src/worker/turns.ts';
import { MINUTE, NOW } from '../recommend/rules.ts';
import { listenedLog } from '../serve/log-lines.ts';

const HOUR = 60 * MINUTE;
const questions = (...names: string[]) => new Map(names.map((name) => [name, name]));

function turns(ask: (question: string) => Promise<string> = async (question) => `about ${question}`) {
  const asked: string[] = [];
  const { log, lines } = listenedLog();
  const begun = createTurns({
    ask: (question: string) => {
      asked.push(question);
      return ask(question);
    },
    ...{ goodForMs: HOUR, log },
  });
  return { ...begun, asked, lines };
}

t.test('begin returns at once, and the answer is there once it is found', async (t) => {
  const turn = turns();
  turn.begin(questions('a'), NOW);
  t.equal(turn.latest('a'), undefined);
  await turn.idle();
  t.equal(turn.latest('a'), 'about a');
});

t.test('five in a round, no round beside another, and everybody comes to it before anybody does again', async (t) => {
  const turn = turns();
  const all = questions(...'abcdefghijkl');
  for (let cycle = 0; cycle < 3; cycle += 1) {
    turn.begin(all, NOW + cycle * HOUR);
    turn.begin(all, NOW + cycle * HOUR);
    await turn.idle();
    t.equal(turn.asked.length, 5 * (cycle + 1));
  }
  t.equal(turn.asked.slice(0, 12).join(''), 'abcdefghijkl');
});

t.test('again when it has grown old, not before', async (t) => {
  const turn = turns();
  for (const at of [NOW, NOW + HOUR - 1, NOW + HOUR]) {
    turn.begin(questions('a'), at);
    await turn.idle();
  }
  t.strictSame(turn.asked, ['a', 'a']);
});

t.test('one that fails keeps its last answer, holds nobody up, and is tried again after ten minutes', async (t) => {
  let away = false;
  const turn = turns(async (question) => {
    if (away && question === 'a') throw new Error('connect ECONNREFUSED');
    return `about ${question}`;
  });
  turn.begin(questions('a'), NOW);
  await turn.idle();
  away = true;
  turn.begin(questions('a', 'b'), NOW + HOUR);
  await turn.idle();
  t.strictSame([turn.latest('a'), turn.latest('b')], ['about a', 'about b']);
  t.match(turn.lines, [{ about: 'a', error: 'connect ECONNREFUSED' }]);
  for (const minute of [9, 10]) {
    turn.begin(questions('a', 'b'), NOW + HOUR + minute * MINUTE);
    await turn.idle();
  }
  t.equal(turn.asked.length, 4);
});

t.test('what nobody asks any more is forgotten', async (t) => {
  const turn = turns();
  turn.begin(questions('a'), NOW);
  await turn.idle();
  turn.begin(questions(), NOW + 1);
  t.equal(turn.latest('a'), undefined);
});
