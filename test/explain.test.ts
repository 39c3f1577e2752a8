/** The command as a person runs it, without a cluster; test/cluster/explain.test.ts has the one with. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { stringify } from 'yaml';
import type { RecordResource } from '../src/domain/record.ts';
import { container, deployment } from './admit/objects.ts';
import { steady, values } from './recommend/looks.ts';
import { live, memoryOfRecord, moment } from './record/lives.ts';

const SEED = moment({ usage: steady(110, 180, 210) });
const rolledOut = () => live(values(256, 512), [SEED, { ...SEED, minutes: 1 }]);

function run(args: string[], input = '', env: Record<string, string> = {}) {
  const options = {
    cwd: join(import.meta.dirname, '..'),
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['src/explain.ts', ...args], options);
  return { status, stdout, stderr };
}
const withWorkload = (record: RecordResource, memory: string) => {
  const [request, limit] = memory.split('/');
  return `${stringify(record)}---\n${stringify(deployment([container('function', request, limit)]))}`;
};

t.test('a file with a record and its workload: every number matches', async (t) => {
  const { status, stdout, stderr } = run(['--file', '-'], withWorkload(rolledOut(), '224Mi/368Mi'));
  t.equal(status, 0, stdout + stderr);
  t.match(stdout, '✓ runs         224Mi/368Mi (applied)');
  t.match(stdout, 'Every number is explained, and matches.');
});

t.test('the record alone, as JSON, or as a list', async (t) => {
  const record = rolledOut();
  for (const text of [JSON.stringify(record), stringify({ kind: 'List', items: [record] })]) {
    const { status, stdout, stderr } = run(['--file', '-'], text);
    t.equal(status, 0, stdout + stderr);
    t.match(stdout, /✓ last seen +224Mi\/368Mi/);
  }
});

t.test('a number that does not match ends with 1, and says which', async (t) => {
  const record = rolledOut();
  Object.assign(memoryOfRecord(record).containers[0]?.recommended as object, { request: '240Mi' });
  const { status, stdout } = run(['--file', '-'], withWorkload(record, '224Mi/368Mi'));
  t.equal(status, 1);
  t.match(stdout, /✗ recommended +240Mi\/336Mi since .*: by its evidence it is 224Mi\/336Mi/);
});

t.test('why admission leaves a container alone is said in its own words', async (t) => {
  const record = live(values(256, 512), [{ ...SEED, enforced: false, override: { request: '1Gi' } }]);
  const { stdout } = run(['--file', '-'], withWorkload(record, '256Mi/512Mi'));
  t.match(stdout, 'left alone: request-above-limit');
});

t.test('nothing to explain ends with 2, and one line that says why', async (t) => {
  const cases: [args: string[], input: string, says: string][] = [
    [[], '', 'usage: explain <namespace>/<record>'],
    [['orders'], '', 'usage: explain <namespace>/<record>'],
    [['--file'], '', 'usage: explain <namespace>/<record>'],
    [['--file', 'no-such-file.yaml'], '', 'no such file'],
    [['--file', '-'], 'kind: ConfigMap', '- holds no DeploymentRecord'],
  ];
  for (const [args, input, says] of cases) {
    const { status, stderr } = run(args, input);
    t.equal(status, 2, args.join(' '));
    t.match(stderr, says);
    t.equal(stderr.trim().split('\n').length, 1);
  }
});

t.test('newer OaaS calls the kind ClassRuntime', async (t) => {
  const record = { ...rolledOut(), kind: 'ClassRuntime' };
  t.equal(run(['--file', '-'], stringify(record), { OAAS_TUNER_RECORD_KIND: 'ClassRuntime' }).status, 0);
});
