/** Imports go only down the list in the design ("Where code lives"): that is what keeps admission free of I/O. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import t from 'tap';

/** Top of the list first. The last three may import `domain` only; `domain` imports nothing but itself. */
const ORDER = [
  'main',
  'explain',
  'backtest',
  'app',
  'serve',
  'worker',
  'replay',
  'kube',
  'admit',
  'collect',
  'store',
  'record',
  'recommend',
  'domain',
];
const SIDE = ['settings', 'metrics', 'log'];

/** The folders that are functions of their arguments: no module that can reach a disk, a network or a clock's tick. */
const PURE = ['admit', 'store', 'record', 'recommend', 'domain'];

type Import = { file: string; line: number; target: string; typeOnly: boolean };

const root = resolve(import.meta.dirname, '..', 'src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll('\\', '/'));

/** `import … from '…'`, `export … from '…'`, `import '…'`, `import('…')`, `new URL('….ts', import.meta.url)`. */
const SPECIFIER =
  /^(?:import|export)\s+(type\s)?[^;'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|new URL\(\s*['"]([^'"]+\.ts)['"]/gm;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(SPECIFIER)].map((match) => {
    const specifier = match[2] ?? match[3] ?? match[4] ?? match[5] ?? '';
    const target = specifier.startsWith('.')
      ? relative(root, resolve(root, file, '..', specifier)).replaceAll('\\', '/')
      : specifier;
    return { file, line: text.slice(0, match.index).split('\n').length, target, typeOnly: match[1] !== undefined };
  });
}

const imports = files.flatMap(importsOf);
const inside = imports.filter(({ target }) => files.includes(target));
const outside = imports.filter(({ target }) => !files.includes(target));

const part = (file: string) => file.split('/')[0]?.replace(/\.ts$/, '') ?? '';
const shown = (found: Import[]) => found.map(({ file, line, target }) => `src/${file}:${line} imports ${target}`);

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (SIDE.includes(from) || to === 'domain') return to === 'domain' && from !== 'domain';
  if (SIDE.includes(to)) return from !== 'domain';
  return ORDER.indexOf(from) < ORDER.indexOf(to);
}

t.test('every file of src has a place in the design', async (t) => {
  t.ok(files.length > 30, 'the files were found');
  t.strictSame(
    files.filter((file) => ![...ORDER, ...SIDE].includes(part(file))),
    [],
  );
});

t.test('imports go down the list only', async (t) => {
  t.ok(inside.length > 100, 'the imports were found');
  t.strictSame(shown(inside.filter(({ file, target }) => !mayImport(part(file), part(target)))), []);
});

t.test('every relative import names a file that exists', async (t) => {
  t.strictSame(shown(outside.filter(({ target }) => target.endsWith('.ts'))), []);
});

t.test('only kube imports the Kubernetes client, by the one file that the image bundles', async (t) => {
  const clients = outside.filter(({ target }) => target === '#kubernetes');
  t.ok(clients.length > 0, 'the imports were found');
  t.strictSame(shown(clients.filter(({ file }) => part(file) !== 'kube')), []);
  const past = outside.filter(({ target }) => target.startsWith('@kubernetes/'));
  t.strictSame([...new Set(past.map(({ file }) => file))], ['kube/client.ts']);
});

t.test('what is pure imports no package and nothing of Node', async (t) => {
  t.strictSame(shown(outside.filter(({ file }) => PURE.includes(part(file)))), []);
});

t.test('admission reaches no client, no network and no file, over all that it imports', async (t) => {
  const reached = new Set(files.filter((file) => part(file) === 'admit'));
  for (const file of reached) for (const { target } of inside.filter((one) => one.file === file)) reached.add(target);
  t.strictSame(
    [...reached].filter((file) => !['admit', 'store', 'record', 'domain'].includes(part(file))),
    [],
  );
  t.strictSame(shown(outside.filter(({ file }) => reached.has(file))), []);
});

t.test('no two files import each other, not even in a circle', async (t) => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (path.includes(file) || done.has(file)) return;
    // A type is gone when the program runs: two files may know each other's.
    for (const { target } of inside.filter((one) => one.file === file && !one.typeOnly)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  t.strictSame(circles, []);
});
