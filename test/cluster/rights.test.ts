/** The chart's roles hold what the tuner does, and nothing else: told by the API server's own audit log. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAllDocuments, stringify } from 'yaml';
import { available } from './binaries.ts';
import { type Cluster, partsFor, startCluster } from './cluster.ts';
import { kubectl, manifest, memory, record } from './stage.ts';
import { byService, install, measuring, NAMESPACE, startTuner } from './tuner.ts';
import { until } from './until.ts';

const parts = { controllers: true, prometheus: true, knative: 'controller', vpa: 'api', audit: true } as const;
const WASTE = { request: '1Gi', limit: '2Gi' };
const can = available(partsFor(parts));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const PATIENCE = { timeoutMs: 180_000 };

/** A rule of a role taken apart: one verb on one resource. */
type Right = { group: string; resource: string; verb: string; name?: string };
type Asked = Right & { code: number };

const shown = ({ group, resource, verb, name }: Right) => `${verb} ${resource}.${group}${name ? ` ${name}` : ''}`;

t.test(
  'every right is used, and nothing is asked for without one',
  { skip: can.ok ? false : 'needs Go 1.26' },
  async (t) => {
    const cluster = await startCluster({ ...parts, say: console.error });
    t.teardown(() => cluster.stop());
    // The API server hears of new roles, in their order, a moment after they were written, and refuses until then.
    await install(cluster, byService(443));
    for (const right of [
      ['get', 'mutatingwebhookconfigurations/oaas-tuner'],
      ['get', 'secrets/oaas-tuner-tls', '-n', NAMESPACE],
    ]) {
      const may = () => cluster.kubectl(['auth', 'can-i', ...right], { user: 'tuner' });
      await until(`the right to ${right}`, async () => (await may()).code === 0);
    }
    const tuner = await startTuner(cluster, {
      ...measuring(cluster),
      OAAS_TUNER_CERTIFICATES: 'secret',
    });
    t.teardown(() => tuner.stop());
    // A life that touches everything: trust in the other configuration, too, and a recommendation with its Event.
    await kubectl(cluster, ['apply', '-f', '-'], validating());
    await until('the API server to be told whom to trust there, too', async () => {
      const bundle = ['get', 'validatingwebhookconfiguration', 'oaas-tuner', '-o', 'jsonpath={..caBundle}'];
      return (await kubectl(cluster, bundle)) !== '';
    });
    const wasteful = manifest({ usage: '180Mi', memory: { function: WASTE } });
    const served = manifest({ kind: 'Service', name: 'served', usage: '180Mi', memory: { function: WASTE } });
    await kubectl(cluster, ['apply', '-f', '-'], `${record({ enforce: true })}---\n${wasteful}---\n${served}`);
    const events = () => kubectl(cluster, ['get', 'events', '-o', 'jsonpath={..reason}']);
    await until('an Event about a recommendation', async () => (await events()).includes('Recommended'), PATIENCE);
    // Somebody who writes the same record all the time: it is read again for its new version.
    let notes = 0;
    await until(
      'a record to be read again',
      async () => {
        notes += 1;
        const conditions = [{ type: 'Note', status: String(notes) }];
        const body = {
          status: { conditions, nfr_recommendations: { memory: { observed_at: '2026-01-31T10:00:00Z' } } },
        };
        await cluster.api().send('/apis/oaas.io/v1alpha1/namespaces/default/deploymentrecords/orders/status', {
          method: 'PATCH',
          contentType: 'application/merge-patch+json',
          body,
        });
        return asked(cluster).some(({ resource, verb }) => resource === 'deploymentrecords' && verb === 'get');
      },
      { ...PATIENCE, everyMs: 0 },
    );
    await until('its rollout', async () => (await memory(cluster)) !== '1Gi/2Gi', PATIENCE);
    await until('the other one', async () => (await memory(cluster, 'ksvc/served')) !== '1Gi/2Gi', PATIENCE);
    await tuner.stop();
    await tuner.start({ OPRC_CRM_ENFORCEMENT_STRATEGY: 'vpa' });
    const vpas = () => kubectl(cluster, ['get', 'vpa', '-o', 'name']);
    await until('a VerticalPodAutoscaler', async () => (await vpas()) !== '', PATIENCE);
    await kubectl(cluster, ['apply', '-f', '-'], record({ enforce: false }));
    await until('its end', async () => (await vpas()) === '', PATIENCE);
    await tuner.stop();
    const requests = asked(cluster);

    await t.test('no request was refused', async (t) => {
      t.ok(requests.length > 20, `${requests.length} requests`);
      t.strictSame(requests.filter(({ code }) => code === 401 || code === 403).map(shown), []);
    });

    await t.test('every right of every role was used', async (t) => {
      const used = (right: Right) =>
        requests.some(
          (one) =>
            one.group === right.group &&
            one.resource === right.resource &&
            (one.verb === right.verb || (right.verb === 'create' && madeByApply(one))) &&
            (right.name === undefined || one.name === right.name),
        );
      t.ok(rights().length > 10);
      t.strictSame(
        rights()
          .filter((right) => !used(right))
          .map(shown),
        [],
      );
    });

    await t.test('and of workloads one thing is written: the request for a rollout', async (t) => {
      const written = requests
        .filter(({ verb }) => !['get', 'list', 'watch'].includes(verb))
        .map(({ verb, resource }) => `${verb} ${resource}`);
      t.strictSame([...new Set(written)].filter((one) => /deployments|services/.test(one)).sort(), [
        'patch deployments',
        'patch services',
      ]);
    });
  },
);

/** An apply of an object that is not there asks for the right to create it, too. */
function madeByApply({ verb, code }: Asked): boolean {
  return verb === 'patch' && code === 201;
}

/** What the audit log says the tuner asked for. */
function asked(cluster: Cluster): Asked[] {
  const lines = readFileSync(join(cluster.folder, 'audit.log'), 'utf8').split('\n').filter(Boolean);
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ objectRef }) => objectRef)
    .map(({ verb, objectRef: { apiGroup = '', resource, subresource, name }, responseStatus }) => ({
      ...{ verb, name, group: apiGroup, resource: subresource ? `${resource}/${subresource}` : resource },
      code: responseStatus?.code ?? 0,
    }));
}

/** The chart's second configuration, for records; nobody listens there. */
function validating(): string {
  const text = readFileSync(new URL('../../charts/oaas-tuner/files/webhooks.yaml', import.meta.url), 'utf8');
  const configuration = parseAllDocuments(text)[1]?.toJS();
  for (const webhook of configuration.webhooks) {
    webhook.clientConfig = { service: { name: 'oaas-tuner', namespace: NAMESPACE, path: webhook.path } };
    delete webhook.path;
  }
  return stringify(configuration);
}

/** What the chart's roles allow. */
function rights(): Right[] {
  const text = readFileSync(new URL('../../charts/oaas-tuner/files/role.yaml', import.meta.url), 'utf8');
  const all: Right[] = [];
  for (const document of parseAllDocuments(text)) {
    for (const { apiGroups, resources, verbs, resourceNames = [undefined] } of document.toJS().rules) {
      for (const group of apiGroups)
        for (const resource of resources)
          for (const verb of verbs)
            for (const name of resourceNames) all.push({ group, resource, verb, ...(name && { name }) });
    }
  }
  return all;
}
