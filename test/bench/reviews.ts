/** Reviews as the API server sends them, of a wanted size, for the benches. */

export type ReviewKind = {
  operation: 'CREATE' | 'UPDATE';
  containers: number;
  /** whether the record has values for the containers that differ from the manifest's */
  patched: boolean;
  /** an update of a label: both sides carry what was injected, and the pod template stays */
  settled?: boolean;
  /** bytes of the whole body, filled up with environment variables and managed fields */
  bytes: number;
};

/** @param owner the record that the workload names */
export function reviewBody(
  { operation, containers, patched, settled = false, bytes }: ReviewKind,
  owner: string,
): Buffer {
  const build = (filler: number) => {
    const note = 'x'.repeat(filler);
    const object = settled
      ? labelled(injected(owner, containers, note))
      : deployment(owner, containers, patched ? 'tuned' : 'plain', note);
    const before = () =>
      settled ? injected(owner, containers, note) : deployment(owner, containers, 'plain', note, '1');
    const old = operation === 'UPDATE' && before();
    return JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
        kind: { group: 'apps', version: 'v1', kind: 'Deployment' },
        resource: { group: 'apps', version: 'v1', resource: 'deployments' },
        name: 'orders',
        namespace: 'default',
        operation,
        userInfo: { username: 'alice', groups: ['system:authenticated'] },
        object,
        ...(old && { oldObject: old }),
        dryRun: false,
        options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'kubectl' },
      },
    });
  };
  const empty = build(0).length;
  const copies = operation === 'UPDATE' ? 2 : 1;
  return Buffer.from(build(Math.max(0, Math.floor((bytes - empty) / copies))));
}

/** What the record of `server.ts` says, and what the manifest had said. */
const [OURS, THEIRS] = [
  { request: '224Mi', limit: '336Mi' },
  { request: '256Mi', limit: '512Mi' },
];

function injected(owner: string, containers: number, note: string) {
  const object = deployment(owner, containers, 'tuned', note);
  const fields = Object.entries(OURS).map(([field, set]) => [
    field,
    { set, was: THEIRS[field as keyof typeof THEIRS] },
  ]);
  const book = object.spec.template.spec.containers.map(({ name }) => [name, Object.fromEntries(fields)]);
  Object.assign(object.metadata.annotations, { 'tuning.oaas.io/applied': JSON.stringify(Object.fromEntries(book)) });
  for (const { resources } of object.spec.template.spec.containers) {
    resources.requests.memory = OURS.request;
    resources.limits.memory = OURS.limit;
  }
  return object;
}

function labelled<T extends { metadata: { labels: object } }>(object: T): T {
  Object.assign(object.metadata.labels, { team: 'shop' });
  return object;
}

function deployment(owner: string, containers: number, names: string, filler: string, version = '2') {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'orders',
      namespace: 'default',
      uid: '7c2f1b60-0000-4000-8000-000000000000',
      labels: { 'oaas.io/owner': owner, app: 'orders' },
      annotations: { note: filler },
    },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'orders' } },
      template: {
        metadata: { labels: { app: 'orders', version } },
        spec: {
          containers: Array.from({ length: containers }, (_, index) => ({
            name: `${names}-${index}`,
            image: 'registry.example/orders:1',
            env: Array.from({ length: 6 }, (_, variable) => ({
              name: `VARIABLE_${variable}`,
              value: `value-${variable}`,
            })),
            ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
            resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            imagePullPolicy: 'IfNotPresent',
          })),
          restartPolicy: 'Always',
          dnsPolicy: 'ClusterFirst',
          schedulerName: 'default-scheduler',
          securityContext: {},
        },
      },
    },
  };
}
