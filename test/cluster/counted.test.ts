/**
 * What enforcement does to workloads that run, counted: the real admission, API server and controllers; the worker's own
 * cycle, with a clock that the test moves and a Prometheus that it plays.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { usageOfSamples } from '../../src/collect/recorded.ts';
import { Mi } from '../../src/domain/quantity.ts';
import type { MemoryStatus } from '../../src/domain/record.ts';
import type { Usage } from '../../src/domain/usage.ts';
import { MINUTE, RULES } from '../recommend/rules.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { BEFORE, POINTS, standAtPoints, USED } from './kill-points.ts';
import { playWorker } from './played-worker.ts';
import { events, given, kubectl, manifest, put, record } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

/** Simulated days, with a load that comes each morning. */
const DAYS = Number(process.env.OAAS_TUNER_DAYS ?? 1);
/** Random updates of metadata. */
const UPDATES = Number(process.env.OAAS_TUNER_UPDATES ?? 150);
const PATIENCE = { timeoutMs: 120_000 };
const HOUR = 60 * MINUTE;

t.test('enforcement, counted', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  // Without a Prometheus its own worker rests, and it answers reviews alone.
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.kill());
  const hands = cluster.kubeconfigFor('tuner');
  const apply = (...files: string[]) => kubectl(cluster, ['apply', '-f', '-'], files.join('---\n'));

  await t.test(`${DAYS * 24} hours of a changing load: one rollout a step, none without a reason`, async (t) => {
    const WAYS = { client: ['apply'], server: ['apply', '--server-side'], replaced: ['replace'] };
    const written = { request: '256Mi', limit: '512Mi' };
    const files: Record<string, string> = {
      ...Object.fromEntries(Object.keys(WAYS).map((name) => [name, manifest({ name, owner: name })])),
      // Two containers that step together roll together.
      pair: manifest({ name: 'pair', owner: 'pair', memory: { function: written, sidecar: written } }),
      // 160Mi × 1.5 = 240Mi, 360Mi → 368Mi: within 20 % of what it has.
      steady: manifest({ name: 'steady', owner: 'steady', memory: { function: { request: '256Mi', limit: '384Mi' } } }),
    };
    const names = Object.keys(files);
    await apply(...names.map((name) => record({ name, enforce: true })));
    for (const [name, file] of Object.entries(files)) {
      const first = { server: WAYS.server, replaced: ['create'] }[name] ?? WAYS.client;
      await kubectl(cluster, [...first, '-f', '-'], file);
    }
    await complete(cluster, names);

    /** Mi in use, by the hour of the first day and after: high from six to twelve. */
    const load = (hour: number) => (hour % 24 >= 6 && hour % 24 < 12 ? 200 : 100);
    const end = Date.now();
    const start = end - DAYS * 24 * HOUR;
    const samples = { changing: [] as Sample[], steady: [] as Sample[] };
    for (let at = start - 6 * HOUR; at <= end; at += 5 * MINUTE) {
      const seconds = at / 1000;
      samples.changing.push({ seconds, bytes: load((at - start) / HOUR) * Mi });
      samples.steady.push({ seconds, bytes: (155 + ((at / MINUTE) % 11)) * Mi });
    }
    const worker = playWorker(hands, {
      usage: ({ ref }, now) => statistics(ref.endsWith('/steady') ? samples.steady : samples.changing, now),
    });

    const steps = new Map(names.map((name) => [name, [] as { at: number; to: string }[]]));
    let before = await looks(cluster, names);
    for (let now = start; now <= end; now += 20 * MINUTE) {
      const { rollouts } = await worker.work(now);
      if (rollouts.asked === 0) continue;
      await complete(cluster, names);
      const after = await looks(cluster, names);
      for (const name of names) {
        if (after[name]?.memory !== before[name]?.memory)
          steps.get(name)?.push({ at: now, to: after[name]?.memory ?? '' });
      }
      await Promise.all(Object.entries(WAYS).map(([name, way]) => kubectl(cluster, [...way, '-f', '-'], files[name])));
      await complete(cluster, names);
      t.strictSame(await looks(cluster, names), after, 'the same file again neither conflicts, nor reverts, nor rolls');
      before = after;
    }

    // 30 % of 256Mi, rounded: 192Mi; of 512Mi: 368Mi. 100Mi × 1.5 = 150Mi → 160Mi, and 240Mi.
    const fall = ['192Mi/368Mi', '160Mi/272Mi', '160Mi/240Mi'];
    // 200Mi × 1.5 = 300Mi → 304Mi, and 456Mi → 464Mi.
    const rise = ['208Mi/304Mi', '256Mi/384Mi', '304Mi/464Mi'];
    // After six hours for the long window to forget it, and six in which less would have done.
    const back = ['224Mi/336Mi', '160Mi/240Mi'];
    const expected = [...fall, ...Array.from({ length: DAYS }, () => [...rise, ...back]).flat()];
    for (const name of names) {
      const taken = steps.get(name) ?? [];
      const wanted = name === 'steady' ? [] : name === 'pair' ? expected.map((to) => `${to} ${to}`) : expected;
      t.strictSame(
        taken.map(({ to }) => to),
        wanted,
        name,
      );
      t.equal(before[name]?.revision, String(1 + wanted.length), `${name}: one rollout a step`);
      t.ok(
        taken.every(({ at }, index) => at - (taken[index - 1]?.at ?? 0) >= RULES.cooldownSeconds * 1000),
        `${name}: one step a cooldown`,
      );
      const said = (await status(cluster, name))?.history.filter(({ change }) => change === 'applied').at(0)?.outcome;
      t.match(said, wanted.length === 0 ? undefined : /^rolled out by/);
    }
  });

  await t.test(`${UPDATES} random updates of metadata, while other values wait: none rolls`, async (t) => {
    const applied = (request: string, limit: string) => ({ 'Deployment/meta/function': { request, limit } });
    await given(cluster, { name: 'meta', enforce: true, applied: applied('224Mi', '336Mi') });
    await apply(manifest({ name: 'meta', owner: 'meta' }));
    await complete(cluster, ['meta']);
    await given(cluster, { name: 'meta', enforce: true, applied: applied('208Mi', '320Mi') });
    const { meta: before } = await looks(cluster, ['meta']);
    t.equal(before?.memory, '224Mi/336Mi');
    const kinds = new Map<string, number>();
    for (const [index, update] of fc.sample(anUpdate, { seed: 20260131, numRuns: UPDATES }).entries()) {
      const { template } = await sent(cluster, update);
      if (JSON.stringify(template) !== JSON.stringify(before?.template)) {
        t.fail(`update ${index} changed the template: ${JSON.stringify(update)}`);
        break;
      }
      kinds.set(update.kind, (kinds.get(update.kind) ?? 0) + 1);
    }
    t.ok(kinds.size >= 8, JSON.stringify([...kinds]));
    await patched(cluster, 'meta', {
      metadata: { labels: { 'oaas.io/owner': 'meta' }, annotations: { 'tuning.oaas.io/paused': null } },
    });
    await patched(cluster, 'meta', { spec: { paused: false, replicas: 1 } });
    await complete(cluster, ['meta']);
    t.strictSame((await looks(cluster, ['meta'])).meta, before);
    await patched(cluster, 'meta', { spec: { template: { metadata: { annotations: { restarted: 'now' } } } } });
    t.equal((await looks(cluster, ['meta'])).meta?.memory, '208Mi/320Mi', 'and the values had waited all along');
  });

  for (const victim of ['leader', 'webhook'] as const) {
    await t.test(
      `the ${victim} is killed at every point of a rollout: old or new values, and the next cycle finishes`,
      async (t) => {
        const [old, fresh] = ['512Mi/1Gi', '368Mi/720Mi'];
        const names = POINTS.map((point) => `${victim}-${point}`);
        const all = { replicas: 2, memory: { function: { request: '512Mi', limit: '1Gi' } }, minReadySeconds: 1 };
        await apply(
          ...names.map((name) => `${record({ name, enforce: true })}---\n${manifest({ ...all, name, owner: name })}`),
        );
        await complete(cluster, names);
        if (victim === 'leader') {
          const child = spawn(process.execPath, [join(import.meta.dirname, 'dying-leader.ts'), hands, victim], {
            stdio: 'inherit',
          });
          t.strictSame(await once(child, 'exit'), [null, 'SIGKILL']);
        } else await standAtPoints(hands, victim, () => tuner.kill());

        const between = await looks(cluster, names);
        for (const name of names) {
          const found = [between[name]?.memory ?? '', ...(await podsOf(cluster, name))];
          t.ok(found.length > 2 && found.every((one) => one === old || one === fresh), `${name}: ${found.join(', ')}`);
        }
        const reached = POINTS.filter((_, index) => between[names[index] ?? '']?.memory === fresh);
        t.ok(reached.length > 0, `values came in at ${reached}`);
        // A request that arrives while no webhook answers is in vain, and is made again.
        t.notOk(reached.some((point) => BEFORE.includes(point)));

        if (victim === 'webhook') {
          await tuner.start();
          // Tries were in vain while it was away; the last one must not come before it knows who it is itself.
          const path = `${DEPLOYMENTS}/${victim}-${BEFORE[0]}?dryRun=All`;
          const body = { metadata: { annotations: { 'tuning.oaas.io/rollout': 'probe' } } };
          const probe = { method: 'PATCH', contentType: 'application/merge-patch+json', body };
          await until('a request to be honoured', async () => {
            const { spec } = (await cluster.api('tuner').send(path, probe)).body;
            return memoryOf(spec.template.spec) === fresh;
          });
        }
        const next = playWorker(hands, { usage: () => USED, sees: ({ metadata }) => names.includes(metadata.name) });
        let now = Date.now() + 2 * MINUTE;
        await until(
          'the next leader to finish',
          async () => {
            await next.work(now);
            // However many looks it takes, they must not add up to the cooldown.
            now += 1_000;
            const found = await Promise.all(
              names.map(async (name) => (await status(cluster, name))?.rollouts?.[0]?.state),
            );
            return found.every((state) => state === 'Done') || Promise.reject(new Error(found.join(', ')));
          },
          { ...PATIENCE, everyMs: 500 },
        );
        const end = await looks(cluster, names);
        for (const name of names) {
          t.strictSame(await podsOf(cluster, name), [fresh, fresh], name);
          t.equal(end[name]?.revision, '2', `${name}: one rollout`);
        }
      },
    );
  }

  await t.test('a step that made it worse is taken back', async (t) => {
    let usage: Usage = USED;
    const worker = playWorker(hands, { usage: () => usage, sees: ({ metadata }) => metadata.name === 'worse' });
    await apply(record({ name: 'worse', enforce: true }), manifest({ name: 'worse', owner: 'worse' }));
    await complete(cluster, ['worse']);
    let now = Date.now();
    const works = (memory: string, revision: string) =>
      until(
        `${memory} to run`,
        async () => {
          await worker.work(now);
          now += MINUTE;
          await complete(cluster, ['worse']);
          const { worse } = await looks(cluster, ['worse']);
          const { rollouts = [] } = (await status(cluster, 'worse')) ?? {};
          return worse?.memory === memory && worse.revision === revision && rollouts[0]?.state === 'Done';
        },
        PATIENCE,
      );
    await works('192Mi/368Mi', '2');
    usage = { ...USED, oomLimit: 368 * Mi };
    await works('256Mi/512Mi', '3');
    const found = await status(cluster, 'worse');
    t.match(
      found?.history.find(({ change }) => change === 'taken-back'),
      { rationale: /OOM killed at 368Mi within the cooldown/ },
    );
    t.match(found?.containers[0]?.applied, { cooldown_seconds: 3600 });
    await until('its Event', async () => (await events(cluster, 'reason=TakenBack')).length > 0);
    t.equal((await events(cluster, 'reason=TakenBack')).length, 1);
  });

  await t.test('a step whose pods are refused is taken back, and the old ones run on', async (t) => {
    // Bounds of whole pods: what is checked beforehand are those of containers.
    const bounds = { limits: [{ type: 'Pod', min: { memory: '500Mi' } }] };
    await apply(JSON.stringify({ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'pods' }, spec: bounds }));
    const big = { function: { request: '512Mi', limit: '1Gi' } };
    await apply(
      record({ name: 'refused', enforce: true }),
      manifest({ name: 'refused', owner: 'refused', memory: big }),
    );
    await patched(cluster, 'refused', { spec: { progressDeadlineSeconds: 1 } });
    await complete(cluster, ['refused']);
    const worker = playWorker(hands, { usage: () => USED, sees: ({ metadata }) => metadata.name === 'refused' });
    const before = await podsOf(cluster, 'refused');
    await until(
      'its step',
      async () => {
        await worker.work(Date.now());
        return (await looks(cluster, ['refused'])).refused?.memory === '368Mi/720Mi';
      },
      PATIENCE,
    );
    await until('its rollout', async () => (await looks(cluster, ['refused'])).refused?.revision === '2', PATIENCE);
    await until(
      'the previous values',
      async () => {
        await worker.work(Date.now());
        return (await looks(cluster, ['refused'])).refused?.memory === '512Mi/1Gi';
      },
      { ...PATIENCE, everyMs: 500 },
    );
    await complete(cluster, ['refused']);
    await worker.work(Date.now());
    t.equal((await looks(cluster, ['refused'])).refused?.revision, '3');
    t.strictSame(await podsOf(cluster, 'refused'), before);
    const { history = [], rollouts } = (await status(cluster, 'refused')) ?? {};
    t.match(history[0], { change: 'taken-back', rationale: /ProgressDeadlineExceeded/ });
    t.match(rollouts, [{ state: 'Done' }]);
  });
});

