/** Laws of admission, over generated workloads, records, settings and updates. */
import fc from 'fast-check';
import t from 'tap';
import type { Context } from '../../src/admit/decide.ts';
import { readReview } from '../../src/admit/request.ts';
import { answer } from '../../src/admit/review.ts';
import { validate } from '../../src/admit/validate.ts';
import { subjectOf } from '../../src/admit/warnings.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { type Admitted, admit, create, edited, reapplied, update } from '../admit/objects.ts';
import { accepts, acceptsAll, everyContainer, sameAmount, stored } from './api-server.ts';
import { effective, knativeTakes, settingsIn } from './knative.ts';
import { contexts, manifests, oddManifests, scaled } from './workloads.ts';

const RUNS = { numRuns: Number(process.env.PROPERTY_RUNS ?? 400) };

/** One life: a manifest is created under some record, and updated when record and settings have moved on. */
const lives = fc
  .record({
    manifest: manifests,
    earlier: contexts,
    now: contexts,
    way: fc.constantFrom('label', 'apply', 'replace', 'merge'),
    change: fc.constantFrom(undefined, undefined, 'image', 'memory', 'drop', 'add', 'scaling'),
    respell: fc.boolean(),
  })
  .map(({ manifest, earlier, now, way, change, respell }) => {
    const admitted = admit(create(manifest), earlier).object;
    const live = respell ? stored(admitted) : admitted;
    const [author, next] = [changed(manifest, change), changed(sent(way, manifest, live), change)];
    return { manifest, author, live, next, now, way, change };
  });

/** What the API server receives for the manifest, by the way in which a person sends it. */
function sent(way: string, manifest: JsonObject, live: JsonObject): JsonObject {
  if (way === 'label') return edited(live, (o) => (o.metadata.labels.team = 'a'));
  if (way === 'replace') return manifest;
  if (way === 'apply') return reapplied(manifest, live);
  // kubectl apply of a Deployment: what the manifest names is the manifest's, what it does not name stays.
  return edited(live, (o) => {
    for (const [index, one] of everyContainer(manifest).entries()) {
      for (const list of ['requests', 'limits']) {
        const value = one.resources?.[list]?.memory;
        if (value !== undefined) everyContainer(o)[index].resources[list].memory = value;
      }
    }
    if (manifest.kind === 'Service') {
      const { metadata, spec } = templateOf(manifest);
      if (spec.containerConcurrency !== undefined) podSpec(o).containerConcurrency = spec.containerConcurrency;
      Object.assign(templateOf(o).metadata?.annotations ?? {}, metadata?.annotations);
    }
  });
}

function changed(object: JsonObject, change: string | undefined): JsonObject {
  return edited(object, (o) => {
    const [first] = o.spec.template.spec.containers;
    if (change === 'image') first.image = 'c:3';
    if (change === 'memory') first.resources = { requests: { memory: '777Mi' }, limits: { memory: '999Mi' } };
    if (change === 'drop' && o.spec.template.spec.containers.length > 1) o.spec.template.spec.containers.pop();
    if (change === 'scaling' && o.kind === 'Service') {
      const annotations = { ...templateOf(o).metadata?.annotations, 'autoscaling.knative.dev/target': '33' };
      o.spec.template.metadata = { ...templateOf(o).metadata, annotations };
      podSpec(o).containerConcurrency = 33;
    }
    if (change === 'add') o.spec.template.spec.containers.push({ name: 'new', image: 'a:1' });
  });
}

/**
 * A second call repeats at most why a container is held back: the server prints equal lines once. Of more than ten lines the
 * first call had left some out.
 */
function saysNothingNew(second: Admitted, first: Admitted) {
  if (second.operations.length > 0) throw new Error(`patched again: ${JSON.stringify(second.operations)}`);
  const cut = / more like these$/.test(first.warnings.at(-1) ?? '');
  const news = second.warnings.filter(
    (line) => (!cut && !first.warnings.includes(line)) || / -> | stays \S+, not /.test(line),
  );
  if (news.length > 0) throw new Error(`said again: ${news.join('; ')}`);
  return true;
}

