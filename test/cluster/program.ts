import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { ReservedPort } from './ports.ts';
import { until } from './until.ts';
import type { Watchdog } from './watchdog.ts';

/** How one program of the cluster is run. */
export interface ProgramOptions {
  /** The name for people: of its log file, and in errors. */
  name: string;
  /** The path of the executable. */
  file: string;
  args: string[];
  /** Added to our own environment. */
  env?: Record<string, string>;
  /** Everything it prints, over all its starts, goes here. */
  logFile: string;
  /** Ports that are held for it and released right before it starts. */
  ports: ReservedPort[];
  /** True once it does its work: ask the program itself. An exception means "not yet". */
  ready: () => Promise<boolean>;
  watchdog: Watchdog;
  /** Throws when the cluster has been stopped: a start that was on its way must not leave a process behind. */
  mustBeOpen: () => void;
}

/** One program of the cluster: can be stopped and started again with the same arguments, ports and data. */
export interface Program {
  name: string;
  /** Starts it and waits until it is ready. An error carries the end of its log. */
  start: () => Promise<void>;
  /** Kills it with SIGKILL, as a machine that loses power would, and waits until it is gone. */
  kill: () => Promise<void>;
  /** Sends a signal: SIGSTOP makes it hang without an answer, SIGCONT wakes it. */
  signal: (signal: NodeJS.Signals) => void;
  /** Whether it runs now. */
  running: () => boolean;
  /** @throws when it does not run */
  pid: () => number;
  /** What it has printed. */
  log: () => string;
}

/** Thrown when a program found its port taken by somebody else: the start is worth another try with other ports. */
export class PortTakenError extends Error {}

/** Prepares a program; nothing runs until `start`. */
export function program(options: ProgramOptions): Program {
  const { name, file, args, env = {}, logFile, ports, ready, watchdog, mustBeOpen } = options;
  let child: ChildProcess | undefined;
  let unmet: Error | undefined;

  const log = () => readFileSync(logFile, { encoding: 'utf8', flag: 'a+' });
  const running = () => child?.pid !== undefined && child.exitCode === null && child.signalCode === null;

  async function start(): Promise<void> {
    if (running()) return;
    for (const port of ports) await port.release();
    mustBeOpen();
    const printedBefore = log().length;
    const output = openSync(logFile, 'a');
    unmet = undefined;
    // detached: a process group of its own, so that what it starts itself can be killed with it.
    const started = spawn(file, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    child = started;
    started.on('error', (error) => {
      unmet = error;
    });
    const group = started.pid;
    if (group !== undefined) {
      watchdog.guard(group);
      started.once('exit', () => watchdog.forget(group));
    }
    const unless = () => {
      if (running()) return;
      const printed = log().slice(printedBefore);
      const reason = unmet?.message ?? started.signalCode ?? `code ${started.exitCode}`;
      const message = `${name} ended while it started (${reason}); it printed (OAAS_TUNER_KEEP_CLUSTER=1 keeps ${logFile}):\n${tail(printed)}`;
      if (/address already in use/i.test(printed)) throw new PortTakenError(message);
      throw new Error(message);
    };
    try {
      await until(`${name} to be ready`, ready, { timeoutMs: 120_000, unless });
    } catch (error) {
      if (!running()) throw error;
      throw new Error(
        `${(error as Error).message}; it printed (OAAS_TUNER_KEEP_CLUSTER=1 keeps ${logFile}):\n${tail(log())}`,
        { cause: error },
      );
    }
  }

  async function kill(): Promise<void> {
    if (!running() || child?.pid === undefined) return;
    const gone = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await gone;
  }

  function pid(): number {
    if (!running() || child?.pid === undefined) throw new Error(`${name} does not run`);
    return child.pid;
  }

  const signal = (wanted: NodeJS.Signals) => void process.kill(-pid(), wanted);

  return { name, start, kill, signal, running, pid, log };
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-15).join('\n');
}
