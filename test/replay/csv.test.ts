/** Samples out of files, as people have them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { Gi } from '../../src/domain/quantity.ts';
import { CsvError, type CsvOptions, csvFiles, readCsv } from '../../src/replay/csv.ts';
import type { Row } from '../../src/replay/side-by-side.ts';

const folder = mkdtempSync(join(tmpdir(), 'csv-'));
t.teardown(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text);
  return path;
}

async function rows(path: string, options: CsvOptions = {}): Promise<Row[]> {
  const taken: Row[] = [];
  await readCsv(csvFiles(path), options, (row) => taken.push(row));
  return taken;
}

t.test('bytes, in any order of columns, with or without the last line break', async (t) => {
  const expected = [
    { container: 'a', at: 60_000, bytes: 100 },
    { container: 'b', at: 60_000, bytes: 5.5 },
  ];
  t.same(await rows(file('a.csv', 'bytes,container,timestamp_s\n100,a,60\n5.5,b,60')), expected);
  t.same(await rows(file('crlf.csv', 'container,timestamp_s,bytes,note\r\na,60,100,x\r\nb,60,5.5,\r\n')), expected);
});

t.test('compressed, and a utilization of a capacity', async (t) => {
  const path = file('u.csv.gz', 'container,timestamp_s,utilization\na,60,0.25\n');
  t.same(await rows(path, { capacity: 2 * Gi }), [{ container: 'a', at: 60_000, bytes: Gi / 2 }]);
});

t.test('a manifest where the file knows it', async (t) => {
  const [first, second, third] = await rows(
    file('m.csv', 'container,timestamp_s,bytes,request_bytes,limit_bytes\na,60,1,5,9\na,61,1,,9\na,62,1,,\n'),
  );
  t.same(first?.manifest, { request: 5, limit: 9 });
  t.same(second?.manifest, { limit: 9 });
  t.notOk(third?.manifest);
});

t.test('a file that is longer than a chunk loses nothing at the seams', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `container-${index % 7},${index},${index * 3}`);
  const taken = await rows(file('long.csv', `container,timestamp_s,bytes\n${lines.join('\n')}\n`));
  t.equal(taken.length, 20_000);
  t.ok(taken.every(({ at, bytes }, index) => at === index * 1000 && bytes === index * 3));
});

t.test('a folder is read file by file, in the order of their names', async (t) => {
  const inner = mkdtempSync(join(folder, 'many-'));
  writeFileSync(join(inner, '2.csv'), 'container,timestamp_s,bytes\na,120,2\n');
  writeFileSync(join(inner, '1.csv.gz'), gzipSync('container,timestamp_s,bytes\na,60,1\n'));
  writeFileSync(join(inner, 'README.md'), 'not this');
  t.same(
    (await rows(inner)).map(({ bytes }) => bytes),
    [1, 2],
  );
  t.throws(() => csvFiles(mkdtempSync(join(folder, 'none-'))), /holds no \.csv and no \.csv\.gz/);
});

t.test('progress goes from something to all', async (t) => {
  const shares: number[] = [];
  const path = file('p.csv', 'container,timestamp_s,bytes\na,60,1\n');
  await readCsv([path, path], { progress: (share) => shares.push(share) }, () => {});
  t.same(shares, [0.5, 1]);
});

t.test('what is wrong is told with its place', async (t) => {
  const cases: [text: string, says: RegExp][] = [
    ['a,b\n', /line 1: "a,b" must name the columns container, timestamp_s, and bytes or utilization/],
    ['container,timestamp_s,utilization\na,60,0.5\n', /line 1: a utilization needs to know of what: --capacity 2Gi/],
    ['container,timestamp_s,bytes\na,60,many\n', /line 2: bytes "many" is not a number from 0 on/],
    ['container,timestamp_s,bytes\na,60,-1\n', /line 2: bytes "-1" is not a number from 0 on/],
    ['container,timestamp_s,bytes\n\na,60\n', /line 3: "a,60" lacks a container, a timestamp_s or a value/],
    ['container,timestamp_s,bytes\n,60,1\n', /line 2: ",60,1" lacks a container/],
  ];
  for (const [index, [text, says]] of cases.entries()) {
    const error = await rows(file(`wrong-${index}.csv`, text)).catch((error) => error);
    t.type(error, CsvError);
    t.match(error.message, says);
  }
});

t.test('a compressed file that is cut off is told, not taken for the whole', async (t) => {
  const path = join(folder, 'cut.csv.gz');
  writeFileSync(path, gzipSync(`container,timestamp_s,bytes\n${'a,60,1\n'.repeat(5000)}`).subarray(0, 60));
  await t.rejects(rows(path), /unexpected end of file/);
});
