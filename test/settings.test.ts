import fc from 'fast-check';
import t from 'tap';
import { Gi, Mi } from '../src/domain/quantity.ts';
import { readSettings, type Settings, settingsList, settingsTable } from '../src/settings.ts';

const settingsOf = (env: Record<string, string | undefined>): Partial<Settings> => {
  const read = readSettings(env);
  return 'settings' in read ? read.settings : {};
};
const problemsOf = (env: Record<string, string>): string[] => {
  const read = readSettings(env);
  return 'problems' in read ? read.problems : [];
};

t.test('without a variable every setting has the default of the requirement', async (t) => {
  t.match(settingsOf({}), {
    prometheusUrl: '',
    profile: 'dev',
    enforcement: false,
    intervalSeconds: 60,
    shortWindowSeconds: 600,
    longWindowSeconds: 21_600,
    cooldownSeconds: 1800,
    hysteresisPercent: 20,
    hysteresisBytes: 64 * Mi,
    stepPercent: 30,
    requestP95Factor: 1.2,
    requestAvgFactor: 1.5,
    requestMin: 64 * Mi,
    requestMax: 4 * Gi,
    limitMaxFactor: 1.1,
    limitRequestFactor: 1.5,
    limitMin: 128 * Mi,
    limitMax: 8 * Gi,
    roundTo: 16 * Mi,
    oomFactor: 1.2,
    oomBytes: 100 * Mi,
    port: 8443,
    metricsPort: 9090,
    tlsDir: 'certs',
    recordKind: 'DeploymentRecord',
    recordPlural: 'deploymentrecords',
  });
});

t.test('an empty variable counts as not set, and spaces around a value do not count', async (t) => {
  t.equal(settingsOf({ OPRC_CRM_COOLDOWN_SECS: '' }).cooldownSeconds, 1800);
  t.equal(settingsOf({ OPRC_CRM_COOLDOWN_SECS: '  ' }).cooldownSeconds, 1800);
  t.equal(settingsOf({ OPRC_CRM_COOLDOWN_SECS: undefined }).cooldownSeconds, 1800);
  t.equal(settingsOf({ OPRC_CRM_COOLDOWN_SECS: ' 60 ' }).cooldownSeconds, 60);
});

t.test('a wrong value stops the start with the variable, the value and what is allowed', async (t) => {
  t.same(problemsOf({ OPRC_CRM_COOLDOWN_SECS: 'soon' }), [
    'OPRC_CRM_COOLDOWN_SECS: "soon" is not a whole number from 0 to 604800 (seconds)',
  ]);
  t.same(problemsOf({ OPRC_CRM_PROFILE: 'prod' }), ['OPRC_CRM_PROFILE: "prod" is not one of `dev`, `edge`, `full`']);
  t.same(problemsOf({ OPRC_CRM_ROUND_TO: '16mi' }), ['OPRC_CRM_ROUND_TO: "16mi" is not a quantity from 1Mi to 1Ti']);
  t.same(problemsOf({ OPRC_CRM_PROM_URL: 'prometheus:9090' }), [
    'OPRC_CRM_PROM_URL: "prometheus:9090" is not an http:// or https:// URL without a query',
  ]);
  t.same(problemsOf({ OPRC_CRM_FEATURES_NFR_ENFORCEMENT: 'yes' }), [
    'OPRC_CRM_FEATURES_NFR_ENFORCEMENT: "yes" is not `true` or `false`',
  ]);
  t.same(problemsOf({ OPRC_CRM_OOM_FACTOR: '0.9' }), ['OPRC_CRM_OOM_FACTOR: "0.9" is not a number from 1 to 10']);
  t.same(problemsOf({ OAAS_TUNER_RECORD_KIND: 'class runtime' }), [
    'OAAS_TUNER_RECORD_KIND: "class runtime" is not a name such as `DeploymentRecord`',
  ]);
});

t.test('every wrong value is told at once', async (t) => {
  t.equal(problemsOf({ OPRC_CRM_PROFILE: 'prod', OPRC_CRM_STEP_PERCENT: '0', OAAS_TUNER_PORT: '-1' }).length, 3);
});

