/**
 * Every setting in one table: name, default, unit, bounds, one sentence. It reads the environment, tells all problems
 * at once, and makes the README's table (a test compares them).
 */
import { Gi, Mi } from './domain/quantity.ts';
import { SERIES } from './domain/series.ts';
import {
  bytes,
  choice,
  factor,
  flag,
  headers,
  integer,
  type Kind,
  matchers,
  name,
  params,
  renames,
  text,
  url,
} from './settings/kinds.ts';

const OPRC = 'OPRC_CRM_';
const OWN = 'OAAS_TUNER_';

const TABLE = {
  prometheusUrl: url(`${OPRC}PROM_URL`, 'Base URL of Prometheus. Empty: nothing is observed, overrides still work.'),
  profile: choice(
    `${OPRC}PROFILE`,
    'dev',
    ['dev', 'edge', 'full'],
    'Decides `enabled` for records that do not say: on in edge and full, off in dev.',
  ),
  enforcement: flag(
    `${OPRC}FEATURES_NFR_ENFORCEMENT`,
    false,
    'The gate: whether applied values may reach the workloads of records with `enforce: true`.',
  ),
  strategy: choice(
    `${OPRC}ENFORCEMENT_STRATEGY`,
    'rollout',
    ['rollout', 'admission', 'vpa'],
    'How applied values reach running workloads: a rollout is asked for, they wait for the next change of the template, or VPA applies them.',
  ),
  enforcementBacktest: choice(
    `${OPRC}ENFORCEMENT_BACKTEST`,
    'off',
    ['off', 'required'],
    'With `required` nothing is applied to a record before a replay of its own history shows no more OOM kills than its manifests.',
  ),
  rolloutsPerNamespace: integer(
    `${OPRC}ROLLOUTS_PER_NAMESPACE`,
    2,
    1,
    1000,
    'workloads',
    'At most so many workloads of a namespace roll out at once on our request …',
  ),
  rolloutsPerCluster: integer(
    `${OPRC}ROLLOUTS_PER_CLUSTER`,
    10,
    1,
    10_000,
    'workloads',
    '… and at most so many of the cluster.',
  ),
  knative: flag(`${OPRC}FEATURES_KNATIVE`, true, 'Whether Knative Services are tuned, where the cluster serves them.'),
  intervalSeconds: integer(
    `${OPRC}ANALYZER_INTERVAL_SECS`,
    60,
    1,
    3600,
    'seconds',
    'Time from the start of one cycle of the worker to the next.',
  ),
  shortWindowSeconds: integer(
    `${OPRC}SHORT_WINDOW_SECS`,
    600,
    10,
    3600,
    'seconds',
    'The window that follows a rise at once.',
  ),
  longWindowSeconds: integer(
    `${OPRC}LONG_WINDOW_SECS`,
    21_600,
    60,
    86_400,
    'seconds',
    'The window that has to agree to a fall.',
  ),
  scrapeIntervalSeconds: integer(
    `${OPRC}SCRAPE_INTERVAL_SECS`,
    30,
    1,
    600,
    'seconds',
    'How often Prometheus scrapes; tells how many samples a short window holds.',
  ),
  matchers: matchers(
    `${OPRC}PROM_MATCHERS`,
    'container!="",container!="POD",image!=""',
    'PromQL matchers that pick the container series of cAdvisor.',
  ),
  selector: matchers(
    `${OPRC}PROM_SELECTOR`,
    '',
    'PromQL matchers for every series that is read, e.g. `cluster="prod"` where one Prometheus serves several clusters.',
  ),
  knativeMetrics: choice(
    `${OPRC}KNATIVE_METRICS`,
    'auto',
    ['auto', 'opentelemetry', 'opencensus'],
    'Which names Knative gives to its series: those of 1.19 and later, those up to 1.18, or whichever are there.',
  ),
  seriesNames: renames(`${OPRC}PROM_SERIES`, SERIES, 'Series that this Prometheus keeps under other names.'),
  prometheusParams: params(
    `${OPRC}PROM_PARAMS`,
    'max_source_resolution=0s&partial_response=false',
    'Parameters that are sent with each query. The default asks Thanos for raw and whole answers; others ignore it.',
  ),
  prometheusHeaders: headers(`${OPRC}PROM_HEADERS`, 'Headers of each query, e.g. `X-Scope-OrgID: tenant`.'),
  prometheusHeadersFile: text(
    `${OPRC}PROM_HEADERS_FILE`,
    '',
    'File with more of them, e.g. from a Secret. Files for Prometheus are read anew for each query.',
  ),
  prometheusTokenFile: text(`${OPRC}PROM_TOKEN_FILE`, '', 'File with a bearer token for Prometheus.'),
  prometheusCaFile: text(`${OPRC}PROM_CA_FILE`, '', 'File with the CA (PEM) that Prometheus is trusted by.'),
  prometheusCertFile: text(`${OPRC}PROM_CERT_FILE`, '', 'File with a client certificate (PEM) for Prometheus …'),
  prometheusKeyFile: text(`${OPRC}PROM_KEY_FILE`, '', '… and its key.'),
  cooldownSeconds: integer(
    `${OPRC}COOLDOWN_SECS`,
    1800,
    0,
    604_800,
    'seconds',
    'The same container is not revised, nor stepped, more often than this.',
  ),
  hysteresisPercent: integer(`${OPRC}HYSTERESIS_PERCENT`, 20, 0, 100, 'percent', 'A change must be larger than this …'),
  hysteresisBytes: bytes(`${OPRC}HYSTERESIS_BYTES`, 64 * Mi, '… or larger than this, for request or limit.'),
  stepPercent: integer(
    `${OPRC}STEP_PERCENT`,
    30,
    1,
    100,
    'percent',
    'The largest step of an applied value, relative to what runs.',
  ),
  memoryRules: choice(
    `${OPRC}MEMORY_RULES`,
    'requirement',
    ['requirement', 'adaptive'],
    "Which rules recommend memory: the requirement's, or those that did better in replays of real histories (docs/quality.md); they know none of the four factors below.",
  ),
  requestP95Factor: factor(`${OPRC}REQUEST_P95_FACTOR`, 1.2, 'The request is at least the observed p95 times this …'),
  requestAvgFactor: factor(`${OPRC}REQUEST_AVG_FACTOR`, 1.5, '… and at least the observed average times this.'),
  requestMin: bytes(`${OPRC}REQUEST_MIN`, 64 * Mi, 'The smallest request that is recommended.'),
  requestMax: bytes(`${OPRC}REQUEST_MAX`, 4 * Gi, 'The largest request that is recommended.'),
  limitMaxFactor: factor(`${OPRC}LIMIT_MAX_FACTOR`, 1.1, 'The limit is at least the observed maximum times this …'),
  limitRequestFactor: factor(`${OPRC}LIMIT_REQUEST_FACTOR`, 1.5, '… and at least the request times this.'),
  limitMin: bytes(`${OPRC}LIMIT_MIN`, 128 * Mi, 'The smallest limit that is recommended.'),
  limitMax: bytes(`${OPRC}LIMIT_MAX`, 8 * Gi, 'The largest limit that is recommended.'),
  roundTo: bytes(`${OPRC}ROUND_TO`, 16 * Mi, 'Recommendations are multiples of this.'),
  oomFactor: factor(
    `${OPRC}OOM_FACTOR`,
    1.2,
    'After an OOM kill the maximum counts as at least the limit times this …',
  ),
  oomBytes: bytes(`${OPRC}OOM_BYTES`, 100 * Mi, '… and at least the limit plus this.'),
  host: text(`${OWN}HOST`, '0.0.0.0', 'Address on which both servers listen; `::` for IPv6.'),
  port: integer(`${OWN}PORT`, 8443, 0, 65_535, 'port', 'HTTPS: `POST /mutate` and `POST /validate`.'),
  metricsPort: integer(`${OWN}METRICS_PORT`, 9090, 0, 65_535, 'port', 'HTTP: `/metrics`, `/livez`, `/readyz`.'),
  certificates: choice(
    `${OWN}CERTIFICATES`,
    'files',
    ['files', 'secret'],
    'Where the certificate comes from: a folder, or a Secret `oaas-tuner-tls` that the replica that works keeps valid.',
  ),
  tlsDir: text(
    `${OWN}TLS_DIR`,
    'certs',
    'That folder, with `tls.crt` and `tls.key`; made for localhost when it holds none.',
  ),
  certificateLifeSeconds: integer(
    `${OWN}CERTIFICATE_LIFE_SECS`,
    7_776_000,
    5,
    31_536_000,
    'seconds',
    'How long a certificate in that Secret is valid; it is renewed at two thirds of it.',
  ),
  clientCa: text(
    `${OWN}CLIENT_CA`,
    '',
    'File with the CA of the API server; then nobody without a certificate of it may ask for reviews.',
  ),
  namespace: text(
    `${OWN}NAMESPACE`,
    '',
    'Namespace of the tuner itself, where its replicas agree by a Lease who works. Empty: it is alone.',
  ),
  recordKind: name(
    `${OWN}RECORD_KIND`,
    'DeploymentRecord',
    /^[A-Z][A-Za-z0-9]*$/,
    'Kind of the records in `oaas.io/v1alpha1`; newer OaaS calls it `ClassRuntime`.',
  ),
  recordPlural: name(
    `${OWN}RECORD_PLURAL`,
    'deploymentrecords',
    /^[a-z][a-z0-9]*$/,
    'Plural of that kind, e.g. `classruntimes`.',
  ),
  drainSeconds: integer(
    `${OWN}DRAIN_SECS`,
    20,
    0,
    300,
    'seconds',
    'How long reviews are still answered after SIGTERM.',
  ),
  logLevel: choice(
    `${OWN}LOG_LEVEL`,
    'info',
    ['debug', 'info', 'warn', 'error', 'silent'],
    'Least severity that is logged.',
  ),
};

