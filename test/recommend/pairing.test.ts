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
const pair = (alone: ServiceAlone, ...all: ContainerAlone[]) => {
  const { service, containers } = lookAtPair(alone, all, RULES, NOW);
  return { requests: service.finding, memory: containers[0]?.finding, held: containers[0]?.look.held?.from };
};

t.test('what the short window has seen is in the long one, which was read a while ago', async (t) => {
  const burst = container(usage(500, 300));
  t.match(pair(service(77), burst).requests.rationale, /memory of function near its limit in both windows/);
  const { long: _, ...young } = usage(500, 300);
  t.notMatch(pair(service(77), container(young)).requests.rationale, /near its limit/, 'where there is a long one');
});

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

const WAITING = loadWindow(40, { queue: 3 });
const waiting = (more: Partial<ServiceAlone> = {}) =>
  service(40, { load: { short: WAITING, long: WAITING, partial: false }, ...more });

t.test('requests do not rise on memory that may not fall', async (t) => {
  const well = container(usage(200, 200));
  t.equal(pair(waiting(), well).requests.recommended?.target, 120);
  const young = usage(200, 200);
  const few = { ...young, short: windowOf(100, 110, 200, 3), long: windowOf(100, 110, 200, 3) };
  t.match(pair(waiting(), container(few)).requests, {
    doubt: /^memory of function: only 3 of/,
    recommended: undefined,
  });
  const unseen = { ...container(usage(200, 200)), name: 'proxy' };
  unseen.look = { ...unseen.look, usage: undefined };
  t.match(pair(waiting(), well, unseen).requests, { doubt: 'memory of proxy: no samples', recommended: undefined });
});

t.test('a kill counts against more requests as long as its limit runs', async (t) => {
  const at = (oomLimit: number) => ({ ...usage(200, 200), oomLimit: oomLimit * Mi });
  t.match(pair(waiting(), container(at(512))).requests.recommended, { target: 100, containerConcurrency: 100 });
  t.equal(pair(waiting(), container(at(300))).requests.recommended?.target, 120, 'the limit was raised since');
  const applied = { target: 120, at: NOW - 10 * MINUTE, previous: { target: 100 } };
  const raised = { applied, standing: { target: 120, at: applied.at }, aftermath: { since: applied.at } };
  const after = (oomLimit: number) => pair(waiting({ ...raised, current: running(120) }), container(at(oomLimit)));
  t.match(after(512).requests.applied, { target: 100, takenBack: true });
  t.equal(after(511).requests.applied?.target, 120, 'a kill from before is no fault of the raise');
});

t.test('after a kill, memory rises and a pod is bounded, in one look', async (t) => {
  const { requests, memory } = pair(service(40), container({ ...usage(200, 512), oomLimit: 512 * Mi }));
  t.match(requests.applied, { target: 100, containerConcurrency: 100 });
  t.ok((memory?.applied?.limit ?? 0) > 512 * Mi);
  const since = pair(service(40), container({ ...usage(200, 512), oomLimit: 511 * Mi }));
  t.equal(since.requests.applied, undefined, 'the limit was raised since');
});

t.test('where requests are lowered, no memory falls in the same look', async (t) => {
  const full = { ...usage(500, 500), long: windowOf(300, 450, 500), short: windowOf(300, 450, 500) };
  const idle = {
    ...container(usage(100, 100), { current: values(1024, 2048), written: values(1024, 2048) }),
    name: 'idle',
  };
  const { service: found, containers } = lookAtPair(service(77), [container(full), idle], RULES, NOW);
  t.equal(found.finding.recommended?.target, 90);
  t.strictSame(
    containers.map(({ look }) => look.held?.from),
    ['rising', 'falling'],
  );
  t.strictSame(containers[1]?.finding.changes, []);
});