t.test('each bound is allowed, and one beyond it is not', async (t) => {
  const bounds: [variable: string, allowed: string[], refused: string[]][] = [
    ['OPRC_CRM_STEP_PERCENT', ['1', '100'], ['0', '101', '1.5', '1e1', '0x10', '+5']],
    ['OPRC_CRM_HYSTERESIS_PERCENT', ['0', '100'], ['101', '-1']],
    ['OPRC_CRM_REQUEST_P95_FACTOR', ['1', '10', '1.25'], ['0.99', '10.1', '.5', '1.', 'NaN', 'Infinity']],
    ['OPRC_CRM_ROUND_TO', ['1Mi', '1Ti', '1e9'], ['1048575', '1025Gi', '0', '-1Gi']],
    ['OAAS_TUNER_PORT', ['0', '65535'], ['65536']],
    ['OPRC_CRM_FEATURES_NFR_ENFORCEMENT', ['true', 'False', 'TRUE'], ['1', 'on', 'constructor', '__proto__']],
    ['OPRC_CRM_PROM_URL', ['http://p:9090', 'https://p/prom'], ['ftp://p', 'http://', 'p']],
  ];
  for (const [variable, allowed, refused] of bounds) {
    for (const value of allowed) t.same(problemsOf({ [variable]: value }), [], `${variable}=${value}`);
    for (const value of refused) t.equal(problemsOf({ [variable]: value }).length, 1, `${variable}=${value}`);
  }
});

t.test("Prometheus' URL may end in a slash", async (t) => {
  t.equal(settingsOf({ OPRC_CRM_PROM_URL: 'http://p:9090/prom//' }).prometheusUrl, 'http://p:9090/prom');
});

t.test('pairs have to be in order, and equal ones are', async (t) => {
  t.same(problemsOf({ OPRC_CRM_REQUEST_MIN: '5Gi' }), [
    'OPRC_CRM_REQUEST_MIN (5Gi) must not exceed OPRC_CRM_REQUEST_MAX (4Gi)',
  ]);
  t.same(problemsOf({ OPRC_CRM_REQUEST_MIN: '4Gi' }), []);
  t.same(problemsOf({ OPRC_CRM_SHORT_WINDOW_SECS: '601', OPRC_CRM_LONG_WINDOW_SECS: '600' }), [
    'OPRC_CRM_SHORT_WINDOW_SECS (601) must not exceed OPRC_CRM_LONG_WINDOW_SECS (600)',
  ]);
  t.same(problemsOf({ OPRC_CRM_LIMIT_MAX: '2Gi' }), [
    'OPRC_CRM_REQUEST_MAX (4Gi) must not exceed OPRC_CRM_LIMIT_MAX (2Gi)',
  ]);
});

t.test('the table has one row for each setting, with its default', async (t) => {
  const rows = settingsTable().split('\n');
  t.equal(rows.length, Object.keys(settingsOf({})).length + 2);
  t.ok(rows.some((row) => row.startsWith('| `OPRC_CRM_ROUND_TO` | `16Mi` | a quantity from 1Mi to 1Ti |')));
  t.ok(rows.some((row) => row.startsWith('| `OPRC_CRM_PROM_URL` | (none) |')));
  for (const row of rows) t.equal(row.replaceAll('\\|', '').split('|').length, 6, row);
});

