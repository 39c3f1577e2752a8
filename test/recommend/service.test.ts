import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { lookAtService, type ServiceLook } from '../../src/recommend/service.ts';
import { MINUTE, NOW, RULES } from './rules.ts';
import { FIT, loadWindow, memoryNow, nearLook, queuedLook, running, serviceLook } from './services.ts';

const look = (of: ServiceLook, now = NOW) => lookAtService(of, RULES, now);
const HOUR = 60 * MINUTE;
/** A line by which the limit of 512Mi carries so many requests without coming near. */
const FIT_OF = (carried: number) => ({ ...FIT, slope: (512 * 0.9 * Mi - FIT.base) / carried });

t.test('a first recommendation says what and why', async (t) => {
  const { recommended, changes, rationale } = look(nearLook(77));
  t.strictSame(recommended, { target: 90, containerConcurrency: 100, at: NOW });
  t.strictSame(changes.length, 1);
  t.match(
    rationale,
    /target lowered by 10% from 100 to 90; containerConcurrency 100, because nothing bounds a pod now/,
  );
});

t.test('data that can be doubted may lower, never raise', async (t) => {
  const doubtful: [string, NonNullable<ServiceLook['load']>][] = [
    ['Prometheus answered only in part', { ...queuedLook().load, partial: true }],
    ['no requests were recorded in the short window', { long: loadWindow(40, { queue: 3 }), partial: false }],
    ['no requests were recorded in the long window yet', { short: loadWindow(40, { queue: 3 }), partial: false }],
    ['no requests were recorded', { partial: false }],
    [
      'only 4 of the 5 looks at requests that the short window needs',
      { ...queuedLook().load, short: loadWindow(40, { queue: 3, samples: 4 }), partial: false },
    ],
    [
      'only 1 of the 2 looks at requests that the long window needs',
      { ...queuedLook().load, long: loadWindow(40, { queue: 3, samples: 1 }), partial: false },
    ],
  ];
  for (const [why, load] of doubtful) {
    const found = look(queuedLook({ load, enforced: true }));
    t.equal(found.doubt, why);
    t.notOk(found.recommended, why);
    t.notOk(found.applied, why);
  }
  t.match(look(nearLook(77, { load: { short: loadWindow(77), partial: false } })), { recommended: { target: 90 } });
  const standing = { target: 120, at: NOW - HOUR };
  const load = { short: loadWindow(40), partial: false };
  t.equal(look(queuedLook({ standing, load, enforced: true })).applied, undefined, 'nor apply what was decided before');
});

t.test('as many looks as are asked for are enough', async (t) => {
  const load = {
    ...{ short: loadWindow(40, { queue: 3, samples: 5 }), long: loadWindow(40, { queue: 3, samples: 2 }) },
    partial: false,
  };
  t.equal(look(queuedLook({ load })).doubt, undefined);
  t.equal(look(queuedLook({ load })).recommended?.target, 120);
});

t.test('memory that cannot be trusted to fall is none that lets requests rise', async (t) => {
  const doubtful = queuedLook({ memoryDoubt: 'memory of function: no samples', enforced: true });
  t.match(look(doubtful), { doubt: 'memory of function: no samples', recommended: undefined, applied: undefined });
  const standing = { target: 120, at: NOW - HOUR };
  t.equal(look({ ...doubtful, standing }).applied, undefined, 'nor by what was decided before');
  t.equal(look(nearLook(77, { memoryDoubt: 'no samples' })).recommended?.target, 90, 'they may fall');
});

t.test('after an OOM kill at the limit that runs, no more requests', async (t) => {
  const killed = queuedLook({ killed: true, enforced: true });
  t.strictSame([look(killed).recommended, look(killed).applied], [undefined, undefined]);
  t.match(look(killed).rationale, /a container was OOM killed at the limit that runs: no more requests/);
  const standing = { target: 120, at: NOW - HOUR };
  t.equal(look({ ...killed, standing }).applied, undefined, 'nor by what was decided before');
});

