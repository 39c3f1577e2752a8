/** Colours, when someone is looking at a terminal; otherwise the plain text. */

export type Brush = (text: string) => string;
export type Paint = Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'blue', Brush>;

const CODES: Record<keyof Paint, [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
};

export function createPaint(coloured: boolean): Paint {
  const brushes = Object.entries(CODES).map(([name, [on, off]]) => {
    const brush: Brush = (text) => (coloured && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text);
    return [name, brush];
  });
  return Object.fromEntries(brushes);
}

export const plain: Brush = (text) => text;
