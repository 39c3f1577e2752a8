/** A patch that does not apply refuses the deploy: every one here is applied by another implementation, strictly. */
import t from 'tap';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import type { Tuning } from '../../src/domain/record.ts';
import {
  admit,
  applied,
  container,
  context,
  create,
  created,
  deployment,
  edited,
  patched,
  remembered,
  service,
  tuning,
  update,
} from './objects.ts';

const OURS = '{"function":{"request":{"set":"224Mi","was":null},"limit":{"set":"336Mi","was":null}}}';
const ANNOTATION = '/metadata/annotations/tuning.oaas.io~1applied';
const RESOURCES = '/spec/template/spec/containers/0/resources';

const shapes: [string, Json | undefined, string[]][] = [
  ['no resources', undefined, ['', '/requests', '/requests/memory', '/limits', '/limits/memory']],
  ['null resources', null, ['', '/requests', '/requests/memory', '/limits', '/limits/memory']],
  ['empty resources', {}, ['/requests', '/requests/memory', '/limits', '/limits/memory']],
  [
    'null requests and limits',
    { requests: null, limits: null },
    ['/requests', '/requests/memory', '/limits', '/limits/memory'],
  ],
  ['empty requests and limits', { requests: {}, limits: {} }, ['/requests/memory', '/limits/memory']],
  ['only requests', { requests: { cpu: '1' } }, ['/requests/memory', '/limits', '/limits/memory']],
  ['only limits', { limits: { cpu: '1' } }, ['/requests', '/requests/memory', '/limits/memory']],
  ['null memory', { requests: { memory: null }, limits: { memory: null } }, ['/requests/memory', '/limits/memory']],
];
const metadata: [string, Json | undefined, boolean][] = [
  ['no annotations', undefined, true],
  ['null annotations', null, true],
  ['empty annotations', {}, false],
  ['annotations of others', { team: 'a' }, false],
];

for (const workload of [deployment, service]) {
  for (const [shape, resources, paths] of shapes) {
    for (const [annotated, annotations, made] of metadata) {
      t.test(`${workload.name} with ${shape} and ${annotated}: only what is missing is made`, async (t) => {
        const { resources: _, ...bare } = container('function');
        const manifest = edited(workload([bare]), (o) => {
          if (resources !== undefined) o.spec.template.spec.containers[0].resources = resources;
          if (annotations !== undefined) o.metadata.annotations = annotations;
        });
        const { object, operations } = admit(create(manifest), context(applied()));
        t.strictSame(
          operations.map(({ path }) => path),
          [...paths.map((path) => RESOURCES + path), ...(made ? ['/metadata/annotations'] : []), ANNOTATION],
        );
        t.ok(operations.every(({ op }) => op === 'add'));
        const expected = edited(manifest, (o) => {
          const { requests, limits } = o.spec.template.spec.containers[0].resources ?? {};
          o.spec.template.spec.containers[0].resources = {
            requests: { ...requests, memory: '224Mi' },
            limits: { ...limits, memory: '336Mi' },
          };
          o.metadata.annotations = { ...o.metadata.annotations, 'tuning.oaas.io/applied': OURS };
        });
        t.strictSame(object, expected);
      });
    }
  }
}

const manifest = deployment([container('function', '256Mi', '512Mi')]);

t.test('a single side makes only its own parents', async (t) => {
  const bare = deployment([container('function')]);
  const record = tuning({ overrides: { function: { limit: '1Gi' } } });
  const { operations } = admit(create(bare), context(record));
  t.strictSame(operations.slice(0, 2), [
    { op: 'add', path: `${RESOURCES}/limits`, value: {} },
    { op: 'add', path: `${RESOURCES}/limits/memory`, value: '1Gi' },
  ]);
});

t.test('a value that already means the same amount is not written again', async (t) => {
  const respelled = deployment([container('function', '229376Ki', 352321536)]);
  t.strictSame(admit(create(respelled), context(applied())).operations, []);
});

