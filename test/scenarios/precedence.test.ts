/** docs/precedence.md is what is promised; the real admission has to keep it in every combination of its columns. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { AdmissionRequest } from '../../src/admit/request.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { AUTOSCALING, settingsOf } from '../../src/domain/scaling-settings.ts';

import { memoryOf, PAUSED_ANNOTATION, type Pair, ROLLOUT_ANNOTATION } from '../../src/domain/workload.ts';
import { readTuning } from '../../src/record/wishes.ts';
import {
  admit,
  container,
  context,
  create,
  deployment,
  edited,
  OWN_ACCOUNT,
  service,
  update,
} from '../admit/objects.ts';
import { recordOf } from '../record/records.ts';
import { gatesOf } from './ladder-scenario.ts';

/** Every column and what may stand in it. */
const COLUMNS = {
  override: ['yes', 'no'],
  applied: ['yes', 'no'],
  recommended: ['yes', 'no'],
  gate: ['open', 'closed'],
  enforce: ['true', 'false', 'unsaid'],
  enabled: ['true', 'false', 'unsaid'],
  profile: ['dev', 'edge', 'full'],
  paused: ['no', 'workload', 'record', 'namespace'],
  change: ['template', 'request', 'other'],
} as const;

type Column = keyof typeof COLUMNS;
type Case = Record<Column, string>;
type Row = Record<Column, string[]> & { gets: string };

const WORKLOADS = { Deployment: deployment, KnativeService: service };
/** Values that fit each other in every mixture, so that only precedence decides. */
const SAYS = {
  'the override': { request: '300Mi', limit: '600Mi' },
  'the applied value': { request: '224Mi', limit: '400Mi' },
  'what the manifest says': { request: '256Mi', limit: '512Mi' },
  'what runs': { request: '240Mi', limit: '480Mi' },
} as const;
const PAUSED = { [PAUSED_ANNOTATION]: 'true' };
const RECOMMENDED = { request: '208Mi', limit: '320Mi' };

const page = readFileSync(new URL('../../docs/precedence.md', import.meta.url), 'utf8');
const rows = readTable(page);

/** @throws {Error} for a word that is none of its column's: a slip of the pen would match nothing */
function readTable(text: string): Row[] {
  const [, table = ''] = /<!-- precedence -->\n([\s\S]*?)<!-- \/precedence -->/.exec(text) ?? [];
  const cells = table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const [heading = [], , ...body] = cells;
  const names = Object.keys(COLUMNS) as Column[];
  if (heading.join() !== [...names, 'the container gets'].join()) throw new Error(`the columns are ${heading}`);
  return body.map((line) => {
    const row = Object.fromEntries(
      names.map((name, index) => {
        const words = line[index] === 'any' ? [...COLUMNS[name]] : (line[index] ?? '').split(', ');
        const strange = words.find((word) => !(COLUMNS[name] as readonly string[]).includes(word));
        if (strange !== undefined) throw new Error(`"${strange}" is none of ${COLUMNS[name].join(', ')}`);
        return [name, words];
      }),
    );
    const gets = line.at(-1) ?? '';
    if (!Object.hasOwn(SAYS, gets)) throw new Error(`a container cannot get "${gets}"`);
    return { ...row, gets } as Row;
  });
}

function promised(one: Case): keyof typeof SAYS {
  const row = rows.find((row) => (Object.keys(COLUMNS) as Column[]).every((name) => row[name].includes(one[name])));
  if (!row) throw new Error(`no row for ${JSON.stringify(one)}`);
  return row.gets as keyof typeof SAYS;
}

function* combinations(columns: [string, readonly string[]][]): Generator<Record<string, string>> {
  const [first, ...rest] = columns;
  if (!first) return yield {};
  for (const word of first[1]) for (const others of combinations(rest)) yield { [first[0]]: word, ...others };
}

const boolean = (key: string, word = '') => (word === 'unsaid' ? {} : { [key]: word === 'true' });
const sidesOf = (values: Pair<string>, sides: string): Pair<string> => ({
  ...(/request|both/.test(sides) && values.request && { request: values.request }),
  ...(/limit|both/.test(sides) && values.limit && { limit: values.limit }),
});

