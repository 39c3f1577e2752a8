/** The alert rules and the dashboard: Prometheus reads them, they fire when they should, and nothing in them is made up. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { ensureBinaries } from '../cluster/binaries.ts';
import { run } from '../cluster/command.ts';
import { servedMetrics } from '../served-metrics.ts';
import { CHART, skipWithout } from './helm.ts';

t.setTimeout(30 * 60_000);
const skip = skipWithout('prometheus');
const alerts = join(CHART, 'files/alerts.yaml');

/** What others serve, and the rules may use. */
const THEIRS = [
  'apiserver_admission_webhook_fail_open_count',
  'apiserver_admission_webhook_rejection_count',
  'container_memory_working_set_bytes',
  'kube_pod_container_resource_requests',
  'kube_pod_labels',
];

async function promtool(...args: string[]) {
  const bin = await ensureBinaries(['prometheus'], console.error);
  return run(`${bin}/promtool`, args);
}

const METRIC = /\b((?:oaas_tuner|apiserver|kube|container)_[a-z0-9_]+)\b/g;
const namesIn = (query: string) => [...query.replace(/label_\w+/g, '').matchAll(METRIC)].map(([, name]) => name ?? '');

t.test('promtool accepts the rules', { skip }, async (t) => {
  const { code, stdout, stderr } = await promtool('check', 'rules', '--lint=all', '--lint-fatal', alerts);
  t.equal(code, 0, stdout + stderr);
});

t.test('what is recorded loses no peak, and holds nothing twice', { skip }, async (t) => {
  const rules = join(CHART, 'files/recording.yaml');
  for (const command of [
    ['check', 'rules', '--lint=all', '--lint-fatal', rules],
    ['test', 'rules', join(import.meta.dirname, 'recording-cases.yaml')],
  ]) {
    const { code, stdout, stderr } = await promtool(...command);
    t.equal(code, 0, stdout + stderr);
  }
  const page = readFileSync(new URL('../../docs/prometheus.md', import.meta.url), 'utf8');
  for (const { record } of parse(readFileSync(rules, 'utf8')).groups[0].rules) t.match(page, `=${record}`);
});

t.test('each alert fires when it should and only then', { skip }, async (t) => {
  const { code, stdout, stderr } = await promtool('test', 'rules', join(import.meta.dirname, 'alerts-cases.yaml'));
  t.equal(code, 0, stdout + stderr);
  const cases = readFileSync(join(import.meta.dirname, 'alerts-cases.yaml'), 'utf8');
  for (const { alert } of parse(readFileSync(alerts, 'utf8')).groups[0].rules) {
    t.match(cases, new RegExp(`alertname="${alert}"`), `${alert} has a case`);
  }
});

t.test('docs/operations.md says of each alert what to do', async (t) => {
  const page = readFileSync(join(CHART, '../../docs/operations.md'), 'utf8');
  for (const { alert } of parse(readFileSync(alerts, 'utf8')).groups[0].rules) t.match(page, `\`${alert}\``, alert);
});

t.test('every metric of an alert exists', async (t) => {
  const known = [...THEIRS, ...(await servedMetrics(t)).names];
  for (const { alert, expr } of parse(readFileSync(alerts, 'utf8')).groups[0].rules) {
    t.strictSame(
      namesIn(expr).filter((name) => !known.includes(name)),
      [],
      alert,
    );
    t.ok(namesIn(expr).length > 0, alert);
  }
});

t.test('every metric of the dashboard exists', async (t) => {
  const known = [...THEIRS, ...(await servedMetrics(t)).names];
  const { panels } = JSON.parse(readFileSync(join(CHART, 'files/dashboard.json'), 'utf8'));
  for (const { title, targets = [] } of panels) {
    for (const { expr } of targets)
      t.strictSame(
        namesIn(expr).filter((name) => !known.includes(name)),
        [],
        title,
      );
  }
});

t.test('Prometheus can parse every query of the dashboard', { skip }, async (t) => {
  const { panels } = JSON.parse(readFileSync(join(CHART, 'files/dashboard.json'), 'utf8'));
  const queries: string[] = panels.flatMap(({ targets = [] }) => targets.map(({ expr }: { expr: string }) => expr));
  for (const query of queries) {
    const { code, stderr } = await promtool('--experimental', 'promql', 'format', query);
    t.equal(code, 0, `${query}: ${stderr}`);
  }
  t.ok(queries.length > 10);
});
