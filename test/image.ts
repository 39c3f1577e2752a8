/** The image as its Dockerfile says it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

export const root = join(import.meta.dirname, '..');

const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');

/** What stands behind each instruction of that name, in order. */
export const instruction = (name: string) =>
  lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

/** What the image sets. */
export const environment: Record<string, string> = Object.fromEntries(
  instruction('ENV').flatMap((line) => line.split(' ').map((pair) => pair.split(/=(.*)/) as [string, string])),
);

/** The commands that install the packages, make the bundle, and fill the cache of compiled code. */
export const [INSTALL = '', BUNDLE = '', COMPILE = ''] = instruction('RUN');

/** As Docker runs it, on the Node that runs us. */
export async function run(command: string, cwd: string, env: Record<string, string | undefined> = {}): Promise<void> {
  const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
  await promisify(execFile)('/bin/sh', ['-c', command], { cwd, env: { ...env, PATH }, timeout: 120_000 });
}
