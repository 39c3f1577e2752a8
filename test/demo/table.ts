/** Rows of cells → aligned lines. Cells are padded before they are painted, so that colours do not move columns. */
import { type Brush, plain } from './paint.ts';

export type Cell = string | { text: string; brush: Brush };
export type Column = { title: string; align?: 'left' | 'right' };

const GAP = '  ';

export function drawTable(columns: Column[], rows: Cell[][], titles: Brush = plain): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => textOf(row[index]).length)),
  );
  const draw = (row: Cell[]) =>
    columns
      .map(({ align }, index) => {
        const [text, width] = [textOf(row[index]), widths[index] ?? 0];
        const isLast = index === columns.length - 1;
        return brushOf(row[index])(align === 'right' ? text.padStart(width) : isLast ? text : text.padEnd(width));
      })
      .join(GAP)
      .trimEnd();
  return [draw(columns.map(({ title }) => ({ text: title, brush: titles }))), ...rows.map(draw)];
}

function textOf(cell: Cell = ''): string {
  return typeof cell === 'string' ? cell : cell.text;
}

function brushOf(cell: Cell = ''): Brush {
  return typeof cell === 'string' ? plain : cell.brush;
}
