import t from 'tap';
import { hasPodLevelMemory, hasStrangeResources, refusedBecause } from '../../src/admit/acceptable.ts';
import type { Json } from '../../src/domain/json.ts';
import { deployment } from './objects.ts';

t.test('a request up to the limit, one side alone, and neither are accepted', async (t) => {
  for (const values of [
    {},
    { request: '1Gi' },
    { limit: '1' },
    { request: '512Mi', limit: '0.5Gi' },
    { request: '1.1', limit: '1.2' },
    { request: 0, limit: 0 },
    { request: 1, limit: '1Ki' },
  ]) {
    t.equal(refusedBecause(values), undefined, JSON.stringify(values));
  }
});

t.test('a request above the limit is refused, be it by a thousandth of a byte', async (t) => {
  for (const [request, limit] of [
    ['513Mi', '512Mi'],
    ['1Gi', '1G'],
    ['1001m', '1'],
    [2, 1],
  ] as [Json, Json][]) {
    t.equal(refusedBecause({ request, limit }), 'request-above-limit', `${request} above ${limit}`);
  }
});

t.test('what is no quantity, or is below zero, is refused', async (t) => {
  for (const value of ['', ' ', '12 Gi', '64mi', '-1', -1, true, [], {}, '1e', 'NaN']) {
    t.equal(refusedBecause({ request: value }), 'unreadable-value', JSON.stringify(value));
    t.equal(refusedBecause({ limit: value }), 'unreadable-value', JSON.stringify(value));
  }
});

t.test('pod-level memory is seen on either side, pod-level cpu is no memory', async (t) => {
  const pod = (resources: object) => deployment([], { resources: resources as never });
  t.ok(hasPodLevelMemory(pod({ requests: { memory: '1Gi' } })));
  t.ok(hasPodLevelMemory(pod({ limits: { memory: '1Gi' } })));
  t.notOk(hasPodLevelMemory(pod({ limits: { cpu: '1' } })));
  t.notOk(hasPodLevelMemory(pod({})));
  for (const odd of [undefined, null, {}, { spec: 7 }]) t.notOk(hasPodLevelMemory(odd));
});

t.test('absent, null and empty resources are ordinary; anything but objects in there is strange', async (t) => {
  for (const resources of [undefined, null, {}, { limits: null }, { requests: {} }, { limits: { memory: null } }]) {
    t.notOk(hasStrangeResources({ resources } as never));
  }
  for (const resources of ['', 0, false, [], { limits: [] }, { requests: '1Gi' }]) {
    t.ok(hasStrangeResources({ resources } as never));
  }
});
