import t from 'tap';
import { appliedKnobsOf, knobsOf, sameKnobs } from '../../src/domain/concurrency.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { AUTOSCALING, settingsOf, settingText, spelledIn } from '../../src/domain/scaling-settings.ts';

const serviceWith = (annotations: JsonObject, containerConcurrency?: unknown) => ({
  spec: {
    template: {
      metadata: {
        annotations: Object.fromEntries(
          Object.entries(annotations).map(([key, value]) => [`autoscaling.knative.dev/${key}`, value]),
        ),
      },
      spec: { containerConcurrency },
    },
  },
});

t.test('the kebab spelling of an annotation wins over the camel one, as in Knative', async (t) => {
  const both = settingsOf(serviceWith({ targetBurstCapacity: '10', 'target-burst-capacity': '20' }));
  t.equal(spelledIn(both, `${AUTOSCALING}target-burst-capacity`), 'autoscaling.knative.dev/target-burst-capacity');
  t.equal(settingText(both, 'target-burst-capacity'), '20');
  t.equal(settingText(settingsOf(serviceWith({ targetBurstCapacity: '10' })), 'target-burst-capacity'), '10');
  t.equal(settingText(settingsOf(serviceWith({})), 'target-burst-capacity'), undefined);
});

t.test('what a template says; what is no number is not set', async (t) => {
  t.same(knobsOf(serviceWith({ target: '0.5', 'target-burst-capacity': '-1' }, 0)), {
    target: 0.5,
    containerConcurrency: 0,
    targetBurstCapacity: -1,
  });
  t.same(knobsOf(serviceWith({ target: 'many', targetBurstCapacity: 7 }, '10')), {});
  for (const strange of [undefined, null, 'text', { spec: { template: null } }]) t.same(knobsOf(strange), {});
});

t.test('a field that nobody set is not 0', async (t) => {
  t.ok(sameKnobs({ target: 10 }, { target: 10 }));
  t.notOk(sameKnobs({ containerConcurrency: 0 }, {}));
  t.notOk(sameKnobs({ target: 10 }, { target: 11 }));
});

t.test('applied values are read back from status without trusting it', async (t) => {
  const entry = (workload: unknown, applied: unknown) => ({ workload, applied });
  t.same(
    {
      ...appliedKnobsOf([
        entry('KnativeService/orders', { target: 80, containerConcurrency: 100, at: '2026-01-31T10:00:00Z' }),
        entry('KnativeService/text', { target: '80' }),
        entry('KnativeService/none', undefined),
        entry(7, { target: 80 }),
        null,
      ]),
    },
    { 'KnativeService/orders': { target: 80, containerConcurrency: 100 } },
  );
  for (const strange of [undefined, 'text', {}]) t.same({ ...appliedKnobsOf(strange) }, {});
});
