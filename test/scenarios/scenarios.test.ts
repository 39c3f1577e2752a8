import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { playLadder } from './ladder-scenario.ts';
import { type Check, playRules } from './rules-scenario.ts';
import { parseScenarios, type Scenario } from './scenario-file.ts';

const PLAYERS: Record<string, (scenario: Scenario, check: Check) => void> = { rules: playRules, ladder: playLadder };
const FOLDER = new URL('./', import.meta.url);

for (const name of readdirSync(FOLDER)
  .filter((file) => file.endsWith('.scenario'))
  .sort()) {
  t.test(name, async (t) => {
    const { kind, scenarios } = parseScenarios(`test/scenarios/${name}`, readFileSync(new URL(name, FOLDER), 'utf8'));
    const play = PLAYERS[kind];
    if (!play) throw new Error(`${name}: "kind ${kind}" is neither "kind rules" nor "kind ladder"`);
    for (const scenario of scenarios) {
      t.test(scenario.title, async (t) => {
        play(scenario, (place, found, expected) => t.equal(found, expected, place));
      });
    }
  });
}

/** Plays a text and collects what does not hold. */
function failures(text: string): string[] {
  const failed: string[] = [];
  const { kind, scenarios } = parseScenarios('a.scenario', text);
  for (const scenario of scenarios) {
    PLAYERS[kind]?.(scenario, (place, found, expected) => {
      if (found !== expected) failed.push(`${place}: ${found}`);
    });
  }
  return failed;
}

t.test('an expectation that does not hold fails with its file and line', async (t) => {
  const usage = 'usage avg 110Mi p95 180Mi max 210Mi';
  t.same(failures(`kind rules\n# Wrong\n${usage}\nexpect recommended 1Mi/2Mi\nmentions banana`), [
    'a.scenario:4: 224Mi/336Mi',
    'a.scenario:5: p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi',
  ]);
  t.same(failures('kind ladder\n# Wrong\nexpect request 1Mi manifest limit none manifest'), [
    'a.scenario:3: request none manifest limit none manifest',
  ]);
});

t.test('a line that is not understood is refused with its file and line', async (t) => {
  const refused: [text: string, message: string][] = [
    ['# Untyped', 'a.scenario:1: the file must begin with "kind rules" or "kind ladder"'],
    ['kind rules\nusage none', 'a.scenario:2: a scenario begins with "# its title"'],
    ['kind rules\n# A\nexpect new nothing\n\n# A', 'a.scenario:5: "A" is told twice'],
    ['kind rules\n# A\nusage none', 'a.scenario:2: "A" expects nothing'],
    ['kind rules\n# A\nusgae none\nexpect new nothing', 'a.scenario:3: "usgae" is no word of a scenario of the rules'],
    ['kind rules\n# A\nusage p95 1Mi max 1Mi\nexpect new nothing', 'a.scenario:3: "" is no quantity'],
    [
      'kind rules\n# A\nusage average 1Mi\nexpect new nothing',
      'a.scenario:3: "average" is none of: avg, p95, max, samples',
    ],
    ['kind rules\n# A\ncurrent request\nexpect new nothing', 'a.scenario:3: "request" needs a value'],
    ['kind rules\n# A\ncurrent limit 1Mi limit 2Mi\nexpect new nothing', 'a.scenario:3: "limit" is said twice'],
    [
      'kind rules\n# A\nafter 31 minutes\nexpect new nothing',
      'a.scenario:3: "31 minutes" is no time such as 31m or 1ms',
    ],
    ['kind rules\n# A\nstanding 1Mi/2Mi\nexpect new nothing', 'a.scenario:3: "" is no quantity'],
    ['kind rules\n# A\nexpect recommendation none', 'a.scenario:3: cannot expect "recommendation none"'],
    ['kind rules\n# A\nexpect recommended', 'a.scenario:3: cannot expect "recommended"'],
    ['kind rules\n# A\nrolled-out\nexpect new nothing', 'a.scenario:3: nothing was applied that could roll out'],
    [
      'kind rules\n# A\nsetting OPRC_CRM_STEP_PERCENT=0\nexpect new nothing',
      'a.scenario:3: OPRC_CRM_STEP_PERCENT: "0" is not a whole number from 1 to 100 (percent)',
    ],
    [
      'kind rules\n# A\nsetting OPRC_CRM_STEP=5\nexpect new nothing',
      'a.scenario:3: no setting is called "OPRC_CRM_STEP"',
    ],
    ['kind ladder\n# A\nwhen gate ajar\nexpect x', 'a.scenario:3: "ajar" is none of: open, closed'],
    ['kind ladder\n# A\ngate open\nexpect x', 'a.scenario:3: "gate" is no word of a scenario of the ladder'],
    ['kind ladder\n# A\noverride function\nexpect x', 'a.scenario:3: "function" names no container and values'],
  ];
  for (const [text, message] of refused) t.throws(() => failures(text), { message }, message);
});
