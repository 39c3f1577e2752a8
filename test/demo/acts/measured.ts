/** Act 1: six hours of samples → a recommendation for each container, and why. */
import { formatBytes, Mi, readBytes } from '../../../src/domain/quantity.ts';
import type { ContainerStatus, MemoryStatus } from '../../../src/domain/record.ts';
import { drawCurve, drawTimeAxis, type Mark, slicePeaks } from '../curve.ts';
import { expect } from '../expect.ts';
import { pair } from '../manifest.ts';
import { MARGIN, type Screen, wrap } from '../screen.ts';
import type { Stage } from '../stage.ts';
import { type Cell, type Column, drawTable } from '../table.ts';

const RECORDS = ['orders', 'payments', 'search'];
const CURVE_OF = 'Deployment/orders/function';
const ROWS = 8;
/** Room for the names of the lines, right of the curve. */
const LABELS = 29;

const COLUMNS: Column[] = [
  { title: 'container' },
  ...['avg', 'p95', 'max', 'manifest', 'recommended', 'could save'].map((title) => ({
    title,
    align: 'right' as const,
  })),
];

/** @param now milliseconds since the epoch */
export async function measured({ cluster, work, recordings, settings }: Stage, screen: Screen, now: number) {
  await work(now);
  const statuses = RECORDS.map((name) => cluster.status(name));
  const containers = statuses.flatMap((status) => status.containers.map((container) => ({ status, container })));
  const drawn = containers.find(({ container }) => keyOf(container) === CURVE_OF)?.container;
  expect(`a recommendation for ${CURVE_OF}`, drawn?.recommended !== undefined, drawn);

  const { paint, width } = screen;
  const pods = recordings.get(CURVE_OF) ?? [];
  const to = now / 1000;
  const from = to - settings.longWindowSeconds;
  const columns = width - LABELS - MARGIN.length;
  const samples = `${pods.length} pods, ${drawn.observed?.window}, every ${settings.scrapeIntervalSeconds} s`;
  screen.heading(`1  What ${short(drawn)} uses, and what it needs`, samples);
  screen.lines(drawCurve(slicePeaks(pods, from, to, columns), marksOf(drawn, screen), paint.cyan, ROWS));
  screen.lines([`${paint.dim(drawTimeAxis(from, to, columns))} ${paint.cyan('the hottest pod, UTC')}`.trimEnd()]);

  const [head = '', ...rows] = drawTable(
    COLUMNS,
    containers.map(({ container }) => rowOf(container, recordings.get(keyOf(container))?.length ?? 0, screen)),
    paint.dim,
  );
  screen.lines([head]);
  containers.forEach(({ container, status }, index) => {
    const [first, ...more] = wrap(reasonFor(container, status), width - MARGIN.length - 2);
    const why = [`└ ${first}`, ...more.map((line) => `  ${line}`)];
    screen.lines([rows[index] ?? '', ...why.map(paint.dim)]);
  });
}

function rowOf(container: ContainerStatus, pods: number, { paint }: Screen): Cell[] {
  const { observed, current, recommended, override } = container;
  const [from, to] = [current.request, recommended?.request].map((value) => readBytes(value) ?? 0) as [number, number];
  const brush = to > from ? paint.red : paint.green;
  const saved = `${pods} × ${formatBytes(Math.abs(from - to))}${to > from ? ' more' : ''}`;
  return [
    { text: short(container), brush: paint.bold },
    ...[observed?.ws_avg, observed?.ws_p95, observed?.ws_max].map(mebibytes),
    pair(current),
    recommended ? { text: pair(recommended), brush } : 'it fits',
    override?.request ? { text: 'overridden', brush: paint.yellow } : recommended ? { text: saved, brush } : '-',
  ];
}

/** Why the recommendation was made; where there is none, why the manifest's values fit. */
function reasonFor({ name, workload, rationale }: ContainerStatus, { history }: MemoryStatus): string {
  const made = history.find(
    (entry) => entry.change === 'recommended' && entry.container === name && entry.workload === workload,
  );
  return made?.rationale ?? rationale;
}

function marksOf({ current, recommended }: ContainerStatus, { paint }: Screen): Mark[] {
  const mark = (value: string | undefined, label: string, recommends: boolean): Mark => ({
    value: readBytes(value) ?? 0,
    label: `${label} ${value}`,
    stroke: recommends ? 'solid' : 'dashed',
    brush: recommends ? paint.green : paint.red,
  });
  return [
    mark(current.limit, 'manifest limit', false),
    mark(current.request, 'manifest request', false),
    mark(recommended?.limit, 'recommended limit', true),
    mark(recommended?.request, 'recommended request', true),
  ];
}

function mebibytes(quantity: string | undefined): string {
  const bytes = readBytes(quantity);
  return bytes === undefined ? '-' : `${Math.round(bytes / Mi)}Mi`;
}

function keyOf({ workload, name }: ContainerStatus): string {
  return `${workload}/${name}`;
}

function short({ workload, name }: ContainerStatus): string {
  return `${workload.slice(workload.indexOf('/') + 1)}/${name}`;
}
