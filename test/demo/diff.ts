/** Two texts → the lines that differ, each with the YAML keys that say where it is. */

export type Line = { sign: ' ' | '-' | '+'; text: string };

/** The shortest edit between two texts, by lines (longest common subsequence). */
export function diffLines(before: string, after: string): Line[] {
  const [a, b] = [before.trimEnd().split('\n'), after.trimEnd().split('\n')];
  /** lengths[i][j]: of the longest common subsequence of what follows line i of a and line j of b */
  const lengths = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const length = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = lengths[i] as number[];
      row[j] = a[i] === b[j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    if (left !== undefined && left === right) {
      lines.push({ sign: ' ', text: left });
      i += 1;
      j += 1;
    } else if (left !== undefined && (right === undefined || length(i + 1, j) >= length(i, j + 1))) {
      lines.push({ sign: '-', text: left });
      i += 1;
    } else {
      lines.push({ sign: '+', text: right as string });
      j += 1;
    }
  }
  return lines;
}

/**
 * Only the lines that differ and, above them, up to `depth` of the YAML keys that they are under. The outermost keys
 * (`metadata`, `spec`) are left out: they tell a reader nothing.
 */
export function changesWithKeys(lines: Line[], depth: number): Line[] {
  const shown = new Set<number>();
  lines.forEach(({ sign, text }, index) => {
    if (sign === ' ') return;
    shown.add(index);
    let inner = indentOf(text);
    for (let above = index - 1, keys = 0; above >= 0 && keys < depth; above -= 1) {
      const { sign: other, text: key } = lines[above] as Line;
      const isKey = (other === ' ' || other === sign) && indentOf(key) < inner;
      if (!isKey) continue;
      inner = indentOf(key);
      if (inner > 0) shown.add(above);
      keys += 1;
    }
  });
  return lines.filter((_, index) => shown.has(index));
}

/** Without the indentation that all lines share. */
export function dedent(lines: Line[]): Line[] {
  const shared = Math.min(...lines.map(({ text }) => indentOf(text)));
  return lines.map(({ sign, text }) => ({ sign, text: text.slice(shared) }));
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length;
}
