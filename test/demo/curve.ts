/**
 * A curve in block characters, eight steps to a character: what the hottest pod reached in each slice of time, and
 * horizontal lines at values worth comparing it with. Blocks, because not every terminal's font has braille.
 */
import type { Series } from '../../src/collect/recorded.ts';
import { type Brush, plain } from './paint.ts';

/** A line across the curve, named at its right end. */
export type Mark = { value: number; label: string; stroke: 'solid' | 'dashed'; brush: Brush };

const STEPS = 8;
const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/** A line at the given step of a cell, 1 at its bottom. */
const STROKES = ['', '▁', '▁', '─', '─', '─', '─', '▔', '▔'];

/** Cuts the samples of all pods into slices of time. @returns the largest sample of each slice */
export function slicePeaks(pods: Series[], from: number, to: number, count: number): number[] {
  const peaks = new Array<number>(count).fill(0);
  for (const { seconds, bytes } of pods.flat()) {
    const index = Math.ceil(((seconds - from) / (to - from)) * count) - 1;
    const peak = peaks[index];
    if (peak !== undefined) peaks[index] = Math.max(peak, bytes);
  }
  return peaks;
}

/** @returns one line per row, top first; its top is the largest mark or peak */
export function drawCurve(peaks: number[], marks: Mark[], area: Brush, rows: number): string[] {
  const top = Math.max(...marks.map(({ value }) => value), ...peaks);
  const stepsOf = (value: number) => Math.round((value / top) * rows * STEPS);
  const heights = peaks.map(stepsOf);
  const lines: string[] = [];
  for (let row = rows - 1; row >= 0; row -= 1) {
    const here = marks.filter(({ value }) => Math.ceil(stepsOf(value) / STEPS) - 1 === row);
    const [mark] = here;
    const stroke = mark ? (STROKES[stepsOf(mark.value) - row * STEPS] ?? '') : ' ';
    const cells = heights.map((height, column): Cell => {
      const filled = Math.min(Math.max(height - row * STEPS, 0), STEPS);
      if (filled > 0) return { text: BLOCKS[filled] ?? '', brush: area };
      if (!mark || (mark.stroke === 'dashed' && column % 2 === 1)) return { text: ' ', brush: plain };
      return { text: stroke, brush: mark.brush };
    });
    const labels = here.map(({ label, brush }) => brush(label)).join(', ');
    lines.push(`${paintRuns(cells)} ${labels}`.trimEnd());
  }
  return lines;
}

/** Clock times under the curve: `08:00 … 14:00`, each under its moment. @param from Unix time of the left edge */
export function drawTimeAxis(from: number, to: number, columns: number): string {
  const hours = (to - from) / 3600;
  const axis = new Array<string>(columns).fill('─');
  let free = columns;
  for (let hour = hours; hour >= 0; hour -= 1) {
    const clock = new Date((from + hour * 3600) * 1000).toISOString().slice(11, 16);
    const start = Math.min(Math.round((hour / hours) * columns), columns - clock.length);
    // The last one was moved to fit; the one before it may have to give way.
    if (start + clock.length > free) continue;
    axis.splice(start, clock.length, ...clock);
    free = start - 1;
  }
  return axis.join('');
}

type Cell = { text: string; brush: Brush };

/** One colour change per run of cells instead of one per cell. */
function paintRuns(cells: Cell[]): string {
  const runs: Cell[] = [];
  for (const { text, brush } of cells) {
    const last = runs.at(-1);
    if (last && (last.brush === brush || text === ' ')) last.text += text;
    else runs.push({ text, brush });
  }
  return runs.map(({ text, brush }) => brush(text)).join('');
}
