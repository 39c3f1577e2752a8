/** Scenario files as text: where a scenario begins, and each of its lines with the place that a failure names. */

export type Line = { place: string; keyword: string; rest: string };
export type Scenario = { title: string; place: string; lines: Line[] };
export type ScenarioFile = { kind: string; scenarios: Scenario[] };

/** A line that means nothing: a typing error in a scenario must not make it pass. */
export class Misunderstood extends Error {
  constructor(place: string, problem: string) {
    super(`${place}: ${problem}`);
  }
}

/** @param name the file's name, as failures shall show it */
export function parseScenarios(name: string, text: string): ScenarioFile {
  const scenarios: Scenario[] = [];
  let kind: string | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const place = `${name}:${index + 1}`;
    const line = raw.trim();
    if (line === '' || line.startsWith('//')) continue;
    const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    const scenario = scenarios.at(-1);
    if (kind === undefined) {
      if (keyword !== 'kind') throw new Misunderstood(place, 'the file must begin with "kind rules" or "kind ladder"');
      kind = rest;
    } else if (keyword === '#') {
      if (scenarios.some(({ title }) => title === rest)) throw new Misunderstood(place, `"${rest}" is told twice`);
      scenarios.push({ title: rest, place, lines: [] });
    } else if (scenario) scenario.lines.push({ place, keyword, rest });
    else throw new Misunderstood(place, 'a scenario begins with "# its title"');
  }
  for (const { place, title, lines } of scenarios) {
    if (!lines.some(({ keyword }) => keyword === 'expect'))
      throw new Misunderstood(place, `"${title}" expects nothing`);
  }
  return { kind: kind ?? '', scenarios };
}

/**
 * Reads `avg 110Mi  p95 180Mi` as pairs of a word and its value.
 *
 * @param words the words that may stand there
 */
export function fields(line: Line, words: readonly string[], text = line.rest): Map<string, string> {
  const found = new Map<string, string>();
  const parts = text.split(/\s+/).filter((part) => part !== '');
  for (let index = 0; index < parts.length; index += 2) {
    const [word = '', value] = [parts[index], parts[index + 1]];
    if (!words.includes(word)) throw new Misunderstood(line.place, `"${word}" is none of: ${words.join(', ')}`);
    if (value === undefined) throw new Misunderstood(line.place, `"${word}" needs a value`);
    if (found.has(word)) throw new Misunderstood(line.place, `"${word}" is said twice`);
    found.set(word, value);
  }
  return found;
}

/** One of a few words. */
export function choice<const T extends string>(line: Line, words: readonly T[], text = line.rest): T {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new Misunderstood(line.place, `"${text}" is none of: ${words.join(', ')}`);
  return found;
}
