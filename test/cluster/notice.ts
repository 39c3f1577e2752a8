/** Runs after all tests: one loud line where the real-cluster tests could not run, and how to get them. */
import { available } from './binaries.ts';

const can = available();
if (!can.ok) {
  const loud =
    process.stderr.isTTY && !process.env.NO_COLOR
      ? (text: string) => `\u001b[1;33m${text}\u001b[0m`
      : (text: string) => text;
  const which = available(['apiserver', 'etcd']).ok ? 'REAL-CLUSTER TESTS BEYOND THE API SERVER' : 'REAL-CLUSTER TESTS';
  const how = 'no Go 1.26 or newer on the PATH. Install it (https://go.dev/dl) and run again.';
  console.error(loud(`\n*** THE ${which} WERE SKIPPED: ${how} ***\n`));
}
