import t from 'tap';
import { readBook } from '../../src/admit/book.ts';
import { sameTemplate } from '../../src/admit/template.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { applied, container, created, deployment, edited, service } from './objects.ts';

function same(next: JsonObject, old: JsonObject) {
  const oldBook = readBook(old) ?? new Map();
  return sameTemplate(next, old, readBook(next) ?? oldBook, oldBook);
}

const manifest = deployment([container('function', '256Mi', '512Mi')]);

// biome-ignore lint/suspicious/noExplicitAny: an edit reaches deep into plain JSON
const changes: Record<string, (podTemplate: any, one: any) => void> = {
  'its labels': (template) => (template.metadata.labels.app = 'b'),
  'its annotations (kubectl rollout restart)': (template) => (template.metadata.annotations = { a: 'b' }),
  'the image': (_, one) => (one.image = 'b'),
  'a variable': (_, one) => (one.env = [{ name: 'A', value: 'b' }]),
  'an empty variable': (_, one) => (one.env = [{ name: 'A', value: '' }]),
  'a request of another resource': (_, one) => (one.resources.requests.cpu = '1'),
  'a claim': (_, one) => (one.resources.claims = [{ name: 'gpu' }]),
  'the manifest’s memory request': (_, one) => (one.resources.requests.memory = '300Mi'),
  'the manifest’s memory limit, taken away': (_, one) => delete one.resources.limits.memory,
  'a probe': (_, one) => (one.readinessProbe = { tcpSocket: { port: 1 } }),
  'a mount': (_, one) => (one.volumeMounts = [{ name: 'a', mountPath: '/a' }]),
  'a volume': (template) => (template.spec.volumes = [{ name: 'a', emptyDir: {} }]),
  'a boolean that was not there': (template) => (template.spec.hostUsers = false),
  'an init container': (template) => (template.spec.initContainers = [{ name: 'i' }]),
  'the service account': (template) => (template.spec.serviceAccountName = 'b'),
};

for (const [what, change] of Object.entries(changes)) {
  t.test(`a Deployment's template has changed when ${what} has`, async (t) => {
    const next = edited(manifest, (o) => change(o.spec.template, o.spec.template.spec.containers[0]));
    t.notOk(same(next, manifest));
    t.notOk(same(manifest, next), 'the other way round too');
    t.ok(same(next, next));
  });
}

t.test('spelling is no change: another unit, null for absent, an empty list for none', async (t) => {
  const respelled = edited(manifest, (o) => {
    o.spec.template.metadata.creationTimestamp = null;
    o.spec.template.spec.initContainers = [];
    o.spec.template.spec.containers[0].resources = {
      requests: { memory: '0.25Gi', cpu: '1000m' },
      limits: { memory: '536870912' },
    };
  });
  const before = edited(manifest, (o) => (o.spec.template.spec.containers[0].resources.requests.cpu = '1'));
  t.ok(same(respelled, before));
  t.ok(same(before, respelled));
});

t.test('what we injected is read as what stood there before', async (t) => {
  const live = created(manifest, applied());
  t.ok(same(manifest, live), 'the manifest without our annotation');
  t.ok(same(live, created(manifest, applied('400Mi', '800Mi'))), 'two sets of our values');
  const theirs = edited(live, (o) => (o.spec.template.spec.containers[0].resources.limits.memory = '2Gi'));
  t.notOk(same(theirs, live), 'a value that is not ours');
});

t.test('no template on either side is no change, on one side it is', async (t) => {
  const bare = edited(manifest, (o) => delete o.spec.template);
  t.ok(same(bare, bare));
  t.notOk(same(bare, manifest));
  t.notOk(same(manifest, bare));
});

t.test('what Knative fills in is no change, what a person changes beside it is', async (t) => {
  const written = service([{ image: 'a', volumeMounts: [{ name: 'a', mountPath: '/a' }] }]);
  const live = edited(written, (o) => {
    o.spec.template.metadata = { creationTimestamp: null };
    o.spec.template.spec.timeoutSeconds = 300;
    Object.assign(o.spec.template.spec.containers[0], {
      name: 'user-container',
      resources: {},
      readinessProbe: { tcpSocket: { port: 0 }, successThreshold: 1 },
      volumeMounts: [{ name: 'a', mountPath: '/a', readOnly: true }],
    });
  });
  t.ok(same(written, live));
  const variations: JsonObject[] = [
    edited(written, (o) => (o.spec.template.spec.timeoutSeconds = 60)),
    edited(written, (o) => (o.spec.template.spec.containers[0].volumeMounts[0].mountPath = '/b')),
    edited(written, (o) => delete o.spec.template.spec.containers[0].volumeMounts),
    edited(written, (o) => (o.spec.template.spec.containers[0].readinessProbe = { httpGet: { path: '/' } })),
    edited(written, (o) => (o.spec.template.spec.containers[0].name = 'other')),
    edited(written, (o) => (o.spec.template.spec.serviceAccountName = 'b')),
  ];
  for (const next of variations) t.notOk(same(next, live));
});
