/** The lines that an explanation is made of. */

/** One line of an explanation; `wrong` says how the value differs, and is absent where everything fits. */
export type Line = { name: string; value: string; wrong?: string; details: string[] };

export function lineOf(name: string, value: string, fits: boolean, wrong: string): Line {
  return fits ? { name, value, details: [] } : wrongLine(name, value, wrong);
}

export function wrongLine(name: string, value: string, wrong: string): Line {
  return { name, value, wrong, details: [] };
}
