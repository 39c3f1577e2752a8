/**
 * The adaptive rules on real histories that none of their numbers was chosen on: no more kills than the best peer and at
 * most four fifths of its over-request, and on no container worse than the requirement's rules.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Gi } from '../../src/domain/quantity.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { csvFiles, readCsv } from '../../src/replay/csv.ts';
import { krr } from '../../src/replay/krr.ts';
import { ours } from '../../src/replay/ours.ts';
import { isIn } from '../../src/replay/part.ts';
import { sideBySide } from '../../src/replay/side-by-side.ts';
import { compare, summarize } from '../../src/replay/summary.ts';
import { vpa } from '../../src/replay/vpa.ts';
import { RULES, rulesFrom } from '../recommend/rules.ts';

const traces = process.env.OAAS_TUNER_TRACES ?? join(import.meta.dirname, '../../../shared/traces');
const skip = existsSync(traces)
  ? false
  : `NOT JUDGED: no traces at ${traces}; OAAS_TUNER_TRACES names a folder of them`;
if (skip) console.error(skip);

const policies = [
  ours('adaptive', rulesFrom({ OPRC_CRM_MEMORY_RULES: 'adaptive' }), 60),
  ours('requirement', RULES, 60),
  vpa,
  krr,
];

const manifests: [name: string, manifest: Pair<number>][] = [
  ['a manifest that is not known', {}],
  ['a request of half the limit', { request: Gi, limit: 2 * Gi }],
];
for (const [name, manifest] of manifests) {
  t.test(`the kept-back traces, with ${name}`, { skip }, async (t) => {
    const run = sideBySide(policies, manifest);
    await readCsv(csvFiles(traces), { capacity: 2 * Gi }, (row) => isIn('kept-back', row.container) && run.take(row));
    t.ok(run.counts.samples > 10_000, `${run.counts.samples} samples of ${run.counts.containers} containers`);
    const all = [...run.results().values()].map(({ tallies }) => tallies);
    const of = (index: number) => all.flatMap((tallies) => tallies[index] ?? []);
    const [adaptive, , ...peers] = policies.map((_, index) => summarize(of(index)));
    const best = peers.sort((a, b) => a.kills - b.kills || a.overRequest.value - b.overRequest.value)[0];
    if (!adaptive || !best) return t.fail('nothing was summarized');
    t.ok(adaptive.kills <= best.kills, `${adaptive.kills} kills, the best peer ${best.kills}`);
    const ratio = adaptive.overRequest.value / best.overRequest.value;
    t.ok(ratio <= 0.8, `${ratio.toFixed(2)} of its over-request`);
    t.equal(compare(of(0), of(1)).moreKills, 0, 'no container has more kills than under the requirement');
  });
}