type Table = typeof TABLE;
export type Settings = { [Key in keyof Table]: Table[Key] extends Kind<infer T> ? T : never };

/** Pairs that only make sense in order. */
const ORDERED: [keyof Table, keyof Table][] = [
  ['shortWindowSeconds', 'longWindowSeconds'],
  ['scrapeIntervalSeconds', 'shortWindowSeconds'],
  ['requestMin', 'requestMax'],
  ['limitMin', 'limitMax'],
  ['requestMax', 'limitMax'],
];

/**
 * @param env the environment; an empty value counts as not set
 * @returns the settings, or every problem, one line each: the variable, the value and what is allowed
 */
export function readSettings(env: Record<string, string | undefined>): { settings: Settings } | { problems: string[] } {
  const problems: string[] = [];
  const settings: Record<string, unknown> = {};
  for (const [key, kind] of Object.entries(TABLE) as [string, Kind<unknown>][]) {
    const given = env[kind.env]?.trim();
    const value = given ? kind.read(given) : kind.initial;
    if (value === undefined)
      problems.push(`${kind.env}: "${kind.secret ? '***' : withoutPassword(given)}" is not ${kind.allowed}`);
    settings[key] = value;
  }
  for (const [smaller, larger] of ORDERED) {
    const [low, high] = [settings[smaller], settings[larger]];
    if (typeof low === 'number' && typeof high === 'number' && low > high) {
      const show = (key: keyof Table) => `${TABLE[key].env} (${(TABLE[key] as Kind<unknown>).show(settings[key])})`;
      problems.push(`${show(smaller)} must not exceed ${show(larger)}`);
    }
  }
  if ((settings.prometheusCertFile === '') !== (settings.prometheusKeyFile === '')) {
    problems.push(
      `${TABLE.prometheusCertFile.env} and ${TABLE.prometheusKeyFile.env} belong together: one of them is not set`,
    );
  }
  if (settings.certificates === 'secret' && settings.namespace === '') {
    problems.push(`${TABLE.certificates.env}=secret needs ${TABLE.namespace.env}: the namespace of that Secret`);
  }
  return problems.length > 0 ? { problems } : { settings: settings as Settings };
}

