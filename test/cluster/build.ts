import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { definitionOf, moduleFolder, type PartName, versionOf } from './parts.ts';

/** Where built parts stay between runs. Removing it costs nothing but the time to build them again. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'oaas-tuner');
}

/** The folder of one built part: its name changes with everything that its content depends on. */
export function builtFolder(name: PartName): string {
  const { binaries, folders } = definitionOf(name);
  const hash = createHash('sha256');
  for (const file of sourceFiles(moduleFolder(name))) hash.update(readFileSync(file));
  hash.update(JSON.stringify([buildFlags(name), binaries, folders, process.platform, process.arch]));
  return join(cacheFolder(), `${name}-${hash.digest('hex').slice(0, 12)}`);
}

/**
 * Builds one part into the cache, unless it is there. Whoever comes second, in this process or another, waits for the
 * first; a folder appears under its final name only when it is whole.
 */
export async function build(name: PartName, say: (line: string) => void): Promise<string> {
  const folder = builtFolder(name);
  const lock = `${folder}.lock`;
  mkdirSync(cacheFolder(), { recursive: true });
  let waiting = false;
  while (!existsSync(folder)) {
    if (!takeLock(lock)) {
      if (!waiting) say(`waiting for another run that builds ${name} ${versionOf(name)}…`);
      waiting = true;
      await delay(500);
      continue;
    }
    const heartbeat = setInterval(() => touch(lock), 2_000);
    try {
      await buildInto(folder, name, say);
    } finally {
      clearInterval(heartbeat);
      rmSync(lock, { force: true });
    }
  }
  return folder;
}

/** A lock whose owner has not touched it for this long belongs to a run that was killed. */
const staleAfterMs = 30_000;

function touch(lock: string): void {
  try {
    utimesSync(lock, new Date(), new Date());
  } catch {
    // After a laptop's sleep somebody else may have taken it for stale; then both build.
  }
}

function sourceFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const touched = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  // Two that wait may both see a stale lock and both build: wasteful, harmless.
  if (Date.now() - touched > staleAfterMs) rmSync(lock, { force: true });
  return false;
}

async function buildInto(folder: string, name: PartName, say: (line: string) => void): Promise<void> {
  const { binaries, folders = {}, minutes } = definitionOf(name);
  const temporary = `${folder}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const started = Date.now();
  say(`building ${name} ${versionOf(name)} from source (once; about ${minutes} min on two cores)…`);
  try {
    for (const [program, path] of Object.entries(binaries)) {
      await go(name, ['build', ...buildFlags(name), '-o', join(temporary, program), path]);
    }
    for (const [target, sources] of Object.entries(folders)) {
      for (const [module, from] of sources) {
        const source = (await go(name, ['list', '-m', '-f', '{{.Dir}}', module])).trim();
        cpSync(join(source, from), join(temporary, target, module), { recursive: true });
      }
      makeWritable(join(temporary, target));
    }
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another run that took a stale lock was quicker: its folder is as good.
    if (!existsSync(folder)) throw error;
  }
  say(`built ${name} in ${Math.round((Date.now() - started) / 1_000)} s`);
}

function buildFlags(name: PartName): string[] {
  const { tags, module } = definitionOf(name);
  const flags = ['-trimpath', '-buildvcs=false'];
  if (tags !== undefined) flags.push(`-tags=${tags}`);
  const link = ['-s', '-w'];
  if (module === 'kubernetes') {
    // Without these an API server says that it is v0.0.0, and clients that ask for a minimum version refuse it.
    const version = versionOf(name);
    const [, major, minor] = /^v(\d+)\.(\d+)/.exec(version) ?? [];
    for (const [key, value] of Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor })) {
      link.push('-X', `k8s.io/component-base/version.${key}=${value}`);
    }
  }
  return [...flags, `-ldflags=${link.join(' ')}`];
}

function go(name: PartName, args: string[]): Promise<string> {
  // GOWORK: a go.work in some folder above would hide the nested module. CGO: no C compiler is needed without it.
  const env = { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' };
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, { cwd: moduleFolder(name), env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr = (stderr + chunk).slice(-4_000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`go ${args[0]} of ${name} in ${moduleFolder(name)} ended with ${code}:\n${stderr.trim()}`));
    });
  });
}

/** Files of the module cache are read-only, and a folder that is read-only cannot even be removed. */
function makeWritable(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
}
