/** What docs/gitops.md says of kubectl, Argo CD, Flux and Helm, asked of the real API server. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { asObject, at, type Json, type JsonObject } from '../../src/domain/json.ts';
import { APPLIED_ANNOTATION } from '../../src/domain/workload.ts';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { given, kubectl, manifest, memory, rollout, settled } from './stage.ts';
import { startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true } as const;
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const page = readFileSync(new URL('../../docs/gitops.md', import.meta.url), 'utf8');

const applied = (request: string, limit: string) => ({ 'Deployment/orders/function': { request, limit } });

/** The manifest as a repository holds it: with memory, and without. */
const MANIFESTS = {
  'a manifest that names memory': (version: string) => manifest({ version }),
  'a manifest that names none': (version: string) => manifest({ version, memory: { function: {} } }),
};

const ssa = (manager: string) => [
  'apply',
  '--server-side',
  `--field-manager=${manager}`,
  '--force-conflicts',
  '-f',
  '-',
];

/** How each tool writes, and how it looks for drift: by kubectl's own diff, or by a server-side dry run. */
const TOOLS: Record<string, { create?: string[]; write: string[]; diff: string[] }> = {
  'kubectl apply': { write: ['apply', '-f', '-'], diff: ['diff', '-f', '-'] },
  'kubectl apply --server-side': {
    write: ['apply', '--server-side', '-f', '-'],
    diff: ['diff', '--server-side', '-f', '-'],
  },
  'Argo CD, client-side apply and ServerSideDiff': {
    write: ['apply', '--field-manager=argocd-controller', '-f', '-'],
    diff: ssa('argocd-controller'),
  },
  'Argo CD, ServerSideApply and ServerSideDiff': { write: ssa('argocd-controller'), diff: ssa('argocd-controller') },
  'Argo CD, Replace and ServerSideDiff': {
    create: ['create', '--save-config', '-f', '-'],
    write: ['replace', '-f', '-'],
    diff: ssa('argocd-controller'),
  },
  'Flux Kustomization': { write: ssa('kustomize-controller'), diff: ssa('kustomize-controller') },
  'Flux HelmRelease with drift detection': {
    write: ['apply', '--field-manager=helm', '-f', '-'],
    diff: ssa('helm-controller'),
  },
};

t.test('what GitOps tools see', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ ...parts, say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.stop());
  t.afterEach(() =>
    kubectl(cluster, ['delete', 'deployments,deploymentrecords', '--all', '--cascade=foreground', '--wait']),
  );

  for (const [what, file] of Object.entries(MANIFESTS)) {
    for (const [tool, { create, write, diff }] of Object.entries(TOOLS)) {
      await t.test(`${tool}, ${what}: synced shows no drift, and syncing again rolls nothing`, async (t) => {
        await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
        await kubectl(cluster, create ?? write, file('1'));
        t.equal(await memory(cluster), '224Mi/336Mi');
        await settled(cluster);
        t.equal(await drift(cluster, diff, file('1')), '', 'right after the sync');

        await given(cluster, { enforce: true, applied: applied('208Mi', '320Mi') });
        t.equal(await drift(cluster, diff, file('1')), '', 'while new applied values wait');
        const before = await rollout(cluster);
        await kubectl(cluster, write, file('1'));
        t.strictSame(await rollout(cluster), before, 'selfHeal, or the next interval');

        await kubectl(cluster, write, file('2'));
        t.equal(await memory(cluster), '208Mi/320Mi', 'a commit that changes the template takes them along');
        t.equal(await drift(cluster, diff, file('2')), '');
      });
    }

    await t.test(`${what}: nobody but the applier owns anything, and never we`, async (t) => {
      await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
      await kubectl(cluster, ssa('argocd-controller'), file('1'));
      const owned = await owners(cluster);
      const expected = what.endsWith('none') ? [] : ['argocd-controller'];
      t.strictSame(
        owned('spec', 'template', 'spec', 'containers', 'k:{"name":"function"}', 'resources', 'requests', 'memory'),
        expected,
      );
      t.strictSame(
        owned('spec', 'template', 'spec', 'containers', 'k:{"name":"function"}', 'resources', 'limits', 'memory'),
        expected,
      );
      t.strictSame(owned('metadata', 'annotations', APPLIED_ANNOTATION), []);
    });

    await t.test(
      `${what}: what a comparison with the file sees that asks no webhook (Argo CD's default)`,
      async (t) => {
        await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
        await kubectl(cluster, ['apply', '--field-manager=argocd-controller', '-f', '-'], file('1'));
        const seen = differences(parse(file('1')), await stored(cluster));
        const container = '.spec.template.spec.containers[0].resources';
        t.strictSame(seen, what.endsWith('none') ? [] : [`${container}.requests.memory`, `${container}.limits.memory`]);
        const ignored = ignoredByArgo();
        t.strictSame(
          seen.filter((path) => !ignored.includes(path.replaceAll(/\[\d+\]/g, '[]'))),
          [],
          'all of it is on the page',
        );
        // The API server sorts its book of managers by the second in which each wrote last: once more with the first sync that
        // is in a later one, and then no more.
        await settled(cluster);
        const second = () => Math.floor(Date.now() / 1000);
        const now = second();
        await until('the next second', async () => second() > now);
        const sync = () => kubectl(cluster, ['apply', '--field-manager=argocd-controller', '-f', '-'], file('1'));
        await sync();
        const { resourceVersion } = (await stored(cluster)).metadata as JsonObject;
        await sync();
        t.equal(
          ((await stored(cluster)).metadata as JsonObject).resourceVersion,
          resourceVersion,
          'selfHeal writes nothing',
        );
      },
    );
  }

  await t.test('an override that changed is drift until the next sync brings it in', async (t) => {
    await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
    await kubectl(cluster, ssa('kustomize-controller'), manifest());
    await given(cluster, { enforce: true, overrides: { function: { request: '300Mi', limit: '600Mi' } } });
    t.match(await drift(cluster, ssa('kustomize-controller'), manifest()), '300Mi');
    await kubectl(cluster, ssa('kustomize-controller'), manifest());
    t.equal(await memory(cluster), '300Mi/600Mi');
    t.equal(await drift(cluster, ssa('kustomize-controller'), manifest()), '');
  });

  await t.test('while the tuner is away only memory that the manifest names is drift', async (t) => {
    const flux = ssa('kustomize-controller');
    const [named, unnamed] = Object.values(MANIFESTS).map((file) => file('1')) as [string, string];
    for (const file of [named, unnamed]) {
      await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
      await kubectl(cluster, flux, file);
      await tuner.stop();
      const seen = await drift(cluster, flux, file);
      if (file === named) t.match(seen, '"memory":"256Mi"');
      else t.equal(seen, '');
      await kubectl(cluster, flux, file);
      t.equal(await memory(cluster), file === named ? '256Mi/512Mi' : '224Mi/336Mi', 'and that is what a sync does');
      await tuner.start();
      await kubectl(cluster, ['delete', 'deployment/orders', '--cascade=foreground', '--wait']);
    }
  });

  await t.test('another manager after an injection', async (t) => {
    await given(cluster, { enforce: true, applied: applied('224Mi', '336Mi') });
    await kubectl(cluster, ['apply', '--server-side', '--field-manager=argocd-controller', '-f', '-'], manifest());
    const other = ['apply', '--server-side', '--field-manager=other', '-f', '-'];
    const without = manifest({ memory: { function: {} } });
    t.match(await kubectl(cluster, other, without), 'serverside-applied', 'no conflict where it names no memory');
    t.equal(await memory(cluster), '224Mi/336Mi');
    await t.rejects(
      kubectl(cluster, other, manifest()),
      /conflicts with "argocd-controller"/,
      'both name memory that we changed',
    );
    await kubectl(cluster, [...other, '--force-conflicts'], manifest());
    t.equal(await memory(cluster), '224Mi/336Mi');
  });
});

