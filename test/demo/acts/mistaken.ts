/** Act 5: a record that cannot be meant is refused where it is written; where it slipped in, deploys go on. */
import { at, type JsonObject } from '../../../src/domain/json.ts';
import { expect, expectSame } from '../expect.ts';
import { memoryIn } from '../manifest.ts';
import type { Screen } from '../screen.ts';
import type { Stage } from '../stage.ts';

const NAME = 'search';
const TUNED = 'index';

export async function mistaken({ cluster, client }: Stage, screen: Screen) {
  const { paint } = screen;
  const record = cluster.record(NAME);
  const wish = JSON.stringify(at(record, 'spec', 'nfr', 'memory_tuning', 'overrides', TUNED, 'request'));
  const judged = await client.create('/validate', record as unknown as JsonObject);
  expect(
    `POST /validate refuses the record ${NAME} and names ${wish}`,
    !judged.allowed && judged.message.includes(wish),
    judged,
  );

  const manifest = cluster.workload(NAME);
  const reply = await client.create('/mutate', manifest);
  expect('the deploy goes through', reply.allowed, reply);
  expectSame(`memory of ${TUNED} in the answer`, memoryIn(reply.object, TUNED), memoryIn(manifest, TUNED));
  const says = reply.warnings.filter((text) => text.includes(wish));
  expect(`one warning that names ${wish}`, says.length === 1, reply.warnings);

  screen.heading(`5  A slip never stops a deploy  (request: ${wish})`, screen.answered(reply.milliseconds));
  const [refused, allowed] = [paint.red('refused'), paint.green('allowed')];
  screen.lines([`such a record is ${refused}; had it slipped in, ${NAME}.yaml is ${allowed} as it is`]);
  screen.warnings(reply.warnings);
}