/** What the container holds after the real admission of that change. */
function admitted(kind: keyof typeof WORKLOADS, one: Record<string, string>): Pair<Json> {
  const { override = '', manifest = '', ...word } = one;
  const overrides = { function: sidesOf(SAYS['the override'], override) };
  const found: JsonObject = { workload: `${kind}/orders`, name: 'function', current: {} };
  if (word.applied === 'yes') found.applied = { ...SAYS['the applied value'], at: '2026-01-31T10:00:00Z' };
  if (word.recommended === 'yes') found.recommended = { ...RECOMMENDED, at: '2026-01-31T10:00:00Z' };
  const wishes = { ...boolean('enabled', word.enabled), ...boolean('enforce', word.enforce), overrides };
  const record = recordOf({ memory_tuning: wishes }, { containers: [found] });
  if (word.paused === 'record') record.metadata.annotations = PAUSED;
  const gates = gatesOf(word.gate === 'open' ? 'open' : 'closed', word.profile ?? '');
  const now = context(readTuning(record), { gates, namespacePaused: word.paused === 'namespace' });

  const annotations = word.paused === 'workload' ? PAUSED : {};
  const file = (values: Pair<string>) =>
    edited(WORKLOADS[kind]([container('function', values.request, values.limit)]), ({ metadata }) =>
      Object.assign(metadata, { annotations }),
    );
  const written = file(sidesOf(SAYS['what the manifest says'], manifest));
  const running = file(SAYS['what runs']);
  const { object } = admit(requestOf(one, written, running), now);
  // biome-ignore lint/suspicious/noExplicitAny: tests know the shape of their own objects
  return memoryOf((object as any).spec.template.spec.containers[0]);
}

/** The change of which the case tells. */
function requestOf(
  { change, operation }: Record<string, string>,
  written: JsonObject,
  running: JsonObject,
): AdmissionRequest {
  const annotated = (key: string) =>
    edited(running, ({ metadata }) =>
      Object.assign(metadata, { annotations: { ...metadata.annotations, [key]: 'now' } }),
    );
  if (change === 'template') return operation === 'update' ? update(written, running) : create(written);
  if (change === 'request') return update(annotated(ROLLOUT_ANNOTATION), running, { username: OWN_ACCOUNT });
  // A person's note, or a person who writes what only the worker may.
  return update(annotated(operation === 'update' ? 'note' : ROLLOUT_ANNOTATION), running);
}

for (const kind of Object.keys(WORKLOADS) as (keyof typeof WORKLOADS)[]) {
  t.test(`${kind}: every combination of the page's columns gets what the page says`, async (t) => {
    const failed: string[] = [];
    const seen = new Set<Row>();
    let count = 0;
    const sides = ['none', 'request', 'limit', 'both'];
    const more: [string, readonly string[]][] = [
      ['manifest', sides],
      ['operation', ['create', 'update']],
    ];
    const columns = Object.entries({ ...COLUMNS, override: sides });
    for (const one of combinations([...columns, ...more])) {
      // What runs is not of the manifest.
      if (one.change !== 'template' && one.manifest !== 'both') continue;
      if (one.change === 'request' && one.operation !== 'update') continue;
      const got = admitted(kind, one);
      for (const field of ['request', 'limit'] as const) {
        const override = [field, 'both'].includes(one.override ?? '') ? 'yes' : 'no';
        const gets = promised({ ...one, override } as Case);
        const isWritten = gets !== 'what the manifest says' || [field, 'both'].includes(one.manifest ?? '');
        const expected = isWritten ? SAYS[gets][field] : undefined;
        if (got[field] !== expected) failed.push(`${JSON.stringify(one)}: ${field} ${got[field]}, not ${expected}`);
        count += 1;
      }
    }
    t.same(failed.slice(0, 5), []);
    t.ok(count > 10_000, `${count} values were looked at`);
    for (const row of rows) {
      const names = Object.keys(COLUMNS) as Column[];
      for (const one of combinations(Object.entries(COLUMNS)))
        if (rows.find((row) => names.every((name) => row[name].includes(one[name] ?? ''))) === row) seen.add(row);
    }
    t.equal(seen.size, rows.length, 'no row of the page is one that nothing ever reaches');
  });
}

/** The same four for how many requests a pod takes: settings that fit each other in every mixture. */
const SCALES = {
  'the override': { containerConcurrency: 30, target: '20', 'target-burst-capacity': '5' },
  'the applied value': { containerConcurrency: 40, target: '25', 'target-burst-capacity': '6' },
  'what the manifest says': { containerConcurrency: 50, target: '35', 'target-burst-capacity': '7' },
  'what runs': { containerConcurrency: 60, target: '45', 'target-burst-capacity': '8' },
} as const;
type Settings = Partial<Record<keyof (typeof SCALES)['the override'], string | number>>;
const SETTINGS = ['containerConcurrency', 'target', 'target-burst-capacity'] as const;
const isIn = (setting: string, sides = '') =>
  sides === 'both' || sides === (setting === 'containerConcurrency' ? 'hard' : 'soft');
