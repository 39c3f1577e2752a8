import { spawn } from 'node:child_process';

/** How a command ended and what it printed. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, with text on its standard input. */
export function run(
  file: string,
  args: string[],
  stdin = '',
  env: Record<string, string> = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const stderr = Buffer.concat(err).toString();
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(out).toString(),
        stderr: signal === null ? stderr : `${stderr}ended by ${signal}\n`,
      });
    });
    // A command that fails before it reads its input closes the pipe; its exit code tells more.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
  });
}