/** What the record's overrides say for a container of the workload `orders`. */
function overrideFor({ tuning }: Context, name: string): { request?: string; limit?: string } {
  if (!tuning || tuning.enabled === false) return {};
  const own = (key: string) => (Object.hasOwn(tuning.overrides, key) ? tuning.overrides[key] : {});
  return { ...own(name), ...own(`orders/${name}`) };
}

const isTuned = (object: JsonObject, name: string) =>
  everyContainer({ spec: { template: { spec: { ...podSpec(object), initContainers: [] } } } })
    .concat((podSpec(object).initContainers ?? []).filter((one: JsonObject) => one.restartPolicy === 'Always'))
    .some((one: JsonObject) => one.name === name);

// biome-ignore lint/suspicious/noExplicitAny: generated objects are of the tests' own making
const templateOf = (object: any) => object.spec.template;
// biome-ignore lint/suspicious/noExplicitAny: generated objects are of the tests' own making
const podSpec = (object: any) => object.spec.template.spec;
const memoryNamed = (object: JsonObject, name: string) => {
  const found = everyContainer(object).find((one) => one.name === name);
  return { request: found?.resources?.requests?.memory, limit: found?.resources?.limits?.memory };
};

function law<T>(name: string, arbitrary: fc.Arbitrary<T>, holds: (value: T) => boolean | undefined) {
  t.test(name, async () => fc.assert(fc.property(arbitrary, holds), RUNS));
}

law('admitting a new workload twice changes nothing', fc.tuple(oddManifests, contexts), ([manifest, now]) => {
  const first = admit(create(manifest), now);
  return saysNothingNew(admit(create(first.object), now), first);
});

law(
  'admitting an update of anything to anything twice changes nothing',
  fc.tuple(oddManifests, oddManifests, contexts),
  ([next, old, now]) => {
    const first = admit(update(next, old), now);
    return saysNothingNew(admit(update(first.object, old), now), first);
  },
);

law('admitting an update twice changes nothing', lives, ({ next, live, now }) => {
  const first = admit(update(next, live), now);
  return saysNothingNew(admit(update(first.object, live), now), first);
});

law('nothing changes when the server spells what we wrote in its own way', lives, ({ manifest, next, live, now }) => {
  const fresh = admit(create(manifest), now);
  saysNothingNew(admit(create(stored(fresh.object)), now), fresh);
  const first = admit(update(stored(next), stored(live)), now);
  return saysNothingNew(admit(update(stored(first.object), stored(live)), now), first);
});

law('an update that was admitted is at rest: the next label changes nothing', lives, ({ next, live, now }) => {
  const first = admit(update(next, live), now).object;
  const labelled = edited(first, (o) => (o.metadata.labels.rest = 'a'));
  const second = admit(update(labelled, first), now);
  if (!sameSettings(first, second.object, wishesFor(now))) return false;
  return everyContainer(first).every(({ name }) => {
    const [before, after] = [memoryNamed(first, name), memoryNamed(second.object, name)];
    const override = overrideFor(now, name);
    return (['request', 'limit'] as const).every((f) => override[f] || sameAmount(before[f], after[f]));
  });
});

law('an override that the server would take is injected to the letter', lives, ({ author, next, live, now }) => {
  if (podSpec(next).resources) return true;
  const check = (result: JsonObject, ...there: JsonObject[]) =>
    everyContainer(author).every(({ name }) => {
      const [override, written] = [overrideFor(now, name), memoryNamed(author, name)];
      const wanted = { ...written, ...override };
      if (!isTuned(author, name) || !accepts(wanted.request, wanted.limit)) return true;
      const after = memoryNamed(result, name);
      return (['request', 'limit'] as const).every((field) => {
        if (override[field] === undefined || after[field] === override[field]) return true;
        // Another spelling of the same amount stays where it stood.
        const stood = there.some((object) => memoryNamed(object, name)[field] === after[field]);
        return stood && sameAmount(after[field], override[field]);
      });
    });
  return check(admit(create(author), now).object, author) && check(admit(update(next, live), now).object, next, live);
});

