/** What the chart makes, and what of it has to hold for nobody's deploy to be in danger. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { CHART, helm, one, type Rendered, skipWithout, template } from './helm.ts';

t.setTimeout(30 * 60_000);
const skip = skipWithout('helm');
const folder = t.testdir();
const BY_CERT_MANAGER = 'certificates.mode=cert-manager';

const podOf = (objects: Rendered[]) => one(objects, 'Deployment').spec.template.spec;
const envOf = (objects: Rendered[]): Record<string, string> =>
  Object.fromEntries(
    podOf(objects).containers[0].env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );

t.test('helm lint has nothing to say', { skip }, async (t) => {
  const { code, stdout } = await helm(['lint', '--strict', CHART], folder);
  t.equal(code, 0, stdout);
});

t.test('the webhook configuration is the file, with our Service as the address', { skip }, async (t) => {
  const [mutating] = parseAllDocuments(readFileSync(join(CHART, 'files/webhooks.yaml'), 'utf8')).map((one) =>
    one.toJS(),
  );
  const objects = await template(folder);
  const { metadata, webhooks } = one(objects, 'MutatingWebhookConfiguration');
  t.equal(metadata.name, 'oaas-tuner');
  t.ok(metadata.name < 'webhook.serving.knative.dev', 'it is called before Knative looks');
  t.equal(metadata.annotations, undefined);
  for (const [index, webhook] of webhooks.entries()) {
    const { clientConfig, ...rest } = webhook;
    const { path, ...expected } = mutating.webhooks[index];
    t.strictSame(rest, expected);
    t.strictSame(clientConfig, { service: { name: 'oaas-tuner', namespace: 'oaas-system', path, port: 443 } });
    t.match(rest, { failurePolicy: 'Ignore', sideEffects: 'None', matchPolicy: 'Equivalent', timeoutSeconds: 3 });
  }
  t.equal(webhooks.length, mutating.webhooks.length);
});

t.test('no caBundle is ever rendered: an upgrade would wipe the one that is in force', { skip }, async (t) => {
  for (const sets of [[], [BY_CERT_MANAGER], ['validateRecords=true']]) {
    t.notMatch(JSON.stringify(await template(folder, ...sets)), 'caBundle');
  }
});

t.test('the pod can do nothing that it need not', { skip }, async (t) => {
  const pod = podOf(await template(folder));
  t.match(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  t.strictSame(pod.containers[0].securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  t.ok(pod.containers[0].resources.limits.memory);
  t.equal(pod.serviceAccountName, 'oaas-tuner');
});

t.test('it is probed for readiness and life on the plain port, and has time to drain', { skip }, async (t) => {
  const pod = podOf(await template(folder));
  t.match(pod.containers[0], {
    livenessProbe: { httpGet: { path: '/livez', port: 'metrics' } },
    readinessProbe: { httpGet: { path: '/readyz', port: 'metrics' } },
  });
  t.equal(pod.terminationGracePeriodSeconds, 35);
  t.equal(podOf(await template(folder, 'settings.OAAS_TUNER_DRAIN_SECS=60')).terminationGracePeriodSeconds, 75);
  t.equal(podOf(await template(folder, 'settings.OAAS_TUNER_DRAIN_SECS=0')).terminationGracePeriodSeconds, 15);
});

t.test('two replicas, apart, and never fewer during a rollout or a drain', { skip }, async (t) => {
  const objects = await template(folder);
  const { spec } = one(objects, 'Deployment');
  t.equal(spec.replicas, 2);
  t.strictSame(spec.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  t.strictSame(
    spec.template.spec.topologySpreadConstraints.map((spread: Rendered) => spread.topologyKey),
    ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
  );
  const selector = spec.selector.matchLabels;
  t.equal(one(objects, 'PodDisruptionBudget').spec.maxUnavailable, 1);
  for (const matched of [
    one(objects, 'PodDisruptionBudget').spec.selector.matchLabels,
    one(objects, 'Service').spec.selector,
    one(objects, 'NetworkPolicy').spec.podSelector.matchLabels,
  ]) {
    t.strictSame(matched, selector);
  }
  t.match(spec.template.metadata.labels, selector);
  t.equal(
    spec.template.metadata.labels['app.kubernetes.io/name'],
    'oaas-tuner',
    'the webhook leaves itself alone by it',
  );
});

t.test('reviews may come from anywhere, metrics only from those who are named', { skip }, async (t) => {
  const rules = one(await template(folder), 'NetworkPolicy').spec.ingress;
  t.strictSame(rules[0], { ports: [{ port: 'reviews', protocol: 'TCP' }] });
  t.strictSame(rules[1].from, [{ namespaceSelector: {} }]);
});

t.test('a setting reaches the container as it is written, large numbers too', { skip }, async (t) => {
  const env = envOf(
    await template(
      folder,
      'settings.OPRC_CRM_PROM_URL=http://prometheus:9090',
      'settings.OAAS_TUNER_CERTIFICATE_LIFE_SECS=31536000',
      'settings.OPRC_CRM_REQUEST_P95_FACTOR=1.25',
      'settings.OPRC_CRM_FEATURES_NFR_ENFORCEMENT=true',
      'settings.OPRC_CRM_COOLDOWN_SECS=0',
      'settings.OPRC_CRM_REQUEST_MIN=32Mi',
    ),
  );
  t.match(env, {
    OPRC_CRM_PROM_URL: 'http://prometheus:9090',
    OAAS_TUNER_CERTIFICATE_LIFE_SECS: '31536000',
    OPRC_CRM_REQUEST_P95_FACTOR: '1.25',
    OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'true',
    OPRC_CRM_COOLDOWN_SECS: '0',
    OPRC_CRM_REQUEST_MIN: '32Mi',
    OAAS_TUNER_CERTIFICATES: 'secret',
  });
});

t.test('a port that is set is the port of container and probes', { skip }, async (t) => {
  const objects = await template(folder, 'settings.OAAS_TUNER_PORT=10250');
  t.match(podOf(objects).containers[0].ports[0], { name: 'reviews', containerPort: 10250 });
  t.match(one(objects, 'Service').spec.ports[0], { port: 443, targetPort: 'reviews' });
});

t.test('what cannot be meant is refused before anything is installed', { skip }, async (t) => {
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROM_ULR=http://x'), /OPRC_CRM_PROM_ULR/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROFILE=prod'), /OPRC_CRM_PROFILE/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_STEP_PERCENT=0'), /OPRC_CRM_STEP_PERCENT/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_LIMIT_MAX=8gi'), /OPRC_CRM_LIMIT_MAX/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROM_MATCHERS=garbage'), /OPRC_CRM_PROM_MATCHERS/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROM_SERIES=nosuch=foo'), /OPRC_CRM_PROM_SERIES/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROM_PARAMS=x'), /OPRC_CRM_PROM_PARAMS/);
  await t.rejects(template(folder, 'settings.OPRC_CRM_PROM_HEADERS=nocolon'), /OPRC_CRM_PROM_HEADERS/);
  await t.rejects(template(folder, 'certificates.mode=vault'), /mode/);
});

t.test('what is right is not: every default, and what the pages show', { skip }, async (t) => {
  const right = {
    OPRC_CRM_LIMIT_MAX: '8Gi',
    OPRC_CRM_ROUND_TO: '1.5Gi',
    OPRC_CRM_PROM_MATCHERS: 'container!=""\\,image!=""',
    OPRC_CRM_PROM_SELECTOR: 'cluster="prod"',
    OPRC_CRM_PROM_SERIES: 'kube_pod_owner=ksm:kube_pod_owner',
    OPRC_CRM_PROM_PARAMS: 'max_source_resolution=0s&partial_response=false',
    OPRC_CRM_PROM_HEADERS: 'X-Scope-OrgID: tenant',
  };
  for (const [name, value] of Object.entries(right)) await t.resolves(template(folder, `settings.${name}=${value}`));
  for (const name of Object.keys(right)) await t.resolves(template(folder, `settings.${name}=`), `${name}, empty`);
});

t.test('where users are given by the cluster, or pods cannot be reached by the API server', { skip }, async (t) => {
  const nulls = ['runAsUser', 'runAsGroup', 'fsGroup'].map((key) => `podSecurityContext.${key}=null`);
  const pod = podOf(await template(folder, 'hostNetwork=true', ...nulls));
  t.match(pod, { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
  t.strictSame(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  const usual = podOf(await template(folder));
  t.equal(usual.hostNetwork, undefined);
  t.equal(usual.securityContext.runAsUser, 65532);
});

t.test('records under another name: roles and webhooks follow', { skip }, async (t) => {
  const text = JSON.stringify(
    await template(folder, 'settings.OAAS_TUNER_RECORD_PLURAL=classruntimes', 'validateRecords=true'),
  );
  t.match(text, '"classruntimes/status"');
  t.notMatch(text, 'deploymentrecords');
});

t.test('without Knative nobody is asked about Knative Services', { skip }, async (t) => {
  const objects = await template(folder, 'settings.OPRC_CRM_FEATURES_KNATIVE=false');
  t.strictSame(
    one(objects, 'MutatingWebhookConfiguration').webhooks.map(({ name }: { name: string }) => name),
    ['deployments.tuning.oaas.io'],
  );
});

t.test('with cert-manager the tuner may touch neither the Secret nor the configuration', { skip }, async (t) => {
  const objects = await template(folder, BY_CERT_MANAGER);
  t.equal(envOf(objects).OAAS_TUNER_CERTIFICATES, 'files');
  t.equal(
    one(objects, 'MutatingWebhookConfiguration').metadata.annotations['cert-manager.io/inject-ca-from'],
    'oaas-system/oaas-tuner',
  );
  const { spec } = one(objects, 'Certificate', 'oaas-tuner');
  t.match(spec, {
    dnsNames: ['oaas-tuner.oaas-system.svc'],
    secretName: 'oaas-tuner-tls',
    issuerRef: { name: 'oaas-tuner' },
  });
  t.match(podOf(objects).volumes, [{ secret: { secretName: 'oaas-tuner-tls' } }]);
  const roles = JSON.stringify(objects.filter(({ kind }) => /Role$/.test(kind)));
  t.notMatch(roles, 'secrets');
  t.notMatch(roles, 'admissionregistration');
  t.equal(objects.filter(({ kind }) => kind === 'Secret').length, 0);
});

const GATE = 'settings.OPRC_CRM_FEATURES_NFR_ENFORCEMENT=true';
const strategy = (name: string) => `settings.OPRC_CRM_ENFORCEMENT_STRATEGY=${name}`;

/** Beside `oaas-tuner`, in the cluster and in its own namespace: what else it may do, by what is set. */
const ROLES: [sets: string[], more: string[]][] = [
  [[], ['certificates']],
  [[strategy('vpa')], ['certificates']],
  [[GATE], ['certificates', 'rollouts']],
  [[GATE, strategy('admission')], ['certificates']],
  [
    [GATE, strategy('vpa')],
    ['certificates', 'vpa'],
  ],
  [[BY_CERT_MANAGER], []],
  [[BY_CERT_MANAGER, GATE], ['rollouts']],
];

