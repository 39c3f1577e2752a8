import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import { lookAtContainer } from '../../src/recommend/container.ts';
import { decided, inMi, lookOf, measured, steady, values, windowOf } from './looks.ts';
import { MINUTE, NOW, RULES } from './rules.ts';

const look = (given: Parameters<typeof lookOf>[0] = {}, now = NOW) => {
  const finding = lookAtContainer(lookOf(given), RULES, now);
  const changes = finding.changes.map(({ change }) => change);
  return { ...finding, changes, recommendedMi: inMi(finding.recommended), appliedMi: inMi(finding.applied) };
};

t.test("the seed's example, from usage to rationale", async (t) => {
  const found = look();
  t.same(found.recommendedMi, [224, 336]);
  t.same(found.changes, ['recommended']);
  t.same(found.observed, measured(110, 180, 210));
  t.equal(found.applied, undefined, 'nothing is applied without enforcement');
  t.equal(found.rationale, 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi');
});

t.test('under enforcement the same look takes the first step, and the rationale tells of it', async (t) => {
  const found = look({ enforced: true });
  t.same(found.appliedMi, [224, 368]);
  t.same(found.changes, ['recommended', 'applied']);
  t.match(found.rationale, /; applied 224Mi\/368Mi towards 224Mi\/336Mi; at most 30% a step, limit from 512Mi$/);
});

t.test('each new decision carries its own reason', async (t) => {
  t.same(lookAtContainer(lookOf({ enforced: true }), RULES, NOW).changes, [
    {
      change: 'recommended',
      rationale: 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi',
    },
    { change: 'applied', rationale: 'applied 224Mi/368Mi towards 224Mi/336Mi; at most 30% a step, limit from 512Mi' },
  ]);
});

t.test('where there is nothing to go by, nothing is recommended, and the status can say why', async (t) => {
  for (const usage of [undefined, { partial: false }, { partial: true }]) {
    const found = look({ usage });
    t.same([found.recommended, found.applied, found.observed, found.changes], [undefined, undefined, undefined, []]);
    t.equal(found.doubt, 'no samples');
    t.equal(found.rationale, 'no samples of this container in Prometheus');
  }
});

t.test('without samples what stands keeps standing, and so does what was applied', async (t) => {
  const [standing, applied] = [decided(224, 336), decided(224, 368)];
  const found = look({ usage: undefined, standing, applied, enforced: true });
  t.same([found.recommended, found.applied, found.changes], [standing, applied, []]);
  t.match(found.rationale, /; the last recommendation stands$/);
  t.equal(look({ usage: undefined, standing, applied }).applied, undefined, 'applied counts under enforcement only');
});

t.test(
  'too few samples, stale data and a partial answer lower nothing, in the recommendation and in the step',
  async (t) => {
    const doubtful = [
      { short: windowOf(110, 180, 210, 19), long: windowOf(110, 180, 210, 19), partial: false },
      { short: windowOf(110, 180, 210), partial: false },
      { long: windowOf(110, 180, 210), partial: false },
      { ...steady(110, 180, 210), partial: true },
    ];
    for (const usage of doubtful) {
      t.equal(look({ usage }).recommended, undefined, 'the current values are kept');
      const standing = decided(512, 768, NOW - 60 * MINUTE);
      const found = look({ usage, standing, current: values(512, 768), enforced: true });
      t.same(
        [found.recommendedMi, found.appliedMi],
        [[512, 768], undefined],
        'what runs is recommended, so there is nothing to apply',
      );
      t.ok(found.doubt);
      t.match(found.rationale, /may raise, never lower; kept at 512Mi\/768Mi/);
    }
  },
);

t.test('doubtful data raises', async (t) => {
  const usage = { ...steady(110, 180, 210), partial: true };
  const found = look({ usage, current: values(128, 192) });
  t.same(found.recommendedMi, [224, 336]);
  t.equal(found.doubt, 'Prometheus answered only in part');
});

t.test('enough samples, by one, are not doubted', async (t) => {
  const usage = { ...steady(110, 180, 210), long: windowOf(110, 180, 210, 20) };
  t.same(look({ usage }).recommendedMi, [224, 336]);
  t.equal(look({ usage }).doubt, undefined);
});

t.test('a Guaranteed container stays one', async (t) => {
  const found = look({ current: values(512, 512), enforced: true });
  t.same(found.recommendedMi, [336, 336]);
  t.same(found.appliedMi, [368, 368]);
});

t.test('a Guaranteed container stays one with doubtful data too', async (t) => {
  const usage = { ...steady(110, 180, 210), partial: true };
  const standing = decided(400, 600, NOW - 60 * MINUTE);
  t.same(look({ usage, current: values(512, 512), standing }).recommendedMi, [600, 600]);
});

t.test('an OOM kill raises the limit and skips the cooldown, of the recommendation and of the step', async (t) => {
  const usage = { ...steady(110, 180, 210), oomLimit: 512 * Mi };
  const [standing, applied] = [decided(224, 512, NOW - MINUTE), decided(224, 512, NOW - MINUTE)];
  const found = look({ usage, standing, applied, current: values(224, 512), enforced: true });
  t.same(found.recommendedMi, [224, 688], '614.4Mi, + 10 %, rounded up');
  t.same(found.appliedMi, [224, 656], '30 % more than 512Mi');
  t.same(found.changes, ['recommended', 'applied']);
  t.match(found.rationale, /^max counted as 614\.4Mi after an OOM kill at 512Mi; /);
});

t.test('the same OOM kill, seen again at the next look, changes nothing more', async (t) => {
  const usage = { ...steady(110, 180, 210), oomLimit: 512 * Mi };
  const [standing, applied] = [decided(224, 688, NOW - MINUTE), decided(224, 656, NOW - MINUTE)];
  const found = look({ usage, standing, applied, current: values(224, 656), enforced: true });
  t.same([found.recommended, found.applied, found.changes], [standing, applied, []]);
});

t.test('an OOM kill at the applied limit skips the cooldown although more is recommended already', async (t) => {
  const usage = { ...steady(110, 180, 210), oomLimit: 656 * Mi };
  const [standing, applied] = [decided(224, 688, NOW - MINUTE), decided(224, 656, NOW - MINUTE)];
  const found = look({ usage, standing, applied, current: values(224, 656), enforced: true });
  t.same(found.recommendedMi, [224, 880], '787.2Mi, + 10 %, rounded up');
  t.same(found.appliedMi, [224, 848], '30 % more than 656Mi');
});

t.test('an OOM kill at the largest limit finds nothing new to say', async (t) => {
  const usage = { ...steady(110, 180, 8192), oomLimit: 8192 * Mi };
  const [standing, applied] = [decided(224, 8192, NOW - MINUTE), decided(224, 8192, NOW - MINUTE)];
  const found = look({ usage, standing, applied, current: values(224, 8192), enforced: true });
  t.same([found.recommended, found.applied, found.changes], [standing, applied, []]);
  t.match(found.rationale, /limit capped at 8Gi/);
});

t.test('what a person fixed on both sides is not stepped, and still recommended for', async (t) => {
  const found = look({ enforced: true, fixed: values(300, 600) });
  t.same(found.recommendedMi, [224, 336]);
  t.equal(found.applied, undefined);
  t.match(found.rationale, /; an override fixes 300Mi\/600Mi$/);
});

t.test('what a person fixed on one side leaves the other to the step', async (t) => {
  const found = look({ enforced: true, fixed: { limit: 200 * Mi } });
  t.same(found.appliedMi?.[0], 200);
  t.notMatch(found.rationale, /an override fixes/);
});

t.test('a recommendation needs no enforcement to be revised, and nothing is applied meanwhile', async (t) => {
  const standing = { ...decided(512, 768, NOW - 360 * MINUTE), unneededSince: NOW - 360 * MINUTE };
  const found = look({ standing, applied: decided(512, 768, NOW) });
  t.same(found.recommendedMi, [224, 336]);
  t.equal(found.applied, undefined);
});

t.test('doubtful data recommends no limit where none is set: no limit is the highest there is', async (t) => {
  const usage = { ...steady(110, 180, 210), partial: true };
  const found = look({ usage, current: { request: 256 * Mi }, enforced: true });
  t.same([found.recommended, found.applied, found.changes], [undefined, undefined, []]);
  t.match(found.rationale, /nothing is recommended where no limit is set$/);
  t.same(
    look({ usage, current: { limit: 64 * Mi, request: 64 * Mi } }).recommendedMi,
    [336, 336],
    'a set limit may rise',
  );
});

t.test('a step of ours that lands on request = limit makes nothing Guaranteed: only the manifest does', async (t) => {
  const found = look({
    current: values(144, 144),
    written: values(190, 200),
    usage: steady(50, 50, 50),
    standing: decided(80, 128),
  });
  t.same(found.recommendedMi, [80, 128]);
  t.same(
    look({ current: values(144, 200), written: { limit: 512 * Mi } }).recommendedMi,
    [336, 336],
    'a limit alone is both',
  );
});

t.test('an OOM kill at a limit that may not be raised is for a person', async (t) => {
  const killed = (oomLimit: number, more: object = {}) =>
    look({ usage: { ...steady(110, 180, 210), oomLimit: oomLimit * Mi }, current: values(4096, 8192), ...more })
      .trouble;
  t.equal(killed(8192), 'OOM killed at 8Gi, and OPRC_CRM_LIMIT_MAX allows no more');
  t.equal(killed(7000), undefined, 'the limit goes up once more');
  const range = { max: 1024 * Mi };
  const enforced = { current: values(512, 1024), enforced: true, range };
  t.equal(killed(1024, enforced), "OOM killed at 1Gi, and the namespace's LimitRange allows no more");
  t.equal(killed(1023, enforced), undefined, 'a kill below it is one that a higher limit mends');
  t.equal(killed(1024, { ...enforced, enforced: false }), undefined, 'a recommendation knows no LimitRange');
  const fixed = values(256, 512);
  t.equal(killed(512, { fixed }), 'OOM killed at 512Mi, the limit that an override fixes');
  t.equal(killed(511, { fixed }), undefined, 'the override has been raised since');
});
