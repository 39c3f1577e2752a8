/** The chart's values know every setting of the table, and nothing else. */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { settingsList } from '../../src/settings.ts';
import { CHART } from './helm.ts';

/** What the chart decides itself, from its other values. */
const DECIDED = ['OAAS_TUNER_NAMESPACE', 'OAAS_TUNER_CERTIFICATES', 'OAAS_TUNER_TLS_DIR', 'OAAS_TUNER_CLIENT_CA'];

const offered = settingsList().filter(({ env }) => !DECIDED.includes(env));
const [valuesFile, schemaFile] = [`${CHART}/values.yaml`, `${CHART}/values.schema.json`];

const BLOCK = /( {2}# <settings>\n)([\s\S]*?)( {2}# <\/settings>\n)/;
const block = offered
  .map(({ env, initial, allowed, says }) => `  # ${says}\n  # ${env}: ${initial || "''"}  # ${allowed}\n`)
  .join('');
const properties = Object.fromEntries(
  offered.map(({ env, says, allowed, schema }) => [env, { description: `${says} Allowed: ${allowed}.`, ...schema }]),
);

if (process.env.UPDATE_CHART) {
  const values = readFileSync(valuesFile, 'utf8').replace(BLOCK, (_, start, __, end) => start + block + end);
  writeFileSync(valuesFile, values);
  const schema = JSON.parse(readFileSync(schemaFile, 'utf8'));
  schema.properties.settings.properties = properties;
  writeFileSync(schemaFile, `${JSON.stringify(schema, null, 2)}\n`);
}

t.test('values.yaml tells every setting with its default', async (t) => {
  const [, , written] = BLOCK.exec(readFileSync(valuesFile, 'utf8')) ?? [];
  t.equal(written, block, 'if not: UPDATE_CHART=1 npx tap test/chart/values.test.ts');
});

t.test('the schema knows every setting, and no other', async (t) => {
  const { settings } = JSON.parse(readFileSync(schemaFile, 'utf8')).properties;
  t.strictSame(settings.properties, properties, 'if not: UPDATE_CHART=1 npx tap test/chart/values.test.ts');
  t.equal(settings.additionalProperties, false, 'a typing error is refused');
});

type Schema = { properties?: Record<string, Schema> };

t.test('every value has its place in the schema', async (t) => {
  const walk = (values: Record<string, unknown>, schema: Schema, path: string) => {
    for (const [key, value] of Object.entries(values)) {
      const known = schema.properties?.[key];
      t.ok(known, `${path}${key}`);
      if (known?.properties && value) walk(value as Record<string, unknown>, known, `${path}${key}.`);
    }
  };
  walk(parse(readFileSync(valuesFile, 'utf8')), JSON.parse(readFileSync(schemaFile, 'utf8')), '');
});