t.test('it may do what its settings call for, as the file says it, and nobody but its account', { skip }, async (t) => {
  const files = parseAllDocuments(readFileSync(join(CHART, 'files/role.yaml'), 'utf8')).map((one) => one.toJS());
  for (const [sets, more] of ROLES) {
    const objects = await template(folder, ...sets);
    const expected = ['oaas-tuner', ...more.map((name) => `oaas-tuner-${name}`)];
    const roles = objects.filter(({ kind }) => /Role$/.test(kind));
    t.strictSame([...new Set(roles.map(({ metadata }) => metadata.name))].sort(), expected, sets.join());
    for (const { kind, metadata, rules } of files.filter(({ metadata }) => expected.includes(metadata.name))) {
      t.strictSame(one(objects, kind, metadata.name).rules, rules);
      t.match(one(objects, `${kind}Binding`, metadata.name), {
        roleRef: { kind, name: metadata.name },
        subjects: [{ kind: 'ServiceAccount', name: 'oaas-tuner', namespace: 'oaas-system' }],
      });
    }
  }
});

t.test('as long as the gate is closed it may write no workload', { skip }, async (t) => {
  const rules = (await template(folder)).filter(({ kind }) => kind === 'ClusterRole').flatMap(({ rules }) => rules);
  const onWorkloads = rules.filter(({ resources }) => /deployments|services/.test(resources.join()));
  t.strictSame([...new Set(onWorkloads.flatMap(({ verbs }) => verbs))], ['list', 'watch']);
});

