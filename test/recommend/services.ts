/** Looks at Knative Services as a person tells them: memory in Mi, requests in flight. */
import type { Fit } from '../../src/domain/concurrency.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { LoadWindow } from '../../src/domain/usage.ts';
import type { MemoryNow } from '../../src/recommend/concurrency.ts';

import type { ServiceLook } from '../../src/recommend/service.ts';
import type { Resolved } from '../../src/recommend/target.ts';

export const loadWindow = (concurrency: number, more: Partial<LoadWindow> = {}): LoadWindow => ({
  concurrency,
  samples: 72,
  ...more,
});

export const running = (target: number, more: Partial<Resolved> = {}): Resolved => ({
  ...{ target, containerConcurrency: 0, targetBurstCapacity: 211, aim: target * 0.7, ...more },
});

/** The container `function` with a limit of 512Mi, of which so many Mi were used in both windows. */
export const memoryNow = (max: number, more: Partial<MemoryNow> = {}): MemoryNow => ({
  container: 'function',
  ...{ limit: 512 * Mi, written: 512 * Mi, short: max * Mi, long: max * Mi, wanted: 512 * Mi, ceiling: 8192 * Mi },
  ...more,
});

/** 100Mi, and 4Mi for each request: 512Mi carry 90.2 of them without coming near. */
export const FIT: Fit = { base: 100 * Mi, slope: 4 * Mi, quality: 0.9, samples: 36, from: 10, to: 100 };

/** A pod takes 77 requests where 70 are aimed at, and its memory is far from everything that the rules look at. */
export const serviceLook = (more: Partial<ServiceLook> = {}): ServiceLook => ({
  load: { short: loadWindow(77), long: loadWindow(77), partial: false },
  current: running(100),
  ...{ written: {}, memory: [memoryNow(400)], most: 1000, atMaxScale: false, killed: false },
  ...{ fixed: {}, enforced: false, ours: false },
  ...more,
});

/** Of a Service near its limit, with so many requests in flight. */
export const nearLook = (concurrency: number, more: Partial<ServiceLook> = {}): ServiceLook => {
  const window = loadWindow(concurrency);
  return serviceLook({ load: { short: window, long: window, partial: false }, memory: [memoryNow(500)], ...more });
};

/** Of a Service with idle memory and a queue. */
export const queuedLook = (more: Partial<ServiceLook> = {}): ServiceLook => {
  const window = loadWindow(40, { queue: 3 });
  return serviceLook({ load: { short: window, long: window, partial: false }, memory: [memoryNow(200)], ...more });
};
