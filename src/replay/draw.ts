/** One container under several policies, as an SVG for a person: what was used, what was asked for, what was killed. */
import { readable } from '../domain/quantity.ts';
import type { Step } from './replay.ts';

/** A policy's steps, drawn below each other at the same scale. */
export type Panel = { policy: string; says: string; steps: Step[] };

const [WIDTH, HEIGHT, LEFT, TOP, GAP] = [720, 110, 70, 44, 34];

/** Fewer, wider steps: of each part of the time the largest use, what ran at its end, and whether anything was killed. */
export function thin(from: number, to: number, most: number): { add(step: Step): void; steps: Step[] } {
  const steps: Step[] = [];
  const width = Math.max(1, (to - from) / most);
  let part = -1;
  return {
    steps,
    add(step) {
      const here = Math.min(most - 1, Math.floor((step.at - from) / width));
      const last = steps.at(-1);
      if (here !== part || !last) steps.push(step);
      else {
        const bytes = Math.max(last.bytes, step.bytes);
        steps[steps.length - 1] = { ...step, bytes, killed: last.killed || step.killed };
      }
      part = here;
    },
  };
}

export function drawContainer(title: string, panels: Panel[]): string {
  const all = panels.flatMap(({ steps }) => steps);
  const [from, to] = [Math.min(...all.map(({ at }) => at)), Math.max(...all.map(({ at }) => at))];
  const highest = Math.max(
    ...all.map(({ bytes, running }) => Math.max(bytes, running.limit ?? 0, running.request ?? 0)),
  );
  const x = (at: number) => Math.round(LEFT + ((at - from) / Math.max(1, to - from)) * WIDTH);
  const rows = panels.map((panel, index) => drawPanel(panel, TOP + index * (HEIGHT + GAP), x, highest));
  const height = TOP + panels.length * (HEIGHT + GAP);
  const span = `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 20}" height="${height}" font-family="sans-serif" font-size="11">
<style>path{fill:none;stroke-width:1.2}.used{stroke:#1f77b4}.request{stroke:#2ca02c}.limit{stroke:#d62728;stroke-dasharray:4 2}.kill{fill:#d62728}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="16" font-size="13">${escaped(title)}</text>
<text x="${LEFT}" y="30" fill="#666">${span}: <tspan fill="#1f77b4">used</tspan>, <tspan fill="#2ca02c">request</tspan>, <tspan fill="#d62728">limit, kills</tspan></text>
${rows.join('\n')}
</svg>
`;
}

function drawPanel({ policy, says, steps }: Panel, top: number, x: (at: number) => number, highest: number): string {
  const bottom = top + HEIGHT;
  const y = (bytes: number) => Math.round(bottom - (bytes / Math.max(1, highest)) * (HEIGHT - 14));
  const line = (name: string, of: (step: Step) => number | undefined) => {
    let path = '';
    for (const step of steps) {
      const value = of(step);
      if (value !== undefined) path += `${path === '' ? 'M' : 'L'}${x(step.at)} ${y(value)}`;
    }
    return `<path class="${name}" d="${path}"/>`;
  };
  const kills = steps.filter(({ killed }) => killed);
  return [
    `<text x="${LEFT}" y="${top + 8}">${escaped(policy)}: ${escaped(says)}</text>`,
    `<path stroke="#ccc" d="M${LEFT} ${bottom}H${LEFT + WIDTH}M${LEFT} ${y(highest)}H${LEFT + WIDTH}"/>`,
    `<text x="${LEFT - 4}" y="${bottom}" text-anchor="end">0</text>`,
    `<text x="${LEFT - 4}" y="${y(highest) + 4}" text-anchor="end">${readable(highest)}</text>`,
    line('limit', ({ running }) => running.limit),
    line('request', ({ running }) => running.request),
    line('used', ({ bytes }) => bytes),
    ...kills.map(({ at, running }) => `<circle class="kill" cx="${x(at)}" cy="${y(running.limit ?? 0)}" r="3"/>`),
  ].join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
