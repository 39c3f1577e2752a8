import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { container, deployment, edited, patched } from '../admit/objects.ts';
import { orders, record, review, type Served, serve } from './served.ts';

let served: Served;
t.beforeEach(async () => {
  served = await serve();
});
t.afterEach(() => served.close());

t.test('a review is answered over verified TLS with the patch and a warning', async (t) => {
  const { status, headers, body } = await served.post('/mutate', review());
  t.equal(status, 200);
  t.match(headers['content-type'], 'application/json');
  t.match(body, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
  const { uid, allowed, patchType, patch = '', warnings = [] } = body.response;
  t.strictSame([uid, allowed, patchType], ['7f0b2c1e', true, 'JSONPatch']);
  const after = patched(orders, JSON.parse(Buffer.from(patch, 'base64').toString()));
  const expected = deployment([container('function', '300Mi', '400Mi')]);
  t.strictSame(after.spec, expected.spec);
  t.equal(warnings.length, 1);
  t.match(warnings[0], '256Mi/512Mi -> 300Mi/400Mi');
});

t.test('an unchanged answer has exactly uid and allowed', async (t) => {
  const foreign = edited(orders, ({ metadata }) => {
    delete metadata.labels['oaas.io/owner'];
  });
  const { body } = await served.post('/mutate', review(foreign));
  t.strictSame(body, {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: '7f0b2c1e', allowed: true },
  });
});

t.test('the query string that the API server adds is ignored', async (t) => {
  const { status, body } = await served.post('/mutate?timeout=3s', review());
  t.equal(status, 200);
  t.equal(body.response.patchType, 'JSONPatch');
});

t.test('the server speaks HTTP/1.1 only, TLS 1.2 at least, to nobody who distrusts its CA', async (t) => {
  const { port, ca } = served;
  const handshake = (options: object) =>
    new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({ port, host: 'localhost', ALPNProtocols: ['h2', 'http/1.1'], ...options });
      socket.on('secureConnect', () => resolve(socket.end())).on('error', reject);
    });
  t.equal((await handshake({ ca })).alpnProtocol, 'http/1.1');
  await t.rejects(handshake({ ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }));
  await t.rejects(handshake({}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
});

t.test('idle connections outlive the 90 s for which the API server keeps them', async (t) => {
  const { keepAliveTimeout, requestTimeout } = served.server.app.server as unknown as Record<string, number>;
  t.ok((keepAliveTimeout ?? 0) > 90_000);
  t.ok((requestTimeout ?? 0) > 0 && (requestTimeout ?? 0) <= 30_000, 'a slow sender is not waited for forever');
});

t.test('a body that is no review is refused with a sentence, and counted', async (t) => {
  const refused: [body: unknown, sentence: string | RegExp][] = [
    ['{"kind": ', /JSON/],
    ['null', 'expected an AdmissionReview of admission.k8s.io/v1'],
    ['[]', 'expected an AdmissionReview of admission.k8s.io/v1'],
    [{ ...review(), apiVersion: 'admission.k8s.io/v1beta1' }, 'got kind "AdmissionReview", apiVersion "admission.k8s'],
    [review(orders, { uid: '' }), 'the AdmissionReview has no request.uid'],
    [review(orders, { uid: 7 }), 'the AdmissionReview has no request.uid'],
    [{ ...review(), request: null }, 'the AdmissionReview has no request.uid'],
    [JSON.stringify(review()).replace('"userInfo"', '"__proto__"'), /JSON/],
    ['', /empty/],
  ];
  for (const [body, sentence] of refused) {
    const answer = await served.post('/mutate', body);
    t.equal(answer.status, 400, String(sentence));
    t.match(answer.body.error, sentence);
    t.notMatch(answer.body.error, '\n', 'one sentence');
  }
  t.strictSame(await served.counted(), { 'other/other/error/bad-review': refused.length });
  t.equal((await served.post('/validate', 'null')).status, 400);
});

