import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { formatBytes, Gi, Mi, parseQuantity, readBytes, sameQuantity } from '../../src/domain/quantity.ts';

const NANO = 1_000_000_000n;

t.test('a quantity means what the API server takes it for', async (t) => {
  const meanings: [text: string, units: bigint][] = [
    ['1e9', 1_000_000_000n],
    ['129M', 129_000_000n],
    ['.5Gi', 536_870_912n],
    ['2Gi', 2_147_483_648n],
    ['128974848000m', 128_974_848n],
    ['5.', 5n],
    ['+5', 5n],
    ['-5', -5n],
    ['-1.5Ki', -1536n],
    ['1k', 1000n],
    ['1Ki', 1024n],
    ['0', 0n],
    ['0Mi', 0n],
  ];
  for (const [text, units] of meanings) t.equal(parseQuantity(text), units * NANO, text);
});

t.test('E is exa when nothing follows it, and an exponent when a number does', async (t) => {
  t.equal(parseQuantity('1E'), 10n ** 18n * NANO);
  t.equal(parseQuantity('1E3'), 1000n * NANO);
  t.equal(parseQuantity('1e3'), 1000n * NANO);
  t.equal(parseQuantity('1E-3'), NANO / 1000n);
  t.equal(parseQuantity('1Ei'), 2n ** 60n * NANO);
});

t.test('what the API server refuses is no quantity', async (t) => {
  for (const text of [
    '',
    '64mi',
    '64MB',
    '64K',
    '1.5.2',
    '12 Gi',
    ' 12Gi',
    '12Gi\n',
    '1e',
    '1e+',
    '0x10',
    '1_000',
    '--1',
    'NaN',
    'Infinity',
    '١',
  ]) {
    t.equal(parseQuantity(text), undefined, JSON.stringify(text));
  }
  for (const value of [undefined, null, true, {}, [], ['1Gi'], Number.NaN, Number.POSITIVE_INFINITY]) {
    t.equal(parseQuantity(value), undefined, String(value));
  }
});

t.test('JSON may carry a number instead of text', async (t) => {
  t.equal(parseQuantity(134_217_728), 134_217_728n * NANO);
  t.equal(parseQuantity(0.5), NANO / 2n);
  t.equal(parseQuantity(1e21), 10n ** 21n * NANO, 'which JavaScript prints as 1e+21');
});

t.test('amounts are exact beyond 2^53', async (t) => {
  t.equal(parseQuantity('9007199254740993'), 9_007_199_254_740_993n * NANO);
  t.notOk(sameQuantity('9007199254740993', '9007199254740992'));
  t.notOk(sameQuantity('0.1', '0.2'), 'and below one byte');
});

t.test('what is smaller than a billionth is rounded up to one, as in the API server', async (t) => {
  t.equal(parseQuantity('1n'), 1n);
  t.equal(parseQuantity('0.1n'), 1n);
  t.equal(parseQuantity('-0.1n'), -1n);
  t.equal(parseQuantity('0.0n'), 0n);
});

t.test('amounts with a binary unit end at 2^63 - 1, as in the API server; decimal ones do not', async (t) => {
  const cap = (2n ** 63n - 1n) * NANO;
  t.equal(parseQuantity('8191Pi'), 8191n * 2n ** 50n * NANO);
  t.equal(parseQuantity('8Ei'), cap);
  t.equal(parseQuantity('-9Ei'), -cap);
  t.ok(sameQuantity('9Ei', '8Ei'));
  t.equal(parseQuantity('10E'), 10n ** 19n * NANO);
});

t.test('an exponent of any size is read without much work', async (t) => {
  t.ok((parseQuantity('1e999999999') ?? 0n) > 10n ** 60n);
  t.equal(parseQuantity('1e-999999999'), 1n);
  t.equal(parseQuantity('0e999999999'), 0n);
});

// quantities.json was printed by a Go program that calls k8s.io/apimachinery v0.37.2 `resource.ParseQuantity` and
// `AsDec()`, in billionths of the unit: numbers of each shape with each suffix, likely slips of people, and texts made at
// random (seed 1) from the characters that occur in quantities.
t.test('every text of the table is read as the API server reads it', async (t) => {
  const table: Record<string, string> = JSON.parse(readFileSync(new URL('./quantities.json', import.meta.url), 'utf8'));
  // A unit without a number is nothing (`Ki` is 0) to the API server too, but for large units its slow path refuses it.
  const refusedForItsSlowPath = ['Ei', 'Pi', '.Ei'];
  let wrong = 0;
  for (const [text, expected] of Object.entries(table)) {
    const found = parseQuantity(text)?.toString() ?? 'refused';
    if (refusedForItsSlowPath.includes(text)) t.same([expected, found], ['refused', '0'], text);
    else if (found !== expected) {
      wrong += 1;
      t.fail(`${JSON.stringify(text)} is ${expected}, was read as ${found}`);
    }
  }
  t.equal(wrong, 0, `${Object.keys(table).length} texts`);
});

t.test('bytes are whole, rounded up', async (t) => {
  t.equal(readBytes('1Gi'), Gi);
  t.equal(readBytes('128974848000m'), 128_974_848);
  t.equal(readBytes('1m'), 1);
  t.equal(readBytes('1001m'), 2);
  t.equal(readBytes('1000m'), 1);
  t.equal(readBytes('-1500m'), -1);
  t.equal(readBytes('0'), 0);
  t.equal(readBytes('64mi'), undefined);
});

t.test('two spellings of one amount are the same', async (t) => {
  t.ok(sameQuantity('1Gi', '1024Mi'));
  t.ok(sameQuantity('1073741824', 1_073_741_824));
  t.ok(sameQuantity('0.5', '500m'));
  t.notOk(sameQuantity('1Gi', '1G'));
});

t.test('what is no quantity is the same only as itself', async (t) => {
  t.ok(sameQuantity('64mi', '64mi'));
  t.ok(sameQuantity(undefined, undefined));
  t.notOk(sameQuantity('64mi', '64MI'));
  t.notOk(sameQuantity(undefined, '64Mi'));
  t.notOk(sameQuantity(undefined, null));
});

t.test('bytes are printed in the largest unit that is exact', async (t) => {
  const printed: [bytes: number, text: string][] = [
    [0, '0'],
    [1, '1'],
    [1000, '1000'],
    [1023, '1023'],
    [1024, '1Ki'],
    [1025, '1025'],
    [Mi - 1024, '1023Ki'],
    [224 * Mi, '224Mi'],
    [Gi, '1Gi'],
    [1.5 * Gi, '1536Mi'],
    [1024 ** 4, '1Ti'],
    [1024 ** 6, '1Ei'],
  ];
  for (const [bytes, text] of printed) t.equal(formatBytes(bytes), text);
});

t.test('what is printed reads back as the same number of bytes', async (t) => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      t.equal(readBytes(formatBytes(bytes)), bytes);
    }),
    { seed: 20260131, numRuns: 500 },
  );
});

t.test('anything at all can be asked for its meaning', async (t) => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (a, b) => {
      parseQuantity(a);
      readBytes(a);
      sameQuantity(a, b);
      return sameQuantity(a, a) || Number.isNaN(a);
    }),
    { seed: 20260131, numRuns: 2000 },
  );
  t.pass();
});
