/** The page that the demo writes: headings across its width, text wrapped to it, colours where they can be seen. */
import { createPaint, type Paint } from './paint.ts';

export type Screen = {
  width: number;
  paint: Paint;
  /** A heading: the title on the left, a note on the right if it fits, a line between them. */
  heading(title: string, note: string): void;
  /** How long an answer took, for a heading's note. */
  answered(milliseconds: number): string;
  lines(lines: string[]): void;
  /** A warning as kubectl prints it. */
  warnings(texts: string[]): void;
};

const NARROWEST = 80;
const WIDEST = 100;
export const MARGIN = '  ';

/** @param columns of the terminal; `undefined` when there is none */
export function createScreen(columns: number | undefined, coloured: boolean, write: (line: string) => void): Screen {
  const width = Math.min(Math.max(columns ?? WIDEST, NARROWEST), WIDEST);
  const paint = createPaint(coloured);
  return {
    width,
    paint,
    heading(title, note) {
      const fits = title.length + note.length + 8 <= width;
      const right = fits && note ? ` ${note}` : '';
      const line = '─'.repeat(Math.max(3, width - title.length - right.length - 4));
      write(`${paint.dim('──')} ${paint.bold(title)} ${paint.dim(line + right)}`);
    },
    answered: (milliseconds) => `answered in ${milliseconds.toFixed(1)} ms`,
    lines(lines) {
      for (const line of lines) write(`${MARGIN}${line}`.trimEnd());
    },
    warnings(texts) {
      for (const text of texts) {
        const [first = '', ...rest] = wrap(`Warning: ${text}`, width - MARGIN.length, '  ');
        write(`${MARGIN}${paint.yellow('Warning:')}${first.slice('Warning:'.length)}`);
        for (const line of rest) write(`${MARGIN}${line}`);
      }
    },
  };
}

/** Breaks at spaces; a word that is longer than a line gets a line of its own. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width || line.trim() === '') line = longer;
    else {
      lines.push(line);
      line = `${indent}${word}`;
    }
  }
  return [...lines, line];
}

/** What does not fit is left out, and an ellipsis says so. */
export function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
