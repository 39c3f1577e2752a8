/** What a CREATE gets: the ladder (design, "Which values win"). */
import t from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { overrideOf } from '../../src/domain/ladder.ts';
import type { Tuning } from '../../src/domain/record.ts';
import {
  admit,
  applied,
  container,
  context,
  create,
  deployment,
  edited,
  memory,
  remembered,
  service,
  tuning,
} from './objects.ts';

const workloads: [string, (containers: JsonObject[], podSpec?: JsonObject) => JsonObject][] = [
  ['Deployment', deployment],
  ['Knative Service', service],
];

for (const [kind, workload] of workloads) {
  const manifest = workload([container('function', '256Mi', '512Mi')]);
  const after = (record: Tuning | undefined, object = manifest) => admit(create(object), context(record));

  t.test(`a new ${kind} gets the applied values, and remembers what its manifest said`, async (t) => {
    const { object, reason } = after(applied());
    t.strictSame(memory(object), { function: '224Mi/336Mi' });
    t.equal(reason, 'injected');
    t.strictSame(remembered(object), {
      function: { request: { set: '224Mi', was: '256Mi' }, limit: { set: '336Mi', was: '512Mi' } },
    });
  });

  t.test(`a new ${kind} whose manifest names no memory gets both sides`, async (t) => {
    const { object } = after(applied(), workload([container('function')]));
    t.strictSame(memory(object), { function: '224Mi/336Mi' });
    t.strictSame(remembered(object), {
      function: { request: { set: '224Mi', was: null }, limit: { set: '336Mi', was: null } },
    });
  });

  t.test(`an override beats applied values in a new ${kind}, field by field`, async (t) => {
    const both = after(applied('224Mi', '336Mi', { overrides: { function: { request: '128Mi', limit: '1Gi' } } }));
    t.strictSame(memory(both.object), { function: '128Mi/1Gi' });
    const request = after(applied('224Mi', '336Mi', { overrides: { function: { request: '300Mi' } } }));
    t.strictSame(memory(request.object), { function: '300Mi/336Mi' });
    const limit = after(applied('224Mi', '336Mi', { overrides: { function: { limit: '2Gi' } } }));
    t.strictSame(memory(limit.object), { function: '224Mi/2Gi' });
  });

  t.test(`an override in a new ${kind} is used to the letter`, async (t) => {
    for (const request of ['0.25Gi', '.1Gi', '100e6', '129M', '268435456', '128974848000m', '+200Mi', '1']) {
      const { object } = after(tuning({ overrides: { function: { request } } }));
      t.strictSame(memory(object), {
        function: request === '0.25Gi' || request === '268435456' ? '256Mi/512Mi' : `${request}/512Mi`,
      });
    }
  });

  t.test(`an override for this ${kind}'s container beats one for the container anywhere, field by field`, async (t) => {
    const record = tuning({
      overrides: {
        function: { request: '100Mi', limit: '600Mi' },
        'orders/function': { request: '200Mi' },
        'other/function': { request: '300Mi' },
      },
    });
    t.strictSame(memory(after(record).object), { function: '200Mi/600Mi' });
  });
}

const manifest = deployment([container('function', '256Mi', '512Mi')]);
const admitted = (record: Tuning | undefined, object = manifest, more = {}) =>
  admit(create(object), context(record, more));

t.test('a recommendation alone never reaches a workload', async (t) => {
  t.strictSame(memory(admitted(tuning()).object), { function: '256Mi/512Mi' });
});

t.test('applied values need the gate, enforce, and tuning enabled; each alone closes it', async (t) => {
  const unchanged = { function: '256Mi/512Mi' };
  const closed = { gates: { enforcement: false, enabledByDefault: true } };
  t.strictSame(memory(admitted(applied(), manifest, closed).object), unchanged, 'gate closed');
  t.strictSame(memory(admitted(applied('224Mi', '336Mi', { enforce: false })).object), unchanged, 'enforce: false');
  t.strictSame(memory(admitted(applied('224Mi', '336Mi', { enabled: false })).object), unchanged, 'enabled: false');
  const dev = { gates: { enforcement: true, enabledByDefault: false } };
  t.strictSame(memory(admitted(applied(), manifest, dev).object), unchanged, 'the profile dev');
  t.strictSame(memory(admitted(applied('224Mi', '336Mi', { enabled: true }), manifest, dev).object), {
    function: '224Mi/336Mi',
  });
});

