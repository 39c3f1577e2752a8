import { join } from 'node:path';
import { COMPILE, environment, root, run } from '../image.ts';

/**
 * What the image sets, with the heap that Node gives itself in a container of 512Mi, the chart's limit; and what it holds:
 * the bundle and the compiled code are made anew, in `out`.
 */
export async function asImage(): Promise<Record<string, string>> {
  const set = {
    ...environment,
    NODE_COMPILE_CACHE: join(root, 'out/cache'),
    NODE_OPTIONS: `${environment.NODE_OPTIONS} --max-semi-space-size=4 --max-old-space-size=256`,
  };
  await run('npm run bundle', root);
  await run(COMPILE, root, set);
  return set;
}
