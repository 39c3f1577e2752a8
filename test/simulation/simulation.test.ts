/**
 * A Service tuned in a closed loop: what pairing is worth against the same rules, each for itself. A day by default;
 * OAAS_TUNER_SIMULATION_DAYS plays more of them, with three chances each, and prints the table of docs/concurrency.md.
 */
import t from 'tap';
import { LOADS, WRITTEN } from './loads.ts';
import { createService } from './service.ts';
import { MODES, type Mode, type Outcome, play } from './tuner.ts';

const DAYS = Number(process.env.OAAS_TUNER_SIMULATION_DAYS || 0);
/** The last is one in which a burst comes before the first step is over. */
const SEEDS = DAYS > 0 ? [1, 2, 3] : [3];
const PLAYED: readonly Mode[] = DAYS > 0 ? MODES : ['plain', 'paired'];

type Total = Omit<Outcome, 'last'>;

function total(load: keyof typeof LOADS, mode: Mode): Total {
  const sum: Total = { kills: 0, lost: 0, requested: 0, limited: 0, revisions: 0, turns: 0 };
  for (const seed of SEEDS) {
    const service = createService(LOADS[load](DAYS || 1, seed), WRITTEN, seed);
    const outcome = play(service, WRITTEN, DAYS || 1, mode);
    for (const key of Object.keys(sum) as (keyof Total)[]) sum[key] += outcome[key];
  }
  return { ...sum, requested: sum.requested / SEEDS.length, limited: sum.limited / SEEDS.length };
}

t.test('paired with memory, concurrency costs less than each for itself, and is at rest', async (t) => {
  const rows: string[] = [];
  const sums = { plain: { kills: 0, requested: 0 }, paired: { kills: 0, requested: 0 } };
  for (const load of Object.keys(LOADS) as (keyof typeof LOADS)[]) {
    const of = new Map(PLAYED.map((mode) => [mode, total(load, mode)]));
    for (const [mode, { kills, requested, limited, revisions, turns }] of of) {
      rows.push(
        `| ${load} | ${mode} | ${kills} | ${requested.toFixed(2)} | ${limited.toFixed(2)} | ${revisions} | ${turns} |`,
      );
    }
    for (const mode of ['plain', 'paired'] as const) {
      sums[mode].kills += of.get(mode)?.kills ?? 0;
      sums[mode].requested += of.get(mode)?.requested ?? 0;
    }
    const [plain, paired] = [of.get('plain') as Total, of.get('paired') as Total];
    t.ok(paired.kills <= plain.kills, `${load}: ${paired.kills} kills, ${plain.kills} without pairing`);
    t.ok(paired.requested <= plain.requested * 1.001, `${load}: ${paired.requested} GiB, ${plain.requested} without`);
    t.ok(paired.turns <= plain.turns, `${load}: ${paired.turns} turns, ${plain.turns} without`);
  }
  t.ok(sums.paired.kills < sums.plain.kills, `fewer kills over all loads: ${sums.paired.kills}, ${sums.plain.kills}`);
  t.ok(sums.paired.requested < sums.plain.requested, 'less memory over all loads');
  if (DAYS > 0) console.log(['| load | rules | kills | requested | limited | Revisions | turns |', ...rows].join('\n'));
});
