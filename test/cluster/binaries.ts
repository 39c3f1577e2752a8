import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { build, builtFolder, cacheFolder } from './build.ts';
import { definitionOf, type PartName, parts, versionOf } from './parts.ts';

/** Whether the programs that a test needs are here or can be made here, and if not, what a person can do about it. */
export type Availability = { ok: true } | { ok: false; why: string };

/**
 * Says at once, without building anything, whether `ensureBinaries` can deliver the parts. A test that cannot run skips
 * with `why`, which names what is missing and how to get it.
 */
export function available(wanted: readonly PartName[] = Object.keys(parts) as PartName[]): Availability {
  const missing = wanted.filter((name) => prebuilt(name) === undefined && !existsSync(builtFolder(name)));
  if (missing.length === 0) return { ok: true };
  const problem = goProblem();
  if (problem === undefined) return { ok: true };
  const programs = missing.map((name) => `${Object.keys(definitionOf(name).binaries).join(', ')} (${versionOf(name)})`);
  const hint = missing.every((name) => name === 'apiserver' || name === 'etcd')
    ? ', or a folder that holds them in KUBEBUILDER_ASSETS'
    : '';
  return {
    ok: false,
    why: `needs ${programs.join('; ')}: built from source with Go 1.26 or newer${hint}. ${problem}. Install it from https://go.dev/dl and run again.`,
  };
}

/**
 * Makes sure that every program of the parts exists and gives the folder that holds them all, by name: `kubectl`, `helm`,
 * `promtool`… The first time this builds from source for minutes; after that it takes milliseconds and needs neither Go nor a network.
 */
export async function ensureBinaries(
  wanted: readonly PartName[],
  say: (line: string) => void = () => {},
): Promise<string> {
  const can = available(wanted);
  if (!can.ok) throw new Error(`The test cluster ${can.why}`);
  const folders: [PartName, string][] = [];
  for (const name of wanted) folders.push([name, prebuilt(name) ?? (await build(name, say))]);
  return linkTogether(folders);
}

/** The ecosystem's own variable for a folder with an API server and its etcd. It holds no other part. */
function prebuilt(name: PartName): string | undefined {
  const folder = process.env.KUBEBUILDER_ASSETS;
  if (!folder || (name !== 'apiserver' && name !== 'etcd')) return undefined;
  return Object.keys(definitionOf(name).binaries).every((program) => existsSync(join(folder, program)))
    ? folder
    : undefined;
}

function goProblem(): string | undefined {
  let said: string;
  try {
    said = execFileSync('go', ['version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return 'No go is on the PATH';
  }
  const [, major, minor] = /\bgo(\d+)\.(\d+)/.exec(said) ?? [];
  if (Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 26)) return undefined;
  return `The go on the PATH says "${said.trim()}"`;
}

/** One folder of links, so that a caller needs one path; made whole under another name, so that two runs can make it at once. */
function linkTogether(folders: [PartName, string][]): string {
  const hash = createHash('sha256').update(JSON.stringify(folders)).digest('hex').slice(0, 12);
  const target = join(cacheFolder(), `bin-${hash}`);
  if (existsSync(target)) return target;
  const temporary = `${target}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  for (const [name, folder] of folders) {
    const { binaries, folders: others = {} } = definitionOf(name);
    for (const entry of [...Object.keys(binaries), ...Object.keys(others)])
      symlinkSync(join(folder, entry), join(temporary, entry));
  }
  try {
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (readdirSync(target).length === 0) throw error;
  }
  return target;
}