/** What a tool would show as drift: kubectl's diff, or how the answer to a server-side dry run differs from what stands. */
async function drift(cluster: Cluster, args: string[], file: string): Promise<string> {
  // What the controller writes between two looks is no drift.
  await settled(cluster);
  if (args[0] === 'diff') {
    const { code, stdout, stderr } = await cluster.kubectl(args, { stdin: file, user: 'person' });
    if (code > 1) throw new Error(stderr);
    return stdout;
  }
  const { code, stdout, stderr } = await cluster.kubectl([...args, '--dry-run=server', '-o', 'json'], {
    stdin: file,
    user: 'person',
  });
  if (code !== 0) throw new Error(stderr);
  const [would, is] = [JSON.parse(stdout), await stored(cluster)].map(withoutBookkeeping);
  return JSON.stringify(would) === JSON.stringify(is)
    ? ''
    : `${JSON.stringify(would)} instead of ${JSON.stringify(is)}`;
}

async function stored(cluster: Cluster): Promise<JsonObject> {
  const { stdout } = await cluster.kubectl(['get', 'deployment/orders', '-o', 'json']);
  return JSON.parse(stdout);
}

/** What Argo CD and Flux compare: metadata's labels and annotations, and everything else but the status. */
function withoutBookkeeping(object: JsonObject): JsonObject {
  const { labels, annotations } = object.metadata as JsonObject;
  const { metadata, status, ...rest } = object;
  return sorted({ ...rest, labels, annotations }) as JsonObject;
}

function sorted(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.map((one) => sorted(one) as Json);
  const object = asObject(value);
  if (!object) return value;
  return Object.fromEntries(
    Object.keys(object)
      .sort()
      .map((key) => [key, sorted(object[key])]),
  );
}

/** Paths of what the file says and the live object says otherwise. */
function differences(file: Json | undefined, live: Json | undefined, path = ''): string[] {
  const object = asObject(file);
  if (Array.isArray(file)) return file.flatMap((one, index) => differences(one, at(live, index), `${path}[${index}]`));
  if (object) return Object.keys(object).flatMap((key) => differences(object[key], at(live, key), `${path}.${key}`));
  return file === live ? [] : [path];
}

/** The jq paths of the page's `ignoreDifferences`. */
function ignoredByArgo(): string[] {
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => parse(text));
  const block = blocks.find((one) => at(one, 'spec', 'ignoreDifferences') !== undefined);
  return at(block, 'spec', 'ignoreDifferences', 0, 'jqPathExpressions') as string[];
}

/** Who owns a field of the live object, by its path in `managedFields`. */
async function owners(cluster: Cluster): Promise<(...path: string[]) => string[]> {
  const { stdout } = await cluster.kubectl(['get', 'deployment/orders', '-o', 'json', '--show-managed-fields']);
  const entries: JsonObject[] = JSON.parse(stdout).metadata.managedFields;
  return (...path) =>
    entries.flatMap(({ manager, fieldsV1 }) => {
      const keys = path.map((key) => (key.startsWith('k:') ? key : `f:${key}`));
      return at(fieldsV1, ...keys) === undefined ? [] : [String(manager)];
    });
}
