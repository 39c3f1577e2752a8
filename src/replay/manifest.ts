/** What somebody wrote once and nobody changes: what every policy is measured against. */
import type { Policy } from './replay.ts';

export const manifest: Policy = {
  name: 'manifest',
  begin:
    () =>
    ({ running }) =>
      running,
};
