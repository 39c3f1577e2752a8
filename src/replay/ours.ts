/**
 * Our own rules as a policy: `lookAtContainer` decides, as it does in the worker, from the statistics that Prometheus
 * would answer with. Nothing of the rules is here.
 */
import { windowOf } from '../collect/recorded.ts';
import type { Usage, WindowUsage } from '../domain/usage.ts';
import { type Look, lookAtContainer, type Rules } from '../recommend/container.ts';
import type { Applied, Decided } from '../recommend/guards.ts';
import type { Policy } from './replay.ts';
import { createClock, createWindow } from './window.ts';

/**
 * Enforced, with rollouts that take effect at the next sample: nothing paused, no LimitRange, no override.
 *
 * @param intervalSeconds from one cycle of the worker to the next
 */
export function ours(name: string, rules: Rules, intervalSeconds: number): Policy {
  const { shortWindowSeconds, longWindowSeconds } = rules;
  return {
    name,
    begin(written) {
      const window = createWindow(longWindowSeconds);
      const cycle = createClock(intervalSeconds);
      // As `collect/usage.ts` does: the long window is read as often as the short one is long.
      const longRead = createClock(shortWindowSeconds);
      let long: WindowUsage | undefined;
      let standing: Decided | undefined;
      let applied: Applied | undefined;
      let since: number | undefined;
      let kills: { at: number; limit: number }[] = [];

      return ({ at, bytes, killedAt, running }) => {
        window.add(at, bytes);
        if (killedAt !== undefined) kills.push({ at, limit: killedAt });
        if (!cycle(at)) return running;
        if (longRead(at)) long = windowOf([window.last(longWindowSeconds)]);
        const short = windowOf([window.last(shortWindowSeconds)]);
        const usage: Usage = { partial: false };
        if (short) usage.short = short;
        if (long) usage.long = long;
        if (kills.length > 0) {
          kills = kills.filter((kill) => kill.at > at - longWindowSeconds * 1000);
          const limit = Math.max(...kills.map((kill) => kill.limit));
          if (kills.length > 0) usage.oomLimit = limit;
        }
        const look: Look = { usage, current: running, enforced: true, fixed: {}, written, range: {} };
        if (standing) look.standing = standing;
        if (applied) look.applied = applied;
        if (since !== undefined) look.aftermath = { since };
        const finding = lookAtContainer(look, rules, at);
        standing = finding.recommended;
        if (finding.applied && finding.applied.at !== applied?.at) since = at;
        applied = finding.applied;
        return applied ? { request: applied.request, limit: applied.limit } : running;
      };
    },
  };
}
