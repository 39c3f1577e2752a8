import t from 'tap';
import { readReview } from '../../src/admit/request.ts';

const review = {
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '7f0b2c1e',
    operation: 'UPDATE',
    namespace: 'shop',
    userInfo: { username: 'ann' },
    object: { kind: 'Deployment' },
    oldObject: { kind: 'Deployment', spec: {} },
  },
};

t.test('a review is read into what a decision needs', async (t) => {
  t.strictSame(readReview(review), {
    uid: '7f0b2c1e',
    operation: 'UPDATE',
    namespace: 'shop',
    username: 'ann',
    subResource: '',
    object: { kind: 'Deployment' },
    oldObject: { kind: 'Deployment', spec: {} },
  });
});

t.test('a create has no old object, whether the server leaves it out or sends null', async (t) => {
  for (const oldObject of [null, undefined]) {
    const request = readReview({ ...review, request: { ...review.request, oldObject } });
    t.match(request, { uid: '7f0b2c1e', oldObject: undefined });
  }
});

t.test('another apiVersion is refused by name', async (t) => {
  for (const apiVersion of ['admission.k8s.io/v1beta1', 'v1', '', undefined, 1]) {
    const message = readReview({ ...review, apiVersion });
    t.match(message, /expected an AdmissionReview of admission\.k8s\.io\/v1, got kind "AdmissionReview"/);
  }
  t.match(readReview({ ...review, apiVersion: 'admission.k8s.io/v1beta1' }), /"admission.k8s.io\/v1beta1"/);
});

t.test('another kind is refused by name', async (t) => {
  for (const kind of ['Pod', '', undefined, {}])
    t.match(readReview({ ...review, kind }), /expected an AdmissionReview/);
});

t.test('a review without a uid cannot be answered', async (t) => {
  for (const request of [null, undefined, {}, 'x', [], { uid: '' }, { uid: 7 }, { ...review.request, uid: null }]) {
    t.equal(readReview({ ...review, request }), 'the AdmissionReview has no request.uid');
  }
});

t.test('a body that is no review at all says so', async (t) => {
  for (const body of [null, undefined, '', 'text', 0, [], {}, { kind: 'AdmissionReview' }, Object.create(null)]) {
    t.type(readReview(body), 'string');
  }
});

t.test('fields of another type than the API defines count as absent', async (t) => {
  const request = {
    uid: 'u',
    operation: 7,
    namespace: {},
    userInfo: 'ann',
    subResource: null,
    object: [],
    oldObject: 'x',
  };
  t.strictSame(readReview({ ...review, request }), {
    uid: 'u',
    operation: '',
    namespace: '',
    username: '',
    subResource: '',
    object: undefined,
    oldObject: undefined,
  });
});

t.test('a kind nested absurdly deep, or absurdly long, is refused with a short message', async (t) => {
  const deep = JSON.parse('['.repeat(10_000) + ']'.repeat(10_000));
  for (const kind of [deep, 'x'.repeat(1_000_000)]) {
    const message = readReview({ ...review, kind });
    t.type(message, 'string');
    t.ok(String(message).length < 400);
  }
});