/** What the record's overrides say about scaling, by name without the prefix. */
function wishesFor({ tuning }: Context): { [key: string]: Json } {
  if (!tuning || tuning.enabled === false) return {};
  const { annotations, ...hard } = tuning.concurrency.overrides;
  return { ...hard, ...Object.fromEntries(Object.entries(annotations).map(([key, value]) => [bare(key), value])) };
}
const bare = (key: string) => key.replace('autoscaling.knative.dev/', '');
/** With dashes, so that both spellings are one. */
const called = (name: string) =>
  name === 'containerConcurrency' ? name : name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** Whether both say the same about scaling, what these wishes are about aside. */
function sameSettings(one: JsonObject, other: JsonObject, aside: { [key: string]: Json } = {}): boolean {
  if (one.kind !== 'Service') return true;
  const [before, after] = [settingsIn(one), settingsIn(other)];
  const spared = Object.keys(aside).map(called);
  return Object.keys({ ...before, ...after }).every(
    (key) => spared.includes(called(key)) || before[key] === after[key],
  );
}

law('an override of a setting is written to the letter, unless Knative would refuse it', lives, ({ author, now }) => {
  if (author.kind !== 'Service' || !now.tuning) return true;
  const { object, decision } = admit(create(author), now);
  const wishes = wishesFor(now);
  const left = [...(decision?.concurrency?.left.keys() ?? [])].map(bare);
  const isWritten = (name: string) => effective(settingsIn(object), called(name)) === effective(wishes, called(name));
  const missing = Object.keys(wishes).filter((name) => !isWritten(name));
  if (missing.length === 0) return true;
  // Those were left out, and indeed they would not do beside what the template says.
  const wish = missing.map((name) => [keyOf(called(name)), effective(wishes, called(name)) as Json]);
  return (
    missing.every((name) => left.includes(called(name))) &&
    !knativeTakes(scaled(object, Object.fromEntries(wish)), now.knative)
  );
});
const keyOf = (name: string) => (name === 'containerConcurrency' ? name : `autoscaling.knative.dev/${name}`);

law('what Knative would take, it still takes', lives, ({ author, next, live, now }) => {
  if (!knativeTakes(author, now.knative) || !knativeTakes(next, now.knative) || !knativeTakes(live, now.knative))
    return true;
  return [create(author), update(next, live)].every((request) => knativeTakes(admit(request, now).object, now.knative));
});

const ALLOWED = [
  /^\/spec\/template\/(spec\/containerConcurrency|metadata(\/annotations(\/autoscaling\.knative\.dev~1[A-Za-z-]+)?)?)$/,
  /^\/spec\/template\/spec\/(containers|initContainers)\/\d+\/resources(\/(requests|limits)(\/memory)?)?$/,
  /^\/metadata\/annotations(\/tuning\.oaas\.io~1applied)?$/,
];

function staysOnPaths({ operations }: Admitted, object: JsonObject) {
  return operations.every(({ op, path, ...rest }) => {
    if (!ALLOWED.some((pattern) => pattern.test(path))) return false;
    const isSetting = path.endsWith('containerConcurrency') || path.includes('autoscaling.knative.dev~1');
    if (isSetting && object.kind !== 'Service') return false;
    const isValue = isSetting || path.endsWith('/memory') || path.endsWith('applied');
    if (op === 'remove') return isValue;
    const [, list, index] = /(containers|initContainers)\/(\d+)/.exec(path) ?? [];
    if (list === 'initContainers' && podSpec(object).initContainers[Number(index)].restartPolicy !== 'Always')
      return false;
    return op === 'add' && (isValue || JSON.stringify(rest) === '{"value":{}}');
  });
}