t.test('containers are addressed by their place in this very object, sidecars in theirs', async (t) => {
  const object = deployment([container('a'), container('b', '1Gi')], {
    initContainers: [container('init'), container('mesh', '1Gi', undefined, { restartPolicy: 'Always' })],
  });
  const record = tuning({ overrides: { b: { request: '2Gi' }, mesh: { request: '3Gi' } } });
  const { operations } = admit(create(object), context(record));
  t.strictSame(
    operations.slice(0, 2).map(({ path }) => path),
    [
      '/spec/template/spec/containers/1/resources/requests/memory',
      '/spec/template/spec/initContainers/1/resources/requests/memory',
    ],
  );
});

t.test('remove is used only for a value that is there and is ours', async (t) => {
  const bare = deployment([container('function')]);
  const live = created(bare, applied());
  const next = edited(live, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
  const { operations } = admit(update(next, live), context(undefined));
  t.strictSame(operations, [
    { op: 'remove', path: `${RESOURCES}/requests/memory` },
    { op: 'remove', path: `${RESOURCES}/limits/memory` },
    { op: 'remove', path: ANNOTATION },
  ]);
  const already = edited(bare, (o) => (o.spec.template.spec.containers[0].image = 'registry/function:2'));
  t.strictSame(admit(update(already, live), context(undefined)).operations, [], 'nothing there, nothing to remove');
});

t.test('the annotation keeps the spelling of its first writing when the server respells the value', async (t) => {
  const record: Tuning = tuning({ overrides: { function: { request: '0.1Gi', limit: '2048Mi' } } });
  const live = edited(created(manifest, record), (o) => {
    o.spec.template.spec.containers[0].resources = { requests: { memory: '107374182400m' }, limits: { memory: '2Gi' } };
  });
  const annotated = edited(live, (o) => (o.metadata.labels.team = 'a'));
  t.strictSame(admit(update(annotated, live), context(record)).operations, []);
  t.strictSame(admit(create(live), context(record)).operations, []);
  const replaced = admit(update(manifest, live), context(record)).object;
  t.strictSame(remembered(replaced), remembered(live), 'also where kubectl replace dropped the annotation');
});

t.test('container names that need escaping are written into the annotation as they are', async (t) => {
  const name = 'a/b~c"d';
  const record = tuning({ overrides: { [name]: { request: '1Gi' } } });
  const { object } = admit(create(service([container(name)])), context(record));
  const annotations = (object.metadata as JsonObject).annotations as JsonObject;
  t.strictSame(JSON.parse(String(annotations['tuning.oaas.io/applied'])), {
    [name]: { request: { set: '1Gi', was: null } },
  });
});

t.test('the library that judges us is strict: it refuses a patch without parents', async (t) => {
  t.throws(() => patched({}, [{ op: 'add', path: '/metadata/annotations/a', value: 'b' }]));
  t.throws(() => patched({ metadata: {} }, [{ op: 'remove', path: '/metadata/annotations' }]));
});

t.test('annotations that leave no room for ours leave the object as it is', async (t) => {
  const room = 256 * 1024;
  const record = applied();
  const book = JSON.stringify(remembered(created(deployment([container('function')]), record)));
  const ours = 'tuning.oaas.io/applied'.length + book.length;
  for (const [bytes, injected] of [
    [room - ours - 1, true],
    [room - ours, false],
  ] as const) {
    const object = edited(
      deployment([container('function')]),
      (o) => (o.metadata.annotations = { n: 'x'.repeat(bytes) }),
    );
    const { operations, reason, warnings } = admit(create(object), context(record));
    t.equal(operations.length > 0, injected, `${bytes} bytes`);
    t.equal(reason, injected ? 'injected' : 'no-room');
    t.equal(
      warnings.some((line) => line.includes('no-room')),
      !injected,
    );
  }
});
