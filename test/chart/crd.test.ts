/** The CRD declares what the worker writes: the API server drops every field of ours that it does not find there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { knownPast } from '../../src/worker/known-past.ts';
import { MINUTE, NOW, rulesFrom } from '../recommend/rules.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { deployment, measured, playCluster, record } from '../worker/played-cluster.ts';
import { CHART } from './helm.ts';

type Schema = { type?: string; properties?: Record<string, Schema>; items?: Schema; additionalProperties?: Schema };

const crd = parse(readFileSync(join(CHART, 'crds/deploymentrecords.yaml'), 'utf8'));
const { status } = crd.spec.versions[0].schema.openAPIV3Schema.properties;
const memory: Schema = status.properties.nfr_recommendations.properties.memory;

/** Paths of what the schema does not declare, or declares as something else. */
function undeclared(value: unknown, schema: Schema | undefined, path: string): string[] {
  if (!schema) return [path];
  if (Array.isArray(value)) {
    return schema.type === 'array' ? value.flatMap((one) => undeclared(one, schema.items, `${path}[]`)) : [path];
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, one]) =>
      undeclared(one, schema.properties?.[key] ?? schema.additionalProperties, `${path}.${key}`),
    );
  }
  const is = Number.isInteger(value) ? ['integer', 'number'] : [typeof value];
  return is.includes(schema.type ?? '') ? [] : [`${path} is a ${is[0]}`];
}

t.test('everything that a status says while values are applied, proven and taken back', async (t) => {
  const cluster = playCluster([record('orders', { enforce: true })], [deployment('orders', '512Mi/1Gi')]);
  const known = knownPast(
    {
      kills: async () => ({ before: 2, after: 0, overSeconds: 7200 }),
      trial: async () => ({ passed: true, kills: { manifest: 1, tuned: 0 }, message: 'over 7 days' }),
    },
    true,
    listenedLog().log,
  );
  const rules = rulesFrom({ OPRC_CRM_LIMIT_MAX_FACTOR: '1.2' });
  const seen = new Set<string>();
  for (let minute = 0; minute < 95; minute += 1) {
    const killed = minute === 85 ? { oomLimit: 512 * 2 ** 20 } : {};
    const usage = async () => measured(['Deployment/orders'], 110, 180, 210, killed);
    await cluster.work(usage, NOW + minute * MINUTE, { known, rules });
    await Promise.all([known.kills?.idle(), known.trials?.idle()]);
    const written = cluster.status('orders') ?? {};
    for (const path of undeclared(written, memory, 'memory')) t.fail(path);
    for (const key of Object.keys(written)) seen.add(key);
  }
  for (const key of ['containers', 'rollouts', 'history', 'outcome', 'backtest', 'evidence']) t.ok(seen.has(key), key);
  t.match(cluster.status('orders')?.outcome, { kills_over: '2h' });
});

t.test('a field that is not there, or of another type, is found', async (t) => {
  t.strictSame(
    undeclared({ phase: 'NoData', workloads: '3', outcome: { sinc: 'x' }, containers: [{ nam: 1 }] }, memory, 'memory'),
    ['memory.workloads is a string', 'memory.outcome.sinc', 'memory.containers[].nam'],
  );
});
