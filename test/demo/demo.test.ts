import { execFile } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const demo = join(import.meta.dirname, 'demo.ts');
const records = join(import.meta.dirname, 'records');

type Run = { code: number; out: string; err: string; seconds: number };

function run(args: string[] = [], env: Record<string, string> = {}): Promise<Run> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [demo, ...args], { env: { ...process.env, ...env } }, (_, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** Without what differs from run to run: times, the port, and the heading's line that makes room for them. */
function lasting(out: string): string {
  return out
    .replaceAll(/\d+\.\d (ms|s)\b/g, 'N $1')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:N')
    .replaceAll(/─+/g, '─');
}

t.test('two demos at once tell the same story and leave nothing behind', async (t) => {
  const folder = t.testdir();
  const [one, other] = (await Promise.all([run([], { TMPDIR: folder }), run([], { TMPDIR: folder })])) as [Run, Run];
  for (const { code, err, seconds } of [one, other]) {
    t.equal(code, 0);
    t.equal(err, '');
    t.ok(seconds < 60, `took ${seconds.toFixed(1)} s`);
  }
  t.equal(lasting(one.out), lasting(other.out));
  t.same(readdirSync(folder), [], 'no certificate left');

  const lines = one.out.trimEnd().split('\n');
  t.ok(lines.length <= 50, `${lines.length} lines`);
  t.same(
    lines.filter((line) => line.length > 100),
    [],
    'no line wider than 100',
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
  t.notMatch(one.out, /\u001b/, 'no escape codes without a terminal');

  t.match(one.out, /orders\/function .* 512Mi\/768Mi +288Mi\/432Mi/, 'manifest and recommendation');
  t.match(one.out, 'p95-based with 20% headroom: 280.8Mi', 'the reason');
  t.match(one.out, /- +requests: { cpu: 250m, memory: 512Mi }/, 'what was sent');
  t.match(one.out, /\+ +requests: { cpu: 250m, memory: 368Mi }/, 'what came back');
  t.match(one.out, 'Warning: oaas-tuner: function memory 512Mi/768Mi -> 368Mi/544Mi', 'what kubectl prints');
  t.match(one.out, /request +512Mi +368Mi +600M +600M/, 'the override, to the letter');
  t.match(one.out, /label .* 368Mi\/544Mi stays +nothing to change/, 'a label changes nothing');
  t.match(one.out, /was "512mb"; ignored/, 'why the slip is ignored');
});

t.test("the screen follows the record: another override is another answer's value", async (t) => {
  const folder = edited(t.testdir(), 'request: 600M', 'limit: 1.5Gi');
  const { code, out } = await run([folder]);
  t.equal(code, 0);
  t.match(out, /limit +1Gi +720Mi +1.5Gi +1.5Gi/);
});

t.test('it fits a terminal of 80 columns', async (t) => {
  const { code, out } = await run([], { COLUMNS: '80' });
  t.equal(code, 0);
  t.same(
    out.split('\n').filter((line) => line.length > 80),
    [],
  );
});

t.test('when the server does not do what the story says, the demo says both and fails', async (t) => {
  const { code, err } = await run([edited(t.testdir(), 'api: { request: 600M }', 'other: { request: 600M }')]);
  t.equal(code, 1);
  t.match(err, 'not as told: expected: an override for api in the record payments\n  but got:  {}');
});

/** @returns a copy of the records in which payments.yaml differs */
function edited(folder: string, from: string, to: string): string {
  cpSync(records, folder, { recursive: true });
  const file = join(folder, 'payments.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
  return folder;
}
