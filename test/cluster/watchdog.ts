import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Reads "+ <process group>" and "- <process group>". When its input ends it kills every group that is left and removes the
 * folder. SIGKILL, since nothing of a cluster is worth an orderly end. Processes need a moment to be gone, and until then
 * may still write into the folder.
 */
const script = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
[ -n "$1" ] || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" 2>/dev/null && exit 0
  sleep 0.2
done
`;

/** The process that outlives ours by a moment and cleans up, however ours ended. */
export interface Watchdog {
  /** From now on this process group dies when we do. */
  guard: (group: number) => void;
  /** This process group is gone; its number may belong to someone else soon. */
  forget: (group: number) => void;
  /** Lets it clean up now, and waits until it has. */
  release: () => Promise<void>;
}

/**
 * Starts the watchdog of a folder. It holds the reading end of a pipe whose other end only our process has, so it notices
 * every death: exit, Ctrl-C, an uncaught exception, SIGKILL by a test runner that lost patience. No signal handler of ours
 * is involved, so none is in the way of the caller's.
 */
export function startWatchdog(folder: string | undefined): Watchdog {
  // Its own session: a Ctrl-C in the terminal reaches our whole process group and must not reach it.
  const child = spawn('/bin/sh', ['-c', script, 'watchdog', folder ?? ''], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const gone = once(child, 'exit');
  const input = child.stdin;
  // Where the watchdog itself was killed, we still want to end in order.
  input.on('error', () => {});
  return {
    guard: (group) => void input.write(`+ ${group}\n`),
    forget: (group) => void input.write(`- ${group}\n`),
    release: async () => {
      input.end();
      await gone;
    },
  };
}