law(
  'a patch touches memory, the scaling settings, their parents and our annotation, nothing else',
  fc.tuple(lives, oddManifests),
  ([life, odd]) =>
    [
      [create(life.author), life.author],
      [update(life.next, life.live), life.next],
      [create(odd), odd],
      [update(odd, life.live), odd],
    ].every(([request, object]) => staysOnPaths(admit(request as never, life.now), object as JsonObject)),
);

law('what was acceptable stays acceptable', lives, ({ author, next, live, now, way }) => {
  if (!acceptsAll(author) || !acceptsAll(live)) return true;
  const updated = admit(update(next, live), now);
  // Nothing is known before the first list, and a merge of the manifest with our values is the server's to judge.
  const unjudged = updated.reason === 'store-not-ready' && way === 'merge';
  return acceptsAll(admit(create(author), now).object) && (unjudged || acceptsAll(updated.object));
});

law('an update that leaves the template alone leaves memory alone, overrides aside', lives, (life) => {
  if (life.change) return true;
  const { object } = admit(update(life.next, life.live), life.now);
  if (!sameSettings(life.live, object, wishesFor(life.now))) return false;
  return everyContainer(life.live).every(({ name }) => {
    const [before, after] = [memoryNamed(life.live, name), memoryNamed(object, name)];
    if (Object.keys(overrideFor(life.now, name)).length > 0) return true;
    return sameAmount(before.request, after.request) && sameAmount(before.limit, after.limit);
  });
});

law('a new image, with tuning off, brings the manifest back in every way of sending it', lives, (life) => {
  const [manifest, next] = [life.manifest, sent(life.way, life.manifest, life.live)].map((o) => changed(o, 'image'));
  // One that is refused by itself stays as it runs: the deploy is not about it.
  if (!acceptsAll(manifest as JsonObject)) return true;
  const off = { ...life.now, tuning: undefined, storeReady: true };
  const { object } = admit(update(next, life.live), off);
  // A setting that Knative refuses stays as it runs, too.
  if (knativeTakes(manifest as JsonObject, off.knative) && !sameSettings(manifest as JsonObject, object)) return false;
  return everyContainer(manifest).every(({ name }) => {
    const [written, after] = [memoryNamed(manifest as JsonObject, name), memoryNamed(object, name)];
    return sameAmount(written.request, after.request) && sameAmount(written.limit, after.limit);
  });
});

const anything = fc.oneof(
  fc.jsonValue(),
  fc.anything({ withBigInt: false, withSparseArray: false, withNullPrototype: true }),
);
const nearlyWorkloads = fc
  .record({
    kind: fc.constantFrom('Deployment', 'Service'),
    labels: anything,
    annotations: anything,
    spec: anything,
    pod: anything,
    list: fc.array(anything),
  })
  .chain(({ kind, labels, annotations, spec, pod, list }) => {
    const metadata = {
      name: 'orders',
      labels: { 'oaas.io/owner': 'orders', a: labels },
      annotations: { 'tuning.oaas.io/applied': annotations },
    };
    const apiVersion = kind === 'Deployment' ? 'apps/v1' : 'serving.knative.dev/v1';
    const specs = [
      spec,
      { template: spec },
      { template: { spec: pod } },
      { template: { spec: { containers: list, initContainers: pod } } },
    ];
    return fc.constantFrom(...specs).map((filled) => ({ apiVersion, kind, metadata, spec: filled }) as JsonObject);
  });

law('nothing that can be sent makes a review throw', fc.tuple(anything, anything), ([body, request]) => {
  readReview(body);
  const read = readReview({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u', object: request },
  });
  if (typeof read === 'string') return true;
  subjectOf(read);
  validate({ ...read, operation: 'CREATE' });
  return true;
});

law(
  'no object is refused or breaks the decision',
  fc.tuple(nearlyWorkloads, nearlyWorkloads, contexts),
  ([next, old, now]) =>
    [create(next), update(next, old), update(old, undefined)].every((request) => {
      const { review, reason } = answer(request, now);
      return review.response.allowed && reason !== 'internal-error';
    }),
);
