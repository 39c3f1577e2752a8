/** Act 3: what a person wrote into the record wins over what the worker decided, to the letter. */
import { at } from '../../../src/domain/json.ts';
import { FIELDS, type Pair } from '../../../src/domain/workload.ts';
import { expect, expectSame } from '../expect.ts';
import { memoryIn, nextRelease } from '../manifest.ts';
import type { Screen } from '../screen.ts';
import type { Stage } from '../stage.ts';
import { drawTable } from '../table.ts';

const NAME = 'payments';
const TUNED = 'api';

export async function overridden({ cluster, client }: Stage, screen: Screen) {
  const { paint } = screen;
  const live = cluster.workload(NAME);
  const wishes = at(cluster.record(NAME), 'spec', 'nfr', 'memory_tuning', 'overrides', TUNED);
  const override = (wishes ?? {}) as Pair<string>;
  const reply = await client.update('/mutate', nextRelease(live), live);
  const status = cluster.status(NAME).containers.find(({ name }) => name === TUNED);
  const applied = status?.applied;
  const [written, answered] = [memoryIn(live, TUNED), memoryIn(reply.object, TUNED)];

  expect(`an override for ${TUNED} in the record ${NAME}`, Object.keys(override).length > 0, override);
  expectSame(`memory of ${TUNED} in the answer: override, else applied, else manifest`, answered, {
    ...written,
    ...(applied && { request: applied.request, limit: applied.limit }),
    ...override,
  });
  screen.heading('3  An override in the record wins, to the letter', screen.answered(reply.milliseconds));
  const titles = [`${status?.workload} ${TUNED}`, 'manifest', 'applied', 'override', 'in the answer'];
  const rows = FIELDS.map((field) => [
    { text: field, brush: paint.bold },
    written[field] ?? '-',
    applied?.[field] ?? '-',
    { text: override[field] ?? '-', brush: paint.yellow },
    { text: answered[field] ?? '-', brush: override[field] === undefined ? paint.green : paint.yellow },
  ]);
  screen.lines(
    drawTable(
      titles.map((title) => ({ title })),
      rows,
      paint.dim,
    ),
  );
  cluster.put(reply.object);
}
