/** Requests as the world sends them: in flight, all pods together, at a second. */
import { Mi } from '../../src/domain/quantity.ts';
import { chance, type Template, type Workload } from './service.ts';

const DAY = 86_400;
const function_ = { base: 90 * Mi, perRequest: 5 * Mi, leakPerHour: 0 };

/** A burst of some minutes every half hour or so, at times that only chance knows. */
function bursts(seed: number, days: number) {
  const random = chance(seed);
  const starts: { at: number; length: number; height: number }[] = [];
  for (let at = -20_000; at < days * DAY; at += 900 + random() * 2400) {
    starts.push({ at, length: 120 + random() * 240, height: 2 + random() * 2 });
  }
  return (seconds: number) => {
    const burst = starts.find(({ at, length }) => seconds >= at && seconds < at + length);
    return 150 * (burst?.height ?? 1);
  };
}

/** Each is 300 requests or so, when it is calm. */
export const LOADS = {
  steady: () => ({ ...function_, load: () => 300 }),
  daily: () => ({ ...function_, load: (seconds) => 220 + 180 * Math.sin((seconds / DAY) * 2 * Math.PI) }),
  bursty: (days, seed) => ({ ...function_, load: bursts(seed, days) }),
  leaking: () => ({ ...function_, leakPerHour: 25 * Mi, load: () => 300 }),
} satisfies Record<string, (days: number, seed: number) => Workload>;

/** What the author of the Service wrote, without having measured. */
export const WRITTEN: Template = { memory: { request: 256 * Mi, limit: 512 * Mi }, target: 100, hard: 0 };
