import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type ReservedPort, reservePort } from './ports.ts';
import { type Program, program } from './program.ts';
import { startWatchdog } from './watchdog.ts';

/** What to run as a part of the cluster: the rest follows from where the cluster lives. */
export interface ProgramDefinition {
  name: string;
  /** The name of the executable in the folder of programs; `name` where it is left out. */
  executable?: string;
  args: string[];
  env?: Record<string, string>;
  ports: ReservedPort[];
  ready: () => Promise<boolean>;
}

/** The ground that one cluster stands on: its folder, its ports, its processes, and their common end. */
export interface Site {
  /** The folder that holds the executables. */
  bin: string;
  /** The cluster's own folder: data, keys, kubeconfigs, logs. */
  folder: string;
  /** A path in that folder. */
  path: (...names: string[]) => string;
  /** A free port of loopback, held until the program that is given it starts. */
  port: () => Promise<ReservedPort>;
  /** Prepares a program and remembers it. */
  program: (definition: ProgramDefinition) => Program;
  /** Every program, in the order in which they were prepared. */
  programs: Program[];
  /** Remembers what else has to be closed. Where the end has come already, it is closed at once. */
  atEnd: (close: () => Promise<unknown>) => void;
  /** Throws once the end has come: ends what still waits for a cluster that failed elsewhere. */
  mustBeOpen: () => void;
  /** Kills everything, and removes the folder unless it is to be kept. */
  clear: () => Promise<void>;
}

/** Makes a new folder and a watchdog over it. */
export function openSite(bin: string, keep: boolean): Site {
  const folder = mkdtempSync(join(tmpdir(), 'oaas-tuner-cluster-'));
  const watchdog = startWatchdog(keep ? undefined : folder);
  const programs: Program[] = [];
  const closers: (() => Promise<unknown>)[] = [];
  let cleared: Promise<void> | undefined;

  async function clearOnce(): Promise<void> {
    await Promise.all(programs.map(({ kill }) => kill()));
    await Promise.all(closers.map((close) => close()));
    await watchdog.release();
  }

  function atEnd(close: () => Promise<unknown>): void {
    if (cleared === undefined) closers.push(close);
    else void close();
  }

  function mustBeOpen(): void {
    if (cleared !== undefined) throw new Error('the cluster has been stopped');
  }

  return {
    bin,
    folder,
    path: (...names) => join(folder, ...names),
    port: async () => {
      const port = await reservePort();
      atEnd(port.release);
      return port;
    },
    program: ({ executable, ...definition }) => {
      const logFile = join(folder, `${definition.name}.log`);
      const made = program({
        ...definition,
        file: join(bin, executable ?? definition.name),
        logFile,
        watchdog,
        mustBeOpen,
      });
      programs.push(made);
      return made;
    },
    programs,
    atEnd,
    mustBeOpen,
    clear: () => (cleared ??= clearOnce()),
  };
}

// The programs' health endpoints have certificates that they made themselves; on loopback, and without a secret sent, that is no matter.
const prober = new Agent({ connect: { rejectUnauthorized: false }, headersTimeout: 2_000, pipelining: 0 });

/** Whether a health endpoint answers 200. No answer at all is an exception. */
export async function answers(url: string): Promise<boolean> {
  const { statusCode, body } = await request(url, { dispatcher: prober });
  await body.dump();
  return statusCode === 200;
}
