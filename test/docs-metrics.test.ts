/** docs/metrics.md has a row for every metric that the tuner serves. `UPDATE_README=1` writes the rows. */
import t from 'tap';
import { isTableOf } from './docs-table.ts';
import { servedMetrics } from './served-metrics.ts';

const page = new URL('../docs/metrics.md', import.meta.url);

/** What the values are, told by the name: Prometheus' base units. */
function unitOf(name: string): string {
  if (name.includes('timestamp_seconds')) return 'Unix time';
  return /_(seconds|bytes|ratio)(_total)?$/.exec(name)?.[1] ?? 'count';
}

t.test('every metric has a row, and no row is made up', async (t) => {
  const { metrics } = await servedMetrics(t);
  t.ok(metrics.length > 20, 'they were found');
  const rows = metrics
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ name, help, type, labels }) => {
      const shown = labels.map((label) => `\`${label}\``).join(', ');
      return `| \`${name}\` | ${type} | ${unitOf(name)} | ${shown} | ${help.replaceAll('|', '\\|')} |`;
    });
  const table = ['| metric | type | unit | labels | what it says |', '| --- | --- | --- | --- | --- |', ...rows].join(
    '\n',
  );
  isTableOf(t, page, 'metrics', table, 'test/docs-metrics.test.ts');
});