type Sample = { seconds: number; bytes: number };

/** As Prometheus would say it; a scrape each 30 s would have made enough samples of it. */
function statistics(samples: Sample[], now: number): Usage {
  const usage = usageOfSamples([samples], now / 1000, RULES.shortWindowSeconds, RULES.longWindowSeconds);
  for (const window of [usage.short, usage.long]) if (window) window.samples *= 10;
  return usage;
}

/** What a rollout would change. */
type LookAt = { template: object; memory: string; revision: string };

// biome-ignore lint/suspicious/noExplicitAny: as the API server has it
type Deployment = any;

async function deployments(cluster: Cluster): Promise<Deployment[]> {
  const { body } = await cluster.api().send(DEPLOYMENTS);
  return body.items;
}

async function looks(cluster: Cluster, names: string[]): Promise<Record<string, LookAt>> {
  const found = (await deployments(cluster)).filter(({ metadata }) => names.includes(metadata.name));
  return Object.fromEntries(found.map((one) => [one.metadata.name, lookAt(one)]));
}

function lookAt({ metadata, spec: { template } }: Deployment): LookAt {
  return { template, memory: memoryOf(template.spec), revision: revisionOf(metadata) };
}

/** The Deployment controller's own count of templates. */
function revisionOf({ annotations }: Deployment): string {
  return annotations?.['deployment.kubernetes.io/revision'];
}