t.test('a bound alone is decided once, not again after each cooldown', async (t) => {
  const rising = nearLook(77, { memory: [memoryNow(500, { moves: 'up' })] });
  const first = look(rising);
  t.match(first.recommended, { target: 100, containerConcurrency: 100 });
  const later = (more: Partial<ServiceLook> = {}) =>
    look({ ...rising, standing: { target: 100, containerConcurrency: 100, at: NOW - HOUR }, ...more });
  t.strictSame(later().changes, [], 'as it stands');
  t.strictSame(later({ current: running(100, { containerConcurrency: 100 }) }).changes, [], 'as it runs');
  t.strictSame(look({ ...rising, fixed: { containerConcurrency: 50 } }).changes, [], 'where a person fixes the bound');
  const fitted = (carried: number) => nearLook(77, { memory: [memoryNow(500, { fit: FIT_OF(carried), moves: 'up' })] });
  const standing = { target: 100, containerConcurrency: 100, at: NOW - HOUR };
  t.strictSame(look({ ...fitted(120), standing }).changes, [], 'the line carries more than the target');
});

t.test('a bound that nothing asks for any more is no recommendation any more', async (t) => {
  const standing = { target: 100, containerConcurrency: 100, at: NOW - HOUR };
  t.match(look(serviceLook({ standing })).recommended, { target: 100, containerConcurrency: 0 });
  const runs = serviceLook({ standing, current: running(100, { containerConcurrency: 100 }) });
  t.equal(look(runs).recommended, standing, 'one that runs stays');
});

t.test('what stands is kept within the hysteresis, and not revised within the cooldown', async (t) => {
  const at = NOW - HOUR;
  const standing = { target: 80, containerConcurrency: 100, at };
  t.equal(look(nearLook(77, { standing })).recommended, standing, '90 is within 20% of 80');
  const further = { target: 74.9, containerConcurrency: 100, at };
  t.equal(look(nearLook(77, { standing: further })).recommended?.target, 90, '90 is not within 20% of 74.9');
  const fresh = { ...further, at: NOW - 29 * MINUTE };
  t.equal(look(nearLook(77, { standing: fresh })).recommended, fresh);
  t.match(look(nearLook(77, { standing: { ...further, at: NOW - 30 * MINUTE } })).recommended, { target: 90, at: NOW });
});

t.test('a target that has been reached is lowered again when memory is still near its limit', async (t) => {
  const standing = { target: 100, containerConcurrency: 100, at: NOW - HOUR };
  t.equal(look(nearLook(77, { standing })).recommended?.target, 90);
});

t.test('when nothing is to change any more, what runs is what is recommended', async (t) => {
  const standing = { target: 80, containerConcurrency: 100, at: NOW - HOUR };
  t.strictSame(look(serviceLook({ standing })).recommended, { target: 100, containerConcurrency: 0, at: NOW });
  t.equal(
    look(serviceLook({ standing: { ...standing, at: NOW - MINUTE } })).recommended?.target,
    80,
    'after a cooldown',
  );
  t.equal(
    look(serviceLook({ standing, current: running(80, { containerConcurrency: 100 }) })).recommended,
    standing,
    'what runs is what was recommended',
  );
});

t.test("more requests wait for memory's cooldown, too, unless both change in the same cycle", async (t) => {
  const raised = (minutes: number, more: Partial<ServiceLook> = {}) =>
    look(queuedLook({ memoryDecidedAt: NOW - minutes * MINUTE, ...more })).recommended?.target;
  t.equal(raised(29), undefined);
  t.equal(raised(30), 120);
  t.equal(raised(29, { memory: [memoryNow(200, { moves: 'down' })] }), 120);
});

t.test('fewer do not wait: they help where more memory has not helped enough', async (t) => {
  const lowered = (more: Partial<ServiceLook>) =>
    look(nearLook(77, { memoryDecidedAt: NOW - MINUTE, ...more })).recommended;
  t.match(lowered({}), { target: 90 });
  t.match(lowered({ memory: [memoryNow(500, { moves: 'up' })] }), { target: 100, containerConcurrency: 100 });
});

t.test('requests are not raised while memory rises', async (t) => {
  t.equal(look(queuedLook({ memory: [memoryNow(200, { moves: 'up' })] })).recommended, undefined);
  t.equal(look(queuedLook({ memory: [memoryNow(200, { moves: 'down' })] })).recommended?.target, 120);
});

t.test('a person who fixes the target decides; one who fixes the bound decides about that', async (t) => {
  const fixed = look(nearLook(77, { fixed: { target: 50 }, enforced: true }));
  t.strictSame([fixed.recommended, fixed.applied, fixed.changes], [undefined, undefined, []]);
  t.match(fixed.rationale, /an override fixes the target at 50/);
  t.strictSame(look(nearLook(77, { fixed: { containerConcurrency: 7 } })).recommended, { target: 90, at: NOW });
});

