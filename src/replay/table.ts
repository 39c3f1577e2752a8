/** The figures of all policies, as a table for a terminal and for Markdown alike. */
import { Gi, readable } from '../domain/quantity.ts';
import type { Comparison, Figure, Summary } from './summary.ts';

const COLUMNS: [name: string, of: (summary: Summary) => string][] = [
  ['kills', ({ kills }) => String(kills)],
  ['kills per container-day', ({ killsPerDay }) => withInterval(killsPerDay, (value) => value.toFixed(2))],
  ['containers killed', ({ killedContainers, containers }) => `${killedContainers} of ${containers}`],
  ['over-request', ({ overRequest }) => withInterval(overRequest, percent)],
  ['over-limit', ({ overLimit }) => withInterval(overLimit, percent)],
  ['requested GiB·h', ({ requestByteHours }) => (requestByteHours / Gi).toFixed(1)],
  ['limit GiB·h', ({ limitByteHours }) => (limitByteHours / Gi).toFixed(1)],
  ['changes per container-day', ({ changesPerDay }) => withInterval(changesPerDay, (value) => value.toFixed(1))],
  ['above request', ({ aboveRequest }) => `${(aboveRequest * 100).toFixed(1)}%`],
  ['worst shortfall', ({ worstShortfall }) => (worstShortfall === 0 ? '-' : readable(Math.round(worstShortfall)))],
];

export function drawTable(summaries: { policy: string; summary: Summary }[]): string {
  const rows = summaries.map(({ policy, summary }) => [policy, ...COLUMNS.map(([, of]) => of(summary))]);
  return markdown([['policy', ...COLUMNS.map(([name]) => name)], ...rows]);
}

/** @param base the policy that the others are compared with */
export function drawComparisons(base: string, comparisons: { policy: string; comparison: Comparison }[]): string {
  const head = [`containers, beside ${base}`, 'fewer kills', 'more kills', 'over-request clearly less', 'clearly more'];
  const rows = comparisons.map(({ policy, comparison: { fewerKills, moreKills, lessRequested, moreRequested } }) => [
    policy,
    ...[fewerKills, moreKills, lessRequested, moreRequested].map(String),
  ]);
  return markdown([head, ...rows]);
}

function markdown(rows: string[][]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function withInterval({ value, low, high }: Figure, show: (value: number) => string): string {
  return Number.isNaN(value) ? '-' : `${show(value)} (${show(low)} to ${show(high)})`;
}

function percent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)}%`;
}