t.test('overrides work with the gate closed and in every profile; only enabled: false switches them off', async (t) => {
  const overrides = { function: { request: '300Mi' } };
  const gates = { gates: { enforcement: false, enabledByDefault: false } };
  t.strictSame(memory(admitted(tuning({ overrides, enforce: false }), manifest, gates).object), {
    function: '300Mi/512Mi',
  });
  t.strictSame(memory(admitted(tuning({ overrides, enabled: false })).object), { function: '256Mi/512Mi' });
});

t.test('an override of only the request, above the manifest’s limit, is held back and said', async (t) => {
  const { object, operations, reason, warnings } = admitted(tuning({ overrides: { function: { request: '1Gi' } } }));
  t.strictSame(operations, []);
  t.strictSame(memory(object), { function: '256Mi/512Mi' });
  t.equal(reason, 'request-above-limit');
  t.match(warnings, [/function memory left alone \(request-above-limit\)/]);
});

t.test('an applied value that conflicts with an override yields to it', async (t) => {
  const { object, reason } = admitted(applied('224Mi', '336Mi', { overrides: { function: { request: '400Mi' } } }));
  t.strictSame(memory(object), { function: '400Mi/512Mi' });
  t.equal(reason, 'injected');
  t.strictSame(remembered(object), { function: { request: { set: '400Mi', was: '256Mi' } } });
});

t.test('request and limit may be equal, so that a Guaranteed pod stays one', async (t) => {
  t.strictSame(memory(admitted(applied('336Mi', '336Mi')).object), { function: '336Mi/336Mi' });
});

t.test('a manifest value that is no quantity is left to the API server', async (t) => {
  for (const wrong of ['12 Gi', 'lots', '', '64mi', true, { a: 1 }, '-1']) {
    const object = service([container('function', wrong, '512Mi')]);
    const { operations, reason } = admitted(tuning({ overrides: { function: { limit: '600Mi' } } }), object);
    t.strictSame(operations, [], `limit overridden, request ${JSON.stringify(wrong)}`);
    t.equal(reason, 'unreadable-value');
    t.strictSame(admitted(applied(), object).operations, [], 'also where both sides would be replaced');
  }
});

t.test('resources that are no object are left to the API server', async (t) => {
  for (const resources of ['512Mi', [], 7, { requests: [] }, { limits: 'x' }]) {
    const object = service([{ ...container('function'), resources } as JsonObject]);
    const { operations, reason } = admitted(applied(), object);
    t.strictSame(operations, []);
    t.equal(reason, 'unreadable-value');
  }
});

t.test('native sidecars are tuned, plain init containers are not', async (t) => {
  const object = deployment([container('function', '256Mi', '512Mi')], {
    initContainers: [
      container('migrate', '64Mi', '64Mi'),
      container('mesh', '64Mi', '64Mi', { restartPolicy: 'Always' }),
    ],
  });
  const overrides = { migrate: { request: '32Mi' }, mesh: { request: '32Mi' }, function: { request: '300Mi' } };
  const result = admitted(tuning({ overrides }), object);
  t.strictSame(memory(result.object), { function: '300Mi/512Mi', migrate: '64Mi/64Mi', mesh: '32Mi/64Mi' });
});

t.test('each container gets its own values, whatever its place', async (t) => {
  const overrides = { a: { request: '10Mi' }, c: { limit: '90Mi' } };
  const object = deployment([
    container('c', '20Mi', '80Mi'),
    container('b', '20Mi', '80Mi'),
    container('a', '20Mi', '80Mi'),
  ]);
  t.strictSame(memory(admitted(tuning({ overrides }), object).object), {
    a: '10Mi/80Mi',
    b: '20Mi/80Mi',
    c: '20Mi/90Mi',
  });
});