/** Those of the settings that differ from their defaults, by variable, as the environment would say them. */
export function changedSettings(settings: Settings, keys: readonly (keyof Settings)[]): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const { env, initial, show } = TABLE[key] as Kind<unknown>;
      return settings[key] === initial ? [] : [[env, show(settings[key])]];
    }),
  );
}

/** Every setting as the chart shows it: what it is set to by default, what it may be, in words and as JSON schema. */
export function settingsList(): { env: string; initial: string; allowed: string; says: string; schema: object }[] {
  return (Object.values(TABLE) as Kind<unknown>[]).map(({ show, initial, env, allowed, says, schema }) => {
    return { env, initial: show(initial), allowed, says, schema };
  });
}

/** A URL may carry a user and a password; a message must not. */
function withoutPassword(text = ''): string {
  return text.replace(/\/\/.*@/, '//***@');
}

/** The README's table of settings, as Markdown. */
export function settingsTable(): string {
  const rows = (Object.values(TABLE) as Kind<unknown>[]).map(({ env, initial, allowed, says, show }) => {
    const initially = show(initial) === '' ? '(none)' : `\`${show(initial)}\``;
    return `| \`${env}\` | ${initially} | ${allowed} | ${says} |`;
  });
  return ['| variable | default | allowed | what it does |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