/** `request/limit` of each container. */
function memoryOf({ containers }: Deployment): string {
  const values = containers.map(
    ({ resources }: Deployment) => `${resources.requests.memory}/${resources.limits.memory}`,
  );
  return values.join(' ');
}

/** Waits until every pod is of the newest template, and available: the rules of `kubectl rollout status`. */
async function complete(cluster: Cluster, names: string[]): Promise<void> {
  await until(
    `the rollouts of ${names}`,
    async () => {
      const found = (await deployments(cluster)).filter(({ metadata }) => names.includes(metadata.name));
      return found.length === names.length && !found.some(rolls);
    },
    PATIENCE,
  );
}

function rolls({ metadata, spec, status = {} }: Deployment): boolean {
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  // Its status is written once more when the old pods are gone.
  if (status.terminatingReplicas > 0) return true;
  // `kubectl replace` takes the controller's annotations away, and it puts them back.
  if (observedGeneration < metadata.generation || !revisionOf(metadata)) return true;
  return [replicas, updatedReplicas, availableReplicas].some((count) => count !== spec.replicas);
}

async function podsOf(cluster: Cluster, app: string): Promise<string[]> {
  const { body } = await cluster.api().send(`/api/v1/namespaces/default/pods?labelSelector=app=${app}`);
  const there = body.items.filter(({ metadata }: Deployment) => !metadata.deletionTimestamp);
  return there.map(({ spec }: Deployment) => memoryOf(spec));
}

