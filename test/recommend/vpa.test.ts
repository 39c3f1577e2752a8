/** What is left of a decided pair when only one number of it can be said. */
import fc from 'fast-check';
import t from 'tap';
import { Gi, Mi } from '../../src/domain/quantity.ts';
import type { Pair } from '../../src/domain/workload.ts';
import { sayThroughVpa } from '../../src/recommend/vpa.ts';

const mi = (request: number, limit: number) => ({ request: request * Mi, limit: limit * Mi });

t.test(
  'a template with room between request and limit: the request as decided, the limit in its proportion',
  async (t) => {
    t.strictSame(sayThroughVpa(mi(224, 336), [mi(256, 512)]), {
      ...mi(224, 448),
      reason: "through VPA 224Mi/448Mi, in the template's proportion 256Mi/512Mi",
    });
  },
);

t.test('a template with little room: the request rises until the limit is what was decided', async (t) => {
  // 368Mi × 400 / 480 = 306.7Mi → 307Mi; × 480 / 400 = 368.4Mi.
  const said = sayThroughVpa(mi(224, 368), [mi(400, 480)]);
  t.match(said, { request: 307 * Mi, reason: "through VPA 307Mi/368.4Mi, in the template's proportion 400Mi/480Mi" });
  t.equal(said.limit, Math.floor(368.4 * Mi));
});

t.test('request = limit, or a limit alone, which is the request, too: both stay equal', async (t) => {
  t.match(sayThroughVpa(mi(336, 336), [mi(512, 512)]), mi(336, 336));
  t.match(sayThroughVpa(mi(224, 336), [{ limit: 512 * Mi }]), mi(336, 336));
});

t.test('no limit in the template: VPA sets none', async (t) => {
  for (const template of [{}, { request: 256 * Mi }]) {
    t.strictSame(sayThroughVpa(mi(224, 336), [template]), {
      request: 224 * Mi,
      reason: 'through VPA 224Mi/-: it sets no limit where the template has none',
    });
  }
});

t.test(
  'a template that still holds values of ours: the one that comes back must not be too small either',
  async (t) => {
    // As it is 224/448; when the manifest comes back, 400/420: 368Mi × 400 / 420 = 350.5Mi.
    const said = sayThroughVpa(mi(224, 368), [mi(224, 448), mi(400, 420)]);
    t.match(said, { request: 351 * Mi, limit: 702 * Mi });
  },
);

t.test('neither side is ever undercut, whatever the template, and not by more than it must be', async () => {
  const bytes = fc.integer({ min: 1, max: 64 * Gi });
  const ordered = fc.tuple(bytes, bytes).map(([a, b]) => ({ request: Math.min(a, b), limit: Math.max(a, b) }));
  const template: fc.Arbitrary<Pair<number>> = fc.oneof(
    ordered,
    bytes.map((limit) => ({ limit })),
    bytes.map((request) => ({ request })),
    fc.constant({}),
  );
  const limitOf = (request: number, { request: from, limit }: Pair<number>) =>
    limit === undefined ? Number.POSITIVE_INFINITY : Number((BigInt(limit) * BigInt(request)) / BigInt(from ?? limit));
  fc.assert(
    fc.property(ordered, fc.array(template, { minLength: 1, maxLength: 2 }), (decided, templates) => {
      const { request, limit } = sayThroughVpa(decided, templates);
      const fits = (bytes: number) =>
        bytes >= decided.request && templates.every((one) => limitOf(bytes, one) >= decided.limit);
      return (
        fits(request) && !fits(request - Mi) && (limit === undefined || limit === limitOf(request, templates[0] ?? {}))
      );
    }),
  );
});
