/** Plays a scenario of the ladder: what a record says × the switches → the values of a container (README.md). */
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { type Gates, ladder } from '../../src/domain/ladder.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { readTuning } from '../../src/record/wishes.ts';
import { readSettings } from '../../src/settings.ts';
import { enabledByDefault } from '../../src/worker/rules.ts';
import { recordOf } from '../record/records.ts';
import type { Check } from './rules-scenario.ts';
import { choice, fields, type Line, Misunderstood, type Scenario } from './scenario-file.ts';

const WORKLOAD = 'Deployment/orders';
const CONTAINER = 'function';

/** The record and the manifest of a scenario, and the switches of its last `when`. */
type World = {
  overrides: JsonObject;
  containers: Json[];
  manifest: Pair<string>;
  enabled: boolean | undefined;
  enforce: boolean;
  gates: Gates;
};

export function playLadder(scenario: Scenario, check: Check): void {
  const closed = { enabled: undefined, enforce: false, gates: gatesOf('closed', 'dev') };
  const world: World = { overrides: {}, containers: [], manifest: {}, ...closed };
  for (const line of scenario.lines) {
    if (line.keyword === 'override') {
      const { key, pair } = keyed(line);
      world.overrides[key] = pair;
    } else if (line.keyword === 'applied') {
      const { key, pair } = keyed(line);
      const [kind, name, container] = key.split('/');
      world.containers.push({ workload: `${kind}/${name}`, name: container ?? '', applied: pair });
    } else if (line.keyword === 'manifest') world.manifest = pairOf(line, line.rest);
    else if (line.keyword === 'when') Object.assign(world, closed, switches(line));
    else if (line.keyword === 'expect') check(line.place, valuesOf(world), line.rest.replaceAll(/\s+/g, ' '));
    else throw new Misunderstood(line.place, `"${line.keyword}" is no word of a scenario of the ladder`);
  }
}

/** Each side with the rung that it comes from: `request 300Mi override limit 512Mi manifest`. */
function valuesOf({ overrides, containers, manifest, enabled, enforce, gates }: World): string {
  const tuning = { overrides, enforce, ...(enabled !== undefined && { enabled }) };
  const record = recordOf({ memory_tuning: tuning }, { containers });
  const injected = ladder(readTuning(record), gates, WORKLOAD, CONTAINER);
  const sides = (['request', 'limit'] as const).map((field) => {
    const { value, rung } = injected[field] ?? { value: manifest[field] ?? 'none', rung: 'manifest' };
    return `${field} ${value} ${rung}`;
  });
  return sides.join(' ');
}

/** `gate open  enforce yes  enabled no  profile edge`; what is not said is closed, no, unsaid, dev. */
function switches(line: Line): Partial<World> {
  const found = fields(line, ['gate', 'enforce', 'enabled', 'profile']);
  const enabled = choice(line, ['yes', 'no', 'unsaid'], found.get('enabled') ?? 'unsaid');
  return {
    enforce: choice(line, ['yes', 'no'], found.get('enforce') ?? 'no') === 'yes',
    enabled: enabled === 'unsaid' ? undefined : enabled === 'yes',
    gates: gatesOf(
      choice(line, ['open', 'closed'], found.get('gate') ?? 'closed'),
      choice(line, ['dev', 'edge', 'full'], found.get('profile') ?? 'dev'),
    ),
  };
}

/** From the environment, as the program itself reads them. */
export function gatesOf(gate: 'open' | 'closed', profile: string): Gates {
  const env = { OPRC_CRM_FEATURES_NFR_ENFORCEMENT: String(gate === 'open'), OPRC_CRM_PROFILE: profile };
  const read = readSettings(env);
  if ('problems' in read) throw new Error(read.problems.join('\n'));
  return { enforcement: read.settings.enforcement, enabledByDefault: enabledByDefault(read.settings) };
}

/** `orders/function  request 300Mi  limit 600Mi` */
function keyed(line: Line): { key: string; pair: Pair<string> } {
  const [, key = '', rest = ''] = /^(\S+)\s+(.+)$/.exec(line.rest) ?? [];
  if (key === '') throw new Misunderstood(line.place, `"${line.rest}" names no container and values`);
  return { key, pair: pairOf(line, rest) };
}

function pairOf(line: Line, text: string): Pair<string> {
  return text === 'none' ? {} : Object.fromEntries(fields(line, ['request', 'limit'], text));
}
