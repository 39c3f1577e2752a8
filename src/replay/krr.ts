/**
 * KRR's simple strategy with its defaults, applied by its enforcer (robusta-dev/krr d6baa745; the file beside each
 * number). Written from what it does; none of it is its code.
 */
import { Mi } from '../domain/quantity.ts';
import type { Policy } from './replay.ts';
import { createClock } from './window.ts';

/** `history_duration`, 14 days, and `timeframe_duration`, 1.25 minutes (`robusta_krr/core/abstract/strategies.py`). */
const HISTORY_HOURS = 336;
const POINT_MS = 75_000;
/** `points_required`, `memory_buffer_percentage` (`robusta_krr/strategies/simple.py`); kills are not looked at (`use_oomkill_data=false`). */
const POINTS = 100;
const BUFFER = 1.15;
/** `memory_min_value` (`core/models/config.py`); values are rounded up to this unit (`core/runner.py`). */
const FLOOR = 100 * Mi;
const UNIT = Mi;
/** `SCAN_RELOAD_INTERVAL`, `UPDATE_THRESHOLD` (`enforcer/env_vars.py`) */
const RELOAD_SECONDS = 3600;
const UPDATE_RATIO = 0.2;

/** @param peak the largest sample of the two weeks (bytes) */
export function krrProposal(peak: number): number {
  return Math.max(Math.ceil((peak * BUFFER) / UNIT) * UNIT, FLOOR);
}

/**
 * A scan each hour, as often as the enforcer takes up a new one, and pods that are recreated when it says something new:
 * its webhook itself only sees pods that somebody else recreates. A side of the manifest that is off by no more than the
 * threshold is left as it is, and so is the pod where that makes an invalid pair (`enforcer/patch_manager.py`).
 */
export const krr: Policy = {
  name: 'KRR',
  begin(manifest) {
    const scan = createClock(RELOAD_SECONDS);
    /** the largest sample of each hour, by hours since the epoch; the two weeks' are kept */
    const peaks = new Map<number, number>();
    let points = 0;
    let lastPoint: number | undefined;

    return ({ at, bytes, running }) => {
      const hour = Math.floor(at / (RELOAD_SECONDS * 1000));
      peaks.set(hour, Math.max(bytes, peaks.get(hour) ?? 0));
      const point = Math.floor(at / POINT_MS);
      if (point !== lastPoint) points += 1;
      lastPoint = point;
      if (!scan(at) || points < POINTS) return running;
      for (const old of peaks.keys()) if (old < hour - HISTORY_HOURS) peaks.delete(old);
      const value = krrProposal(Math.max(...peaks.values()));
      const patched = (from: number | undefined) =>
        from !== undefined && Math.abs(value - from) <= from * UPDATE_RATIO ? from : value;
      const [request, limit] = [patched(manifest.request), patched(manifest.limit)];
      return request <= limit ? { request, limit } : manifest;
    };
  },
};