t.test('a person who fixes the target keeps the bound that is applied, where it allows as much', async (t) => {
  const applied = { target: 75, containerConcurrency: 100, at: NOW - HOUR };
  const kept = (target: number) => look(nearLook(60, { fixed: { target }, applied, enforced: true })).applied;
  t.strictSame(kept(100), applied);
  t.equal(kept(101), undefined, 'a person who wants more gets it');
  t.equal(look(nearLook(60, { fixed: { target: 50 }, applied })).applied, undefined, 'only under enforcement');
  const both = { target: 50, containerConcurrency: 60 };
  t.equal(look(nearLook(60, { fixed: both, applied, enforced: true })).applied, undefined, 'who fixes both, has both');
  const soft = { target: 75, at: NOW - HOUR };
  t.equal(look(nearLook(60, { fixed: { target: 50 }, applied: soft, enforced: true })).applied, undefined);
});

t.test('while requests cannot be read, what was decided stands, and no step is taken', async (t) => {
  const standing = { target: 50, at: NOW - HOUR };
  const applied = { target: 70, at: NOW - HOUR };
  const blind = { unread: 'Prometheus is away', standing, applied, current: running(70) };
  t.match(look(serviceLook({ ...blind, enforced: true })), {
    ...{ recommended: standing, applied, changes: [], doubt: 'Prometheus is away' },
  });
  t.equal(look(serviceLook(blind)).applied, undefined, 'only under enforcement');
});

t.test('what scales by something else is left alone, and says so', async (t) => {
  const foreign = look(nearLook(77, { foreign: 'it scales by rps', enforced: true }));
  t.strictSame(foreign, { changes: [], rationale: 'it scales by rps' });
});

t.test('enforcement moves in steps of at most 30 %, one a cooldown', async (t) => {
  const standing = { target: 50, at: NOW - HOUR };
  const first = look(serviceLook({ standing: { ...standing, at: NOW - MINUTE }, enforced: true }));
  t.match(first.applied, { target: 70, at: NOW, previous: { target: 100, containerConcurrency: 0 } });
  t.equal(first.changes.at(-1)?.change, 'applied');
  const applied = { target: 70, at: NOW - 29 * MINUTE };
  const fresh = { target: 50, at: NOW - MINUTE };
  const waits = look(serviceLook({ standing: fresh, applied, current: running(70), enforced: true }));
  t.equal(waits.applied?.target, 70);
  t.match(waits.rationale, /no further step before .* \(cooldown\)/);
  const again = { ...applied, at: NOW - 30 * MINUTE };
  t.equal(
    look(serviceLook({ standing: fresh, applied: again, current: running(70), enforced: true })).applied?.target,
    50,
  );
  t.equal(
    look(serviceLook({ standing: { ...standing, at: NOW - MINUTE } })).applied,
    undefined,
    'only under enforcement',
  );
});

t.test('values that made it worse are taken back, and then tried half as often', async (t) => {
  const applied = { target: 120, at: NOW - 10 * MINUTE, previous: { target: 100, containerConcurrency: 0 } };
  const since = applied.at;
  const now = (more: Partial<ServiceLook>) =>
    look(
      serviceLook({ applied, standing: { target: 120, at: since }, current: running(120), enforced: true, ...more }),
    );
  const killed = now({ killed: true, aftermath: { since } });
  t.match(killed.applied, { target: 100, at: NOW, cooldownSeconds: 3600, takenBack: true });
  t.equal(killed.changes.at(-1)?.change, 'taken-back');
  t.match(now({ aftermath: { since, unavailable: 'not available' } }).applied, { target: 100 });
  t.equal(now({ killed: true, aftermath: {} }).applied?.target, 120, 'they do not run yet');
  t.equal(now({ killed: true, aftermath: { since: NOW - 30 * MINUTE } }).applied?.target, 120);
  const lowered = { ...applied, target: 80, previous: { target: 100 } };
  t.equal(
    now({ applied: lowered, killed: true, aftermath: { since }, current: running(80) }).applied?.target,
    80,
    'a kill is no reason for more requests',
  );
});
