/** The command as a person runs it, on samples that the test makes itself. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { run as runBeside } from './cluster/command.ts';
import { playPrometheus, sendJson } from './collect/played-prometheus.ts';

const folder = mkdtempSync(join(tmpdir(), 'backtest-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const out = join(folder, 'out');
const script = join(import.meta.dirname, '../src/backtest.ts');

function run(args: string[], env: Record<string, string> = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [script, ...args, '--out', out], options);
}

/** Half a day of one sample a minute: one container that is steady, and one that doubles at noon. */
const minutes = Array.from({ length: 720 }, (_, minute) => minute);
const samples = join(folder, 'samples.csv');
writeFileSync(
  samples,
  [
    'container,timestamp_s,bytes',
    ...minutes.flatMap((minute) => [
      `steady,${minute * 60},${400 * 2 ** 20}`,
      `doubles,${minute * 60},${(minute < 600 ? 400 : 800) * 2 ** 20}`,
    ]),
  ].join('\n'),
);

t.test('a table, a comparison, a report and drawings', async (t) => {
  const { status, stdout, stderr } = run(['--samples', samples, '--manifest', '1Gi/2Gi']);
  t.equal(status, 0, stderr);
  t.match(stdout, '1440 samples of 2 containers');
  for (const policy of ['ours, requirement', 'ours, adaptive', 'VPA', 'KRR', 'manifest']) {
    t.match(stdout, new RegExp(`^\\| ${policy} +\\| \\d+ `, 'm'));
  }
  t.match(stderr, /replaying: +100%\n/);
  const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
  t.match(report.policies.manifest, { kills: 0, containers: 2 });
  // 400Mi + 15 % are 460Mi, which the doubling kills until the next full hour's scan, and then again with 529Mi, 609Mi.
  t.match(report.containers.doubles.policies.KRR, { kills: 120 });
  t.equal(report.containers.steady.policies.KRR.kills, 0);
  t.ok(report.containers.steady.policies['ours, requirement'].changes > 0);
  t.same(
    readdirSync(out).filter((name) => name.endsWith('.svg')),
    ['01-doubles.svg', '02-steady.svg'],
  );
});

t.test('our rules are those of the environment', async (t) => {
  const { stdout } = run(['--samples', samples], { OPRC_CRM_MEMORY_RULES: 'adaptive' });
  t.match(stdout, 'containers, beside ours, adaptive');
  const { status, stderr } = run(['--samples', samples], { OPRC_CRM_STEP_PERCENT: '300' });
  t.equal(status, 2);
  t.match(stderr, 'OPRC_CRM_STEP_PERCENT: "300" is not a whole number from 1 to 100');
});

t.test('wrong arguments end with 2, and say what is allowed', async (t) => {
  const cases: [args: string[], says: RegExp][] = [
    [[], /^either --samples or --prometheus\nusage: /],
    [['--samples', samples, '--prometheus', 'http://127.0.0.1:1'], /^either --samples or --prometheus/],
    [['--samples', samples, '--manifest', '1Gi'], /^--manifest: "1Gi" is not <request>\/<limit>/],
    [['--samples', samples, '--manifest', '2Gi/1Gi'], /^--manifest: the request 2Gi is above the limit 1Gi/],
    [['--samples', samples, '--manifest', '1Gi/much'], /^--manifest: "much" is not a quantity/],
    [['--samples', samples, '--part', 'half'], /^--part: "half" is none of all, tuning, kept-back/],
    [['--prometheus', 'http://127.0.0.1:1', '--days', '0'], /^--days: "0" is not a number/],
    [['--prometheus', 'http://127.0.0.1:1', '--namespace', 'a b'], /^--namespace: "a b" is no name/],
    [['--sample', samples], /Unknown option '--sample'/],
  ];
  for (const [args, says] of cases) {
    const { status, stderr } = run(args);
    t.equal(status, 2, args.join(' '));
    t.match(stderr, says);
  }
});

t.test('files that are not there, or hold nothing, end with 1', async (t) => {
  const missing = run(['--samples', join(folder, 'missing.csv')]);
  t.equal(missing.status, 1);
  t.match(missing.stderr, 'ENOENT');
  writeFileSync(join(folder, 'empty.csv'), 'container,timestamp_s,bytes\n');
  const empty = run(['--samples', join(folder, 'empty.csv')]);
  t.equal(empty.status, 1);
  t.match(empty.stderr, 'there are no samples to go by');
});

t.test('out of Prometheus: a few hours at a time, fewer where that is too much, with what ran', async (t) => {
  const labels = { namespace: 'shop', workload: 'orders', container: 'function' };
  const asked: { range: number; at: number }[] = [];
  const played = await playPrometheus(({ form }, response) => {
    const [query, at] = [form.get('query') ?? '', Number(form.get('time'))];
    const minutes = /\)\[(\d+)(h|m):1m\]$/.exec(query);
    if (!minutes) {
      const result = ['request', 'limit'].map((statistic, index) => {
        return { metric: { ...labels, statistic }, value: [at, String((index + 1) * 2 ** 30)] };
      });
      return sendJson(response, { status: 'success', data: { resultType: 'vector', result } });
    }
    const range = Number(minutes[1]) * (minutes[2] === 'h' ? 60 : 1);
    asked.push({ range, at });
    if (range > 180)
      return sendJson(response, { status: 'error', error: 'query processing would load too many samples' }, 422);
    const values = Array.from({ length: range }, (_, minute) => [
      at - (range - 1 - minute) * 60,
      String(400 * 2 ** 20),
    ]);
    return sendJson(response, {
      status: 'success',
      data: { resultType: 'matrix', result: [{ metric: { ...labels, statistic: 'bytes' }, values }] },
    });
  });
  t.teardown(() => played.close());
  const args = [script, '--prometheus', played.url, '--days', '0.5', '--namespace', 'shop', '--out', out];
  // Beside this process, which has to answer.
  const { code, stdout, stderr } = await runBeside(process.execPath, args, '', {});
  t.equal(code, 0, stderr);
  t.match(stdout, '720 samples of 1 containers');
  t.same(
    asked.slice(0, 5).map(({ range }) => range),
    [360, 180, 180, 180, 180],
  );
  const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
  t.same(report.containers['shop/orders/function'].manifest, { request: 2 ** 30, limit: 2 ** 31 });
  t.equal(report.policies.manifest.overRequest.value, 1 - 400 / 1024);
  t.ok(played.questions.every(({ form }) => /namespace=~"shop"/.test(form.get('query') ?? '')));
});
