/** Act 4: the record has moved on, but only a change of the pod template lets new values in. */
import { asObject, at, type JsonObject } from '../../../src/domain/json.ts';
import { expect, expectSame } from '../expect.ts';
import { memoryIn, nextRelease, pair, withMetadata } from '../manifest.ts';
import type { Reply } from '../review-client.ts';
import type { Screen } from '../screen.ts';
import type { Stage } from '../stage.ts';
import { drawTable } from '../table.ts';

const NAME = 'orders';
const TUNED = 'function';

/**
 * @param file the manifest as it was applied last, with the values that its author wrote
 * @param now milliseconds since the epoch
 * @param minutes since act 1
 */
export async function undisturbed(
  { cluster, client, work }: Stage,
  screen: Screen,
  { file, now, minutes }: { file: JsonObject; now: number; minutes: number },
) {
  const { paint } = screen;
  const live = cluster.workload(NAME);
  const running = memoryIn(live, TUNED);
  await work(now);
  const { applied } = cluster.status(NAME).containers.find(({ name }) => name === TUNED) ?? {};
  expect('new applied values, other than those that run', pair(applied) !== pair(running), applied);

  const labelled = withMetadata(live, { labels: { ...asObject(at(live, 'metadata', 'labels')), tier: 'web' } });
  const label = await client.update('/mutate', labelled, live);
  expectSame('patch for an update that changes a label', label.operations, []);
  expectSame('warnings for an update that changes a label', label.warnings, []);

  const again = withMetadata(file, { annotations: asObject(at(live, 'metadata', 'annotations')) });
  const applyAgain = await client.update('/mutate', again, live);
  expectSame(
    'the pod template after the same file is applied again',
    at(applyAgain.object, 'spec', 'template'),
    at(live, 'spec', 'template'),
  );

  expect('one warning that says so', applyAgain.warnings.length === 1, applyAgain.warnings);

  const release = await client.update('/mutate', nextRelease(live), live);
  expectSame('memory in the next release', pair(memoryIn(release.object, TUNED)), pair(applied));

  screen.heading(`4  ${minutes} minutes later, ${pair(applied)} is due: no restart by surprise`, '');
  const row = (what: string, { object, operations }: Reply) => {
    const memory = pair(memoryIn(object, TUNED));
    const stays = memory === pair(running);
    return [what, `${memory} ${stays ? 'stays' : 'goes out'}`, patchWord(operations.length, stays)].map(
      (text, index) => ({
        text,
        brush: index === 0 ? paint.bold : stays ? paint.cyan : paint.green,
      }),
    );
  };
  const rows = [
    row(`kubectl label deploy/${NAME} tier=web`, label),
    row(`kubectl apply -f ${NAME}.yaml, again`, applyAgain),
    row(`kubectl set image deploy/${NAME} ...`, release),
  ];
  screen.lines(
    drawTable(
      ['request', 'memory', 'answer'].map((title) => ({ title })),
      rows,
      paint.dim,
    ).slice(1),
  );
}

function patchWord(operations: number, stays: boolean): string {
  if (operations === 0) return 'nothing to change';
  return stays ? 'held back' : 'rolls anyway';
}