t.test('another content type is refused with 415', async (t) => {
  for (const type of ['application/yaml', 'text/plain', 'application/vnd.kubernetes.protobuf']) {
    t.equal((await served.post('/mutate', JSON.stringify(review()), type)).status, 415, type);
  }
  t.strictSame(await served.counted(), { 'other/other/error/bad-review': 3 });
});

t.test('an UPDATE may carry its object twice, up to 3 MiB each; more is refused and counted', async (t) => {
  const large = (mebibytes: number) =>
    edited(orders, ({ spec }) => {
      spec.filling = 'x'.repeat(mebibytes * 1024 * 1024);
    });
  const update = (mebibytes: number) => review(large(mebibytes), { operation: 'UPDATE', oldObject: large(mebibytes) });
  const passed = await served.post('/mutate', update(3.25));
  t.equal(passed.status, 200);
  t.equal(passed.body.response.patchType, 'JSONPatch');
  t.equal((await served.post('/mutate', update(4))).status, 413);
  t.strictSame(await served.counted(), {
    'Deployment/UPDATE/changed/injected': 1,
    'other/other/error/bad-review': 1,
  });
});

t.test('each way to end is counted under its reason, and kinds that are not ours as other', async (t) => {
  const named = (name: string) =>
    edited(orders, ({ metadata }) => {
      metadata.labels['oaas.io/owner'] = name;
    });
  await served.post('/mutate', review());
  await served.post('/mutate', review(orders, { operation: 'UPDATE', oldObject: orders }));
  await served.post('/mutate', review(named('nobody'), { operation: 'UPDATE', oldObject: orders }));
  await served.post('/mutate', review({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } }));
  await served.post('/mutate', review(null, { operation: 'DELETE' }));
  t.strictSame(await served.counted(), {
    'Deployment/CREATE/changed/injected': 1,
    'Deployment/UPDATE/changed/injected': 1,
    'Deployment/UPDATE/skipped/unknown-record': 1,
    'other/CREATE/skipped/not-a-workload': 1,
    'other/other/skipped/not-a-workload': 1,
  });
});

t.test('a decision that changes something is one log line; one that does not is none', async (t) => {
  await served.post('/mutate', review());
  await served.post('/mutate', review(deployment([container('other', '1Mi', '2Mi')])));
  t.equal(served.lines.length, 1);
  t.match(served.lines[0], {
    msg: 'admission',
    kind: 'Deployment',
    namespace: 'shop',
    name: 'orders',
    uid: '7f0b2c1e',
    reason: 'injected',
    changes: [{ container: 'function', from: '256Mi/512Mi', to: '300Mi/400Mi', reason: 'injected' }],
  });
});

t.test('a defect of ours admits the object unchanged, and the log has its stack', async (t) => {
  const broken = await serve([record()], () => ({}) as never);
  t.teardown(() => broken.close());
  const { status, body } = await broken.post('/mutate', review());
  t.equal(status, 200);
  t.strictSame(body.response, {
    uid: '7f0b2c1e',
    allowed: true,
    warnings: ['oaas-tuner: an internal error; the object was admitted unchanged'],
  });
  t.strictSame(await broken.counted(), { 'Deployment/CREATE/error/internal-error': 1 });
  t.match(broken.lines, [{ level: 50, name: 'orders', err: { message: /./, stack: /decide\.ts|ladder\.ts/ } }]);
});

t.test('a record whose wishes cannot be meant is refused by /validate, and counted', async (t) => {
  const good = await served.post('/validate', review(record()));
  t.strictSame(good.body.response, { uid: '7f0b2c1e', allowed: true });
  const bad = await served.post('/validate', review(record('orders', { function: { request: '64mi' } })));
  t.equal(bad.status, 200);
  t.match(bad.body.response, { allowed: false, status: { code: 422, reason: 'Invalid', message: /64mi/ } });
  const text = await served.registry.getSingleMetricAsString('oaas_tuner_validations_total');
  t.match(text, 'oaas_tuner_validations_total{allowed="true"} 1');
  t.match(text, 'oaas_tuner_validations_total{allowed="false"} 1');
  t.strictSame(await served.counted(), {}, 'it is no admission of a workload');
});