async function status(cluster: Cluster, name: string): Promise<MemoryStatus | undefined> {
  const { body } = await cluster.api().send(`/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/${name}`);
  return body.status?.nfr_recommendations?.memory;
}

/** One update of a Deployment that leaves its template alone. */
type Update = { kind: string; patch: object; subresource?: string; how: 'merge' | 'put' | 'apply' };

const word = fc.constantFrom('a', 'b', 'c', null);
const text = fc.constantFrom('1', '2', 'true', null);
const metadataOf = (
  kind: string,
  what: 'labels' | 'annotations',
  key: fc.Arbitrary<string>,
  value: fc.Arbitrary<unknown>,
) =>
  fc.record({
    kind: fc.constant(kind),
    patch: fc.tuple(key, value).map(([name, to]) => ({ metadata: { [what]: { [name]: to } } })),
    how: fc.constantFrom('merge' as const, 'put' as const, 'apply' as const),
  });
const fieldOf = (kind: string, patch: fc.Arbitrary<object>, subresource?: string) =>
  fc.record({
    kind: fc.constant(kind),
    patch,
    how: fc.constant('merge' as const),
    ...(subresource !== undefined && { subresource: fc.constant(subresource) }),
  });

const anUpdate: fc.Arbitrary<Update> = fc.oneof(
  metadataOf('label', 'labels', fc.constantFrom('team', 'tier', 'example.com/x'), word),
  metadataOf('annotation', 'annotations', fc.constantFrom('note', 'example.com/y'), text),
  metadataOf(
    'another owner',
    'labels',
    fc.constant('oaas.io/owner'),
    fc.constantFrom('meta', 'steady', 'nobody', null),
  ),
  metadataOf('our request, by a person', 'annotations', fc.constant('tuning.oaas.io/rollout'), text),
  metadataOf(
    'our book, by a person',
    'annotations',
    fc.constant('tuning.oaas.io/applied'),
    fc.constantFrom('{}', 'nonsense', null),
  ),
  metadataOf('pause', 'annotations', fc.constant('tuning.oaas.io/paused'), text),
  fieldOf(
    'finalizers',
    fc
      .constantFrom([], ['example.com/f'], ['example.com/f', 'example.com/g'])
      .map((finalizers) => ({ metadata: { finalizers } })),
  ),
  fieldOf(
    'scale',
    fc.nat(3).map((replicas) => ({ spec: { replicas } })),
  ),
  fieldOf(
    'scale subresource',
    fc.nat(3).map((replicas) => ({ spec: { replicas } })),
    'scale',
  ),
  fieldOf(
    'status',
    fc.nat(9).map((count) => ({ status: { conditions: [{ type: 'Odd', status: 'True', reason: `R${count}` }] } })),
    'status',
  ),
  fieldOf(
    'history limit',
    fc.nat(20).map((revisionHistoryLimit) => ({ spec: { revisionHistoryLimit } })),
  ),
  fieldOf(
    'deadline',
    fc.integer({ min: 60, max: 900 }).map((progressDeadlineSeconds) => ({ spec: { progressDeadlineSeconds } })),
  ),
  fieldOf(
    'rollout paused',
    fc.boolean().map((paused) => ({ spec: { paused } })),
  ),
);

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const META = `${DEPLOYMENTS}/meta`;

