/** `npm run bench -- <which>`: what is measured, side by side in one run. */
const BENCHES: Record<string, string> = {
  admission: './admission.ts',
  worker: './worker.ts',
  start: './start.ts',
  soak: './soak.ts',
};

const [which = '', ...rest] = process.argv.slice(2);
const bench = BENCHES[which];
if (bench === undefined) {
  console.error(`npm run bench -- <${Object.keys(BENCHES).join(' | ')}>`);
  process.exit(2);
}
const { run } = (await import(bench)) as { run(args: string[]): Promise<void> };
await run(rest);
