/** What the series need of a pod. */
export interface Pod {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    labels?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; controller?: boolean }[];
  };
  spec: { nodeName?: string; containers: Container[]; initContainers?: Container[] };
  status?: {
    podIP?: string;
    hostIP?: string;
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

interface Container {
  name: string;
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

interface ContainerStatus {
  name: string;
  restartCount: number;
  lastState?: { terminated?: { reason?: string } };
}

type Row = [labels: Record<string, string>, value: number];

/** Renders pods as kube-state-metrics does, with every label of a pod allowed. */
export function podSeries(pods: Pod[]): string {
  const families = new Map<string, Row[]>(familyNames.map((name) => [name, []]));
  for (const pod of pods) {
    for (const [name, labels, value] of seriesOf(pod)) families.get(name)?.push([labels, value]);
  }
  return [...families].map(([name, rows]) => renderFamily(name, rows)).join('');
}

const familyNames = [
  'kube_pod_info',
  'kube_pod_owner',
  'kube_pod_labels',
  ...['kube_pod_container', 'kube_pod_init_container'].flatMap((prefix) => [
    `${prefix}_resource_requests`,
    `${prefix}_resource_limits`,
    `${prefix}_status_restarts_total`,
    `${prefix}_status_last_terminated_reason`,
  ]),
];

function* seriesOf({ metadata, spec, status }: Pod): Generator<[name: string, ...Row]> {
  const pod = { namespace: metadata.namespace, pod: metadata.name, uid: metadata.uid };
  const node = spec.nodeName ?? '';
  const owners = metadata.ownerReferences ?? [];
  const [creator] = owners.filter(({ controller }) => controller);
  const created = { created_by_kind: creator?.kind ?? '', created_by_name: creator?.name ?? '' };
  yield ['kube_pod_info', { ...pod, node, host_ip: status?.hostIP ?? '', pod_ip: status?.podIP ?? '', ...created }, 1];
  if (owners.length === 0)
    yield ['kube_pod_owner', { ...pod, owner_kind: '', owner_name: '', owner_is_controller: '' }, 1];
  for (const { kind, name, controller = false } of owners) {
    yield [
      'kube_pod_owner',
      { ...pod, owner_kind: kind, owner_name: name, owner_is_controller: String(controller) },
      1,
    ];
  }
  yield ['kube_pod_labels', { ...pod, ...labelLabels(metadata.labels ?? {}) }, 1];
  yield* containerSeries('kube_pod_container', pod, node, spec.containers, status?.containerStatuses);
  yield* containerSeries('kube_pod_init_container', pod, node, spec.initContainers, status?.initContainerStatuses);
}

function* containerSeries(
  prefix: string,
  pod: Record<string, string>,
  node: string,
  containers: Container[] = [],
  statuses: ContainerStatus[] = [],
): Generator<[name: string, ...Row]> {
  for (const { name: container, resources } of containers) {
    for (const kind of ['requests', 'limits'] as const) {
      for (const [resource, quantity] of Object.entries(resources?.[kind] ?? {})) {
        const unit = { cpu: 'core', memory: 'byte', 'ephemeral-storage': 'byte' }[resource] ?? 'integer';
        yield [
          `${prefix}_resource_${kind}`,
          { ...pod, container, node, resource: snakeCase(resource), unit },
          quantityToNumber(quantity),
        ];
      }
    }
  }
  for (const { name: container, restartCount, lastState } of statuses) {
    yield [`${prefix}_status_restarts_total`, { ...pod, container }, restartCount];
    const reason = lastState?.terminated?.reason;
    if (reason !== undefined) yield [`${prefix}_status_last_terminated_reason`, { ...pod, container, reason }, 1];
  }
}

/** A label's name as kube-state-metrics writes it: `serving.knative.dev/revisionUID` → `label_serving_knative_dev_revision_uid`. */
function labelLabels(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [`label_${snakeCase(name)}`, value]));
}

function snakeCase(name: string): string {
  const safe = name.replaceAll(/[^a-zA-Z0-9_]/g, '_');
  return safe.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

const factors: Record<string, number> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

function quantityToNumber(quantity: string): number {
  const [, number, suffix = ''] = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(quantity) ?? [];
  const factor = factors[suffix];
  if (number === undefined || factor === undefined)
    throw new Error(`the API server let a quantity through that is none: ${quantity}`);
  return Number(number) * factor;
}

function renderFamily(name: string, rows: Row[]): string {
  const type = name.endsWith('_total') ? 'counter' : 'gauge';
  const lines = rows.map(
    ([labels, value]) =>
      `${name}{${Object.entries(labels)
        .map(([key, text]) => `${key}="${escapeValue(text)}"`)
        .join(',')}} ${value}\n`,
  );
  return `# TYPE ${name} ${type}\n${lines.join('')}`;
}

function escapeValue(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
