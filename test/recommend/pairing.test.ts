import t from 'tap';
import { Mi } from '../../src/domain/quantity.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { type ContainerAlone, lookAtPair, type ServiceAlone } from '../../src/recommend/pairing.ts';
import { inMi, lookOf, values, windowOf } from './looks.ts';
import { MINUTE, NOW, RULES } from './rules.ts';
import { FIT, loadWindow, running } from './services.ts';

const HOUR = 60 * MINUTE;
const usage = (short: number, long: number): Usage => ({
  short: windowOf(short * 0.5, short * 0.55, short),
  long: windowOf(long * 0.5, long * 0.55, long),
  partial: false,
});
const container = (used: Usage, more: Partial<ContainerAlone['look']> = {}, fit = FIT): ContainerAlone => ({
  ...{ name: 'function', fit },
  look: lookOf({ usage: used, current: values(352, 512), written: values(352, 512), enforced: true, ...more }),
});
const service = (inFlight: number, more: Partial<ServiceAlone> = {}): ServiceAlone => ({
  load: { short: loadWindow(inFlight), long: loadWindow(inFlight), partial: false },
  current: running(100),
  ...{ written: {}, most: 1000, atMaxScale: false, fixed: {}, enforced: true, ours: false },
  ...more,
});
const pair = (alone: ServiceAlone, one: ContainerAlone) => {
  const { service, containers } = lookAtPair(alone, [one], RULES, NOW);
  return { requests: service.finding, memory: containers[0]?.finding, held: containers[0]?.look.held?.from };
};

t.test('where fewer requests cost less, memory does not rise for them', async (t) => {
  // Memory's rules ask for 816Mi, because the pod is full most of the time.
  const full = { ...usage(500, 500), long: windowOf(300, 450, 500), short: windowOf(300, 450, 500) };
  const { requests, memory, held } = pair(service(77), container(full));
  t.equal(requests.recommended?.target, 90);
  t.equal(requests.recommended?.instead, 'function');
  t.equal(held, 'rising');
  t.strictSame(inMi(memory?.recommended), [464, 512], 'the limit stays, and the request covers what is used');
  t.match(memory?.rationale, /fewer requests in flight cost less than more memory; kept at 464Mi\/512Mi/);
});

t.test('an OOM kill raises memory all the same', async (t) => {
  const full = {
    ...usage(500, 500),
    long: windowOf(300, 450, 500),
    short: windowOf(300, 450, 500),
    oomLimit: 512 * Mi,
  };
  t.ok((pair(service(77), container(full)).memory?.recommended?.limit ?? 0) > 512 * Mi);
});

t.test('where memory costs less, it rises, and requests are only bounded', async (t) => {
  const { requests, held } = pair(service(77), container(usage(480, 480)));
  t.match(requests.recommended, { target: 100, containerConcurrency: 100 });
  t.equal(held, undefined);
});

t.test('memory does not fall while more requests are to come, nor for a cooldown after', async (t) => {
  const queue = loadWindow(40, { queue: 3 });
  const idle = service(40, { load: { short: queue, long: queue, partial: false } });
  const large = { current: values(1024, 2048), written: values(1024, 2048) };
  const { requests, memory, held } = pair(idle, container(usage(200, 200), large));
  t.equal(requests.recommended?.target, 120);
  t.equal(held, 'falling');
  t.strictSame(memory?.changes, []);
  const at = (minutes: number) => {
    const applied = { target: 120, at: NOW - minutes * MINUTE, previous: { target: 100 } };
    const after = service(40, { applied, standing: { target: 120, at: applied.at }, current: running(120) });
    return pair(after, container(usage(200, 200), large)).memory?.changes.length ?? 0;
  };
  t.equal(at(29), 0);
  t.ok(at(30) > 0);
});

t.test('what requests needed before there were fewer of them is no reason for memory to rise', async (t) => {
  const applied = { target: 90, containerConcurrency: 90, at: NOW - HOUR };
  const standing = { ...applied, instead: 'function' };
  const lowered = (short: number) =>
    pair(service(60, { applied, standing, current: running(90) }), container({ ...usage(short, 700) })).held;
  t.equal(lowered(400), 'rising');
  t.equal(lowered(461), undefined, 'but what is needed now is');
  const before = { ...applied, at: NOW - 6 * HOUR };
  const old = service(60, { applied: before, standing: { ...before, instead: 'function' }, current: running(90) });
  t.equal(pair(old, container(usage(400, 700))).held, undefined, 'as long as the long window remembers');
});
