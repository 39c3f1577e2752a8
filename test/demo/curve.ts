/**
 * A curve in braille characters, 2 × 4 dots each: the average of all pods as a filled area, what the hottest pod
 * reaches above it as a sparse one, and horizontal lines at values worth comparing them with.
 */
import type { Series } from '../../src/collect/recorded.ts';
import type { Brush } from './paint.ts';

/** One slice of time, in the unit of the marks. */
export type Slice = { average: number; peak: number };

/** A line across the curve, named at its right end. */
export type Mark = { value: number; label: string; stroke: 'solid' | 'dashed'; brush: Brush };

export type CurveSize = { columns: number; rows: number };

const DOTS_ACROSS = 2;
const DOTS_DOWN = 4;
const EMPTY = 0x2800;
/** Bit of a dot by its distance from the cell's bottom, in the left and in the right half of a cell. */
const BITS = [
  [0x40, 0x80],
  [0x04, 0x20],
  [0x02, 0x10],
  [0x01, 0x08],
] as const;

/** Cuts the samples of all pods into as many slices as the curve has dots across. */
export function sliceSamples(pods: Series[], from: number, to: number, { columns }: CurveSize): Slice[] {
  const count = columns * DOTS_ACROSS;
  const bins: number[][] = Array.from({ length: count }, () => []);
  for (const { seconds, bytes } of pods.flat()) {
    const index = Math.ceil(((seconds - from) / (to - from)) * count) - 1;
    bins[index]?.push(bytes);
  }
  return bins.map((bytes) => ({
    average: bytes.reduce((sum, amount) => sum + amount, 0) / Math.max(1, bytes.length),
    peak: Math.max(0, ...bytes),
  }));
}

/** @returns one line per row, top first; its top is the largest mark or peak */
export function drawCurve(slices: Slice[], marks: Mark[], area: Brush, { columns, rows }: CurveSize): string[] {
  const top = Math.max(...marks.map(({ value }) => value), ...slices.map(({ peak }) => peak));
  const height = (value: number) => Math.round((value / top) * rows * DOTS_DOWN);
  const heights = slices.map(({ average, peak }) => ({ average: height(average), peak: height(peak) }));
  return Array.from({ length: rows }, (_, fromTop) => {
    const row = rows - 1 - fromTop;
    const here = marks.filter(({ value }) => Math.floor((height(value) - 1) / DOTS_DOWN) === row);
    const [line] = here;
    const pieces: { text: string; brush: Brush }[] = [];
    for (let column = 0; column < columns; column += 1) {
      const usage = cell(heights.slice(column * DOTS_ACROSS, (column + 1) * DOTS_ACROSS), row);
      const drawn = line && (line.stroke === 'solid' || column % 2 === 0) ? lineCell(height(line.value), row) : EMPTY;
      const brush = usage === EMPTY && line ? line.brush : area;
      const text = String.fromCodePoint(usage === EMPTY ? drawn : usage).replace('⠀', ' ');
      const last = pieces.at(-1);
      if (last?.brush === brush) last.text += text;
      else pieces.push({ text, brush });
    }
    const labels = here.map(({ label, brush }) => brush(label)).join(', ');
    return `${pieces.map(({ text, brush }) => brush(text)).join('')} ${labels}`;
  });
}

function cell(slices: { average: number; peak: number }[], row: number): number {
  let bits = EMPTY;
  slices.forEach(({ average, peak }, half) => {
    BITS.forEach((pair, dot) => {
      const level = row * DOTS_DOWN + dot + 1;
      const sparse = (level + half) % 2 === 0;
      if (level <= average || (level <= peak && (sparse || level === peak))) bits |= pair[half as 0 | 1];
    });
  });
  return bits;
}

function lineCell(level: number, row: number): number {
  const [left, right] = BITS[(level - 1 - row * DOTS_DOWN) as 0 | 1 | 2 | 3];
  return EMPTY | left | right;
}

/** Clock times under the curve: `08:00 … 14:00`, each under its moment. @param from Unix time of the left edge */
export function drawTimeAxis(from: number, to: number, columns: number): string {
  const hours = (to - from) / 3600;
  const axis = Array.from({ length: columns }, () => '─');
  for (let hour = 0; hour <= hours; hour += 1) {
    const clock = new Date((from + hour * 3600) * 1000).toISOString().slice(11, 16);
    const start = Math.min(Math.round((hour / hours) * (columns - 1)), columns - clock.length);
    axis.splice(start, clock.length, ...clock);
  }
  return axis.join('');
}