t.test('two containers of one name are left alone, the others are tuned', async (t) => {
  const overrides = { twin: { request: '10Mi' }, other: { request: '10Mi' } };
  const object = service([container('twin', '20Mi'), container('other', '20Mi'), container('twin', '30Mi')]);
  const { operations, reason, warnings } = admitted(tuning({ overrides }), object);
  t.strictSame(
    operations.map(({ path }) => path),
    [
      '/spec/template/spec/containers/1/resources/requests/memory',
      '/metadata/annotations',
      '/metadata/annotations/tuning.oaas.io~1applied',
    ],
  );
  t.equal(reason, 'injected');
  t.equal(warnings.filter((line) => line.includes('ambiguous-name')).length, 2);
});

t.test('names that JavaScript knows, such as constructor and __proto__, are names like any other', async (t) => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    t.strictSame(admitted(tuning(), deployment([container(name, '256Mi', '512Mi')])).operations, []);
    const overrides: Tuning['overrides'] = JSON.parse(`{"${name}": {"request": "300Mi"}}`);
    t.strictSame(overrideOf(tuning({ overrides }), 'orders', name), { request: '300Mi' });
    const { object } = admitted(tuning({ overrides }), deployment([container(name, '256Mi', '512Mi')]));
    t.strictSame(Object.values(memory(object)), ['300Mi/512Mi']);
    t.equal(admit(create(object), context(tuning({ overrides }))).operations.length, 0);
  }
});

t.test('pod-level memory bounds all containers together, so none is changed', async (t) => {
  for (const resources of [{ limits: { memory: '1Gi' } }, { requests: { memory: '1Gi' } }]) {
    const { operations, reason } = admitted(
      applied(),
      deployment([container('function', '256Mi', '512Mi')], { resources }),
    );
    t.strictSame(operations, []);
    t.equal(reason, 'pod-level-memory');
  }
  const cpu = deployment([container('function', '256Mi', '512Mi')], { resources: { limits: { cpu: '1' } } });
  t.equal(admitted(applied(), cpu).reason, 'injected');
});

t.test('a record that nobody knows leaves the manifest alone', async (t) => {
  const { operations, reason } = admitted(undefined);
  t.strictSame(operations, []);
  t.equal(reason, 'unknown-record');
});

t.test(
  'before the first list has arrived nothing is injected, and it is said that the store was not ready',
  async (t) => {
    const { operations, reason } = admitted(undefined, manifest, { storeReady: false });
    t.strictSame(operations, []);
    t.equal(reason, 'store-not-ready');
  },
);

t.test('only memory is written: cpu and every other field stay', async (t) => {
  const object = edited(manifest, (o) => {
    o.spec.template.spec.containers[0].resources.requests.cpu = '100m';
    o.spec.template.spec.containers[0].resources.limits['nvidia.com/gpu'] = 1;
  });
  const expected = edited(object, (o) => {
    o.spec.template.spec.containers[0].resources.requests.memory = '224Mi';
    o.spec.template.spec.containers[0].resources.limits.memory = '336Mi';
    o.metadata.annotations = {
      'tuning.oaas.io/applied':
        '{"function":{"request":{"set":"224Mi","was":"256Mi"},"limit":{"set":"336Mi","was":"512Mi"}}}',
    };
  });
  t.strictSame(admitted(applied(), object).object, expected);
});

t.test(
  'an applied value that would not fit beside a one-sided manifest while we are away is not injected',
  async (t) => {
    const record = applied('224Mi', '336Mi');
    const refused = admit(create(deployment([container('function', '512Mi')])), context(record));
    t.strictSame(memory(refused.object), { function: '512Mi/-' }, 'the next apply would leave 512Mi/336Mi');
    t.match(refused.warnings, [/does-not-fit/]);
    const fits = admit(create(deployment([container('function', '300Mi')])), context(record));
    t.strictSame(memory(fits.object), { function: '224Mi/336Mi' });
  },
);