t.test('monitoring is there for who wants it', { skip }, async (t) => {
  t.strictSame(
    (await template(folder)).filter(({ kind }) => /Monitor|PrometheusRule|ConfigMap/.test(kind)),
    [],
  );
  const sets = ['serviceMonitor', 'rules', 'dashboard'].map((what) => `monitoring.${what}=true`);
  const objects = await template(folder, ...sets, 'monitoring.labels.release=prometheus');
  t.match(one(objects, 'ServiceMonitor').spec.endpoints, [{ port: 'metrics' }]);
  t.equal(one(objects, 'ServiceMonitor').metadata.labels.release, 'prometheus');
  t.strictSame(one(objects, 'PrometheusRule').spec, parse(readFileSync(join(CHART, 'files/alerts.yaml'), 'utf8')));
  const dashboard = one(objects, 'ConfigMap').data['oaas-tuner.json'];
  t.strictSame(JSON.parse(dashboard), JSON.parse(readFileSync(join(CHART, 'files/dashboard.json'), 'utf8')));
});

t.test('no image comes from a registry that we chose', { skip }, async (t) => {
  t.equal(podOf(await template(folder)).containers[0].image, 'oaas-tuner:0.1.0');
  const set = ['image.repository=registry.example/oaas-tuner', `image.digest=sha256:${'0'.repeat(64)}`];
  t.match(podOf(await template(folder, ...set)).containers[0].image, /^registry\.example\/oaas-tuner@sha256:0+$/);
});

t.test(
  'the CRD of the chart is not a template: an upgrade or uninstall cannot take the records along',
  { skip },
  async (t) => {
    t.equal((await template(folder)).filter(({ kind }) => kind === 'CustomResourceDefinition').length, 0);
  },
);

t.test('files for Prometheus come into the pod as volumes of its own', { skip }, async (t) => {
  const pod = podOf(
    await template(
      folder,
      ...['extraVolumes[0].name=prometheus', 'extraVolumes[0].secret.secretName=prometheus-access'],
      ...['extraVolumeMounts[0].name=prometheus', 'extraVolumeMounts[0].mountPath=/etc/oaas-tuner/prometheus'],
    ),
  );
  t.strictSame(pod.volumes, [{ name: 'prometheus', secret: { secretName: 'prometheus-access' } }]);
  t.strictSame(pod.containers[0].volumeMounts, [{ name: 'prometheus', mountPath: '/etc/oaas-tuner/prometheus' }]);
});