const scalesOf = (settings: Settings, sides: string): Settings =>
  Object.fromEntries(Object.entries(settings).filter(([setting]) => isIn(setting, sides)));

function serviceWith({ containerConcurrency, ...soft }: Settings, annotations: JsonObject): JsonObject {
  const podSpec = containerConcurrency === undefined ? {} : { containerConcurrency };
  const keyed = Object.entries(soft).map(([name, value]) => [AUTOSCALING + name, value]);
  return edited(service([container('function')], podSpec), ({ metadata, spec: { template } }) => {
    Object.assign(metadata, { annotations });
    template.metadata = { annotations: Object.fromEntries(keyed) };
  });
}

/** What the template says after the real admission of that change. */
function scaled(one: Record<string, string>): Map<string, Json> {
  const { override = '', manifest = '', ...word } = one;
  const { containerConcurrency, ...soft } = scalesOf(SCALES['the override'], override);
  const overrides = {
    ...(containerConcurrency !== undefined && { containerConcurrency }),
    annotations: Object.fromEntries(Object.entries(soft).map(([name, value]) => [AUTOSCALING + name, value])),
  };
  const decided = { containerConcurrency: 40, target: 25, targetBurstCapacity: 6, at: '2026-01-31T10:00:00Z' };
  const found = {
    workload: 'KnativeService/orders',
    ...(word.applied === 'yes' && { applied: decided }),
    ...(word.recommended === 'yes' && { recommended: { ...decided, target: 27 } }),
  };
  const wishes = { ...boolean('enabled', word.enabled), ...boolean('enforce', word.enforce) };
  const record = recordOf({ memory_tuning: wishes, knative_tuning: { overrides } } as JsonObject);
  record.status = { nfr_recommendations: { concurrency: { services: [found] } } } as JsonObject;
  if (word.paused === 'record') record.metadata.annotations = PAUSED;
  const gates = gatesOf(word.gate === 'open' ? 'open' : 'closed', word.profile ?? '');
  const now = context(readTuning(record), { gates, namespacePaused: word.paused === 'namespace' });

  const annotations = word.paused === 'workload' ? PAUSED : {};
  const written = serviceWith(scalesOf(SCALES['what the manifest says'], manifest), annotations);
  const running = serviceWith(SCALES['what runs'], annotations);
  return settingsOf(admit(requestOf(one, written, running), now).object);
}

t.test('KnativeService: its concurrency gets what the page says, setting by setting', async (t) => {
  const failed: string[] = [];
  let count = 0;
  const sides = ['none', 'hard', 'soft', 'both'];
  const columns: [string, readonly string[]][] = [
    ...Object.entries({ ...COLUMNS, override: sides }),
    ['manifest', ['none', 'both']],
    ['operation', ['create', 'update']],
  ];
  for (const one of combinations(columns)) {
    if (one.change !== 'template' && one.manifest !== 'both') continue;
    if (one.change === 'request' && one.operation !== 'update') continue;
    const got = scaled(one);
    for (const setting of SETTINGS) {
      const gets = promised({ ...one, override: isIn(setting, one.override) ? 'yes' : 'no' } as Case);
      const isWritten = gets !== 'what the manifest says' || isIn(setting, one.manifest);
      const expected = isWritten ? SCALES[gets][setting] : undefined;
      const value = got.get(setting === 'containerConcurrency' ? setting : AUTOSCALING + setting);
      if (value !== expected) failed.push(`${JSON.stringify(one)}: ${setting} ${value}, not ${expected}`);
      count += 1;
    }
  }
  t.same(failed.slice(0, 5), []);
  t.ok(count > 10_000, `${count} values were looked at`);
});

t.test('a page with a slip of the pen is refused', async (t) => {
  t.throws(() => readTable(page.replace('| open |', '| ajar |')), { message: '"ajar" is none of open, closed' });
  t.throws(() => readTable(page.replace('| the override |', '| nothing |')), /cannot get "nothing"/);
  t.throws(() => readTable(page.replace('| gate |', '| door |')), /the columns are/);
});
