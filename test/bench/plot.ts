/** Plain line plots, one below the other, as SVG: each from zero, so that a slope is one. */

export type Plot = { title: string; values: number[] };

const [WIDTH, HEIGHT, LEFT, TOP] = [640, 120, 60, 30];

/** @param unit what a step to the right is */
export function drawPlots(plots: Plot[], unit: string): string {
  const height = plots.length * (HEIGHT + 2 * TOP);
  const style = 'font: 12px sans-serif; background: white';
  const drawn = plots.map(
    (plot, index) => `<g transform="translate(${LEFT} ${index * (HEIGHT + 2 * TOP) + TOP})">${draw(plot, unit)}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH + 2 * LEFT}" height="${height}" style="${style}">\n${drawn.join('\n')}\n</svg>\n`;
}

function draw({ title, values }: Plot, unit: string): string {
  const finite = values.filter(Number.isFinite);
  const top = Math.max(...finite, Number.MIN_VALUE) * 1.1;
  const x = (index: number) => (values.length < 2 ? 0 : (index / (values.length - 1)) * WIDTH);
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  // What could not be measured has no point.
  const points = values.flatMap((value, index) =>
    Number.isFinite(value) ? [`${x(index).toFixed(1)},${y(value).toFixed(1)}`] : [],
  );
  return [
    `<text y="-8" font-weight="bold">${title}</text>`,
    `<path d="M0 0V${HEIGHT}H${WIDTH}" fill="none" stroke="#888"/>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="#06c" stroke-width="2"/>`,
    `<text x="-6" y="4" text-anchor="end">${top.toFixed(1)}</text><text x="-6" y="${HEIGHT}" text-anchor="end">0</text>`,
    `<text y="${HEIGHT + 16}">${unit} 1</text><text x="${WIDTH}" y="${HEIGHT + 16}" text-anchor="end">${values.length}</text>`,
  ].join('');
}