async function sent(cluster: Cluster, { patch, subresource, how }: Update): Promise<LookAt> {
  if (how === 'put') {
    await put(cluster.api('person'), META, (live) => merged(live, patch));
  } else if (how === 'apply') {
    const { metadata } = patch as { metadata: Record<string, Record<string, unknown>> };
    const [[what, entries] = ['labels', {}]] = Object.entries(metadata);
    const kept = Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== null));
    const body = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'meta', [what]: kept } };
    return lookAt(
      await answered(cluster, `${META}?fieldManager=somebody&force=true`, 'application/apply-patch+yaml', body),
    );
  } else {
    const path = subresource === undefined ? META : `${META}/${subresource}`;
    const answer = await answered(cluster, path, 'application/merge-patch+json', patch);
    if (answer.kind === 'Deployment') return lookAt(answer);
  }
  return lookAt((await cluster.api('person').send(META)).body);
}

async function patched(cluster: Cluster, name: string, patch: object): Promise<void> {
  await answered(cluster, `${DEPLOYMENTS}/${name}`, 'application/merge-patch+json', patch);
}

async function answered(cluster: Cluster, path: string, contentType: string, body: object): Promise<Deployment> {
  const answer = await cluster.api('person').send(path, { method: 'PATCH', contentType, body });
  if (answer.status !== 200) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** RFC 7386, for what a test changes: an entry of the metadata. */
function merged(live: Deployment, patch: object): object {
  const { metadata } = patch as { metadata: Record<string, Record<string, unknown>> };
  const [[what, entries] = ['labels', {}]] = Object.entries(metadata);
  const after = { ...live.metadata[what], ...entries };
  for (const [key, value] of Object.entries(entries)) if (value === null) delete after[key];
  return { ...live, metadata: { ...live.metadata, [what]: after } };
}
