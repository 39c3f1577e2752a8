/** Act 2: the next release of a manifest is applied; what the webhook changed in it, and what kubectl says. */
import { APPLIED_ANNOTATION } from '../../../src/domain/workload.ts';
import { changesWithKeys, dedent, diffLines } from '../diff.ts';
import { expect, expectSame } from '../expect.ts';
import { memoryIn, nextRelease, pair, releaseOf, toYaml } from '../manifest.ts';
import { clip, MARGIN, type Screen, wrap } from '../screen.ts';
import type { Stage } from '../stage.ts';

const NAME = 'orders';
const TUNED = 'function';
/** The API server may ask again for one apply; the answers must agree, and their median tells the usual time. */
const ASKED_AGAIN = 99;

export async function deployed({ cluster, client }: Stage, screen: Screen) {
  const { paint, width } = screen;
  const live = cluster.workload(NAME);
  const sent = nextRelease(live);
  const reply = await client.update('/mutate', sent, live);
  const times = [reply.milliseconds];
  for (let again = 0; again < ASKED_AGAIN; again += 1) {
    const { operations, milliseconds } = await client.update('/mutate', sent, live);
    expectSame('the same review gets the same answer', operations, reply.operations);
    times.push(milliseconds);
  }
  const { applied } = cluster.status(NAME).containers.find(({ name }) => name === TUNED) ?? {};
  expect(`applied values for ${TUNED} in the record ${NAME}`, applied !== undefined, cluster.status(NAME));
  const { request, limit } = applied;
  expectSame(`memory of ${TUNED} in the answer`, memoryIn(reply.object, TUNED), { request, limit });
  expect(
    'one warning that names both values',
    reply.warnings.some((text) => text.includes(pair(applied))),
    reply.warnings,
  );

  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
  screen.heading(
    `2  kubectl apply -f ${NAME}.yaml  (${releaseOf(live)} -> ${releaseOf(sent)})`,
    `median of ${times.length}: ${median.toFixed(1)} ms`,
  );
  const diff = dedent(changesWithKeys(diffLines(toYaml(sent), toYaml(reply.object)), 2));
  for (const { sign, text } of diff) {
    const line = clip(`${sign} ${text}`, width - MARGIN.length);
    screen.lines([sign === '+' ? paint.green(line) : sign === '-' ? paint.red(line) : paint.dim(line)]);
  }
  expect(
    `the annotation ${APPLIED_ANNOTATION}`,
    diff.some(({ text }) => text.includes(APPLIED_ANNOTATION)),
    diff,
  );
  screen.warnings(reply.warnings);
  const step = cluster.status(NAME).history.find(({ change }) => change === 'applied');
  screen.lines(wrap(`not at once: ${step?.rationale}`, width - MARGIN.length, '  ').map(paint.dim));
  cluster.put(reply.object);
}