t.test('how Prometheus is asked', async (t) => {
  t.match(settingsOf({}), {
    prometheusParams: { max_source_resolution: '0s', partial_response: 'false' },
    prometheusHeaders: {},
    seriesNames: {},
    selector: '',
  });
  const read = settingsOf({
    OPRC_CRM_PROM_PARAMS: 'dedup=true&extra_filters%5B%5D=a%3D%22b%22',
    OPRC_CRM_PROM_HEADERS: 'X-Scope-OrgID: a|b\nX-Two:  spaces inside \n',
    OPRC_CRM_PROM_SERIES: 'kube_pod_owner=my:owner, container_memory_rss=rss',
    OPRC_CRM_PROM_SELECTOR: 'cluster="prod", zone=~"a|b\\"c"',
  });
  t.strictSame(read.prometheusParams, { dedup: 'true', 'extra_filters[]': 'a="b"' });
  t.strictSame(read.prometheusHeaders, { 'x-scope-orgid': 'a|b', 'x-two': 'spaces inside' });
  t.strictSame(read.seriesNames, { kube_pod_owner: 'my:owner', container_memory_rss: 'rss' });
  t.equal(read.selector, 'cluster="prod", zone=~"a|b\\"c"');

  const wrong = (name: string, value: string) => problemsOf({ [`OPRC_CRM_PROM_${name}`]: value }).length;
  for (const value of ['a', 'a=b&', 'a=b c', '&']) t.equal(wrong('PARAMS', value), 1, value);
  for (const value of ['a', 'a b: c', ': c', 'a:', 'a: é']) t.equal(wrong('HEADERS', value), 1, value);
  t.strictSame(problemsOf({ OPRC_CRM_PROM_HEADERS: 'Authorization Bearer x' }), [
    'OPRC_CRM_PROM_HEADERS: "***" is not lines of `Name: value`',
  ]);
  for (const value of ['kube_pod_owner', 'up=down', 'kube_pod_owner=a b', 'kube_pod_owner=a=b', ','])
    t.equal(wrong('SERIES', value), 1, value);
  for (const value of ['cluster', '{a="b"}', 'a="b"}', 'a=b', 'a="b",']) t.equal(wrong('SELECTOR', value), 1, value);
  t.strictSame(problemsOf({ OPRC_CRM_PROM_CERT_FILE: 'x' }), [
    'OPRC_CRM_PROM_CERT_FILE and OPRC_CRM_PROM_KEY_FILE belong together: one of them is not set',
  ]);
});

const FORMS = settingsList().flatMap(({ env, initial, schema }) =>
  'pattern' in schema ? [{ env, initial, pattern: new RegExp(String(schema.pattern)) }] : [],
);
const ALPHABET = [
  ...'0123456789.+-eEkMGTPEinum=:,"&_~! \\\n',
  'a',
  'kube_pod_owner',
  'kube_pod_owner=a:b',
  'cluster="x"',
  'Name: v',
  '1.5',
];

t.test("the chart's schema takes whatever the tuner takes, and an empty value", async (t) => {
  t.ok(FORMS.length > 10);
  for (const { initial, pattern, env } of FORMS) {
    t.match(initial, pattern, env);
    if (!/FACTOR|RECORD/.test(env)) t.match('', pattern, env);
  }
  // Blanks around a value are no part of it; Helm may refuse them all the same.
  const text = fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 6 }).map((value) => value.trim());
  const law = fc.property(text, fc.constantFrom(...FORMS), (value, { env, pattern }) => {
    return value === '' || problemsOf({ [env]: value }).some((one) => one.includes(env)) || pattern.test(value);
  });
  fc.assert(law, { seed: 20261128, numRuns: 20_000 });
});

t.test('and nothing whose form is wrong', async (t) => {
  const wrong = {
    OPRC_CRM_LIMIT_MAX: ['8gi', 'lots', '-1Gi', '1Gi '],
    OPRC_CRM_PROM_MATCHERS: ['garbage', 'garbage{', 'a=b', 'a="b",'],
    OPRC_CRM_PROM_SERIES: ['nosuch=foo', 'kube_pod_owner', 'kube_pod_owner=1a'],
    OPRC_CRM_PROM_PARAMS: ['x', 'a=b&', '=b'],
    OPRC_CRM_PROM_HEADERS: ['nocolon', ': v', 'Name:'],
  };
  for (const [env, values] of Object.entries(wrong)) {
    const { pattern = /^/ } = FORMS.find((one) => one.env === env) ?? {};
    for (const value of values) {
      t.notMatch(value, pattern, `${env}=${value}`);
      t.ok(problemsOf({ [env]: value }).length > 0, 'nor does the tuner take it');
    }
  }
});
