/**
 * Samples out of CSV files, `.csv` or `.csv.gz`, read as a stream. The columns, in any order: `container`, `timestamp_s`,
 * and `bytes` or `utilization` (of a capacity); `request_bytes` and `limit_bytes` where the manifest is known.
 */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { Pair } from '../domain/workload.ts';
import type { Row } from './side-by-side.ts';

export type CsvOptions = {
  /** what a utilization of 1 is (bytes) */
  capacity?: number;
  /** told after each part of a file: the share that has been read, from 0 to 1 */
  progress?(share: number): void;
};

/** A file that is not what it should be; the message names the file, the line and what is wanted. */
export class CsvError extends Error {}

/** @param path a file, or a folder of them @throws {CsvError} */
export function csvFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path).filter((name) => /\.csv(\.gz)?$/.test(name));
  if (files.length === 0) throw new CsvError(`${path} holds no .csv and no .csv.gz`);
  return files.sort().map((name) => join(path, name));
}

/** Each row in the order of the files. @throws {CsvError} */
export async function readCsv(files: string[], options: CsvOptions, take: (row: Row) => void): Promise<void> {
  const sizes = files.map((file) => statSync(file).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let before = 0;
  for (const [index, file] of files.entries()) {
    const stream = createReadStream(file);
    const text = file.endsWith('.gz') ? stream.pipe(createGunzip()) : stream;
    // A pipe does not hand on what breaks before it.
    stream.once('error', (error) => text.destroy(error));
    const read = lineReader(file, options, take);
    let rest = '';
    for await (const chunk of text) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) read(line);
      options.progress?.((before + stream.bytesRead) / total);
    }
    if (rest !== '') read(rest);
    before += sizes[index] ?? 0;
  }
}

/** @returns what takes the file's lines, the header first */
function lineReader(file: string, { capacity }: CsvOptions, take: (row: Row) => void): (line: string) => void {
  let number = 0;
  let column: Record<string, number> | undefined;
  const fail = (what: string) => {
    throw new CsvError(`${file}, line ${number}: ${what}`);
  };

  function readHeader(line: string): void {
    column = Object.fromEntries(line.split(',').map((name, index) => [name.trim(), index]));
    const has = (name: string) => column?.[name] !== undefined;
    if (!has('container') || !has('timestamp_s') || !(has('bytes') || has('utilization'))) {
      fail(`"${line}" must name the columns container, timestamp_s, and bytes or utilization`);
    }
    if (!has('bytes') && capacity === undefined) fail('a utilization needs to know of what: --capacity 2Gi');
  }

  return (line) => {
    number += 1;
    const trimmed = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (trimmed === '') return;
    if (!column) return readHeader(trimmed);
    const cells = trimmed.split(',');
    const amount = (name: string): number | undefined => {
      const cell = cells[column?.[name] ?? -1];
      if (cell === undefined || cell === '') return undefined;
      const value = Number(cell);
      if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) fail(`${name} "${cell}" is not a number from 0 on`);
      return value;
    };
    const container = cells[column.container ?? -1];
    const seconds = amount('timestamp_s');
    const bytes = amount('bytes') ?? (amount('utilization') ?? Number.NaN) * (capacity ?? Number.NaN);
    if (!container || seconds === undefined || Number.isNaN(bytes)) {
      return fail(`"${trimmed}" lacks a container, a timestamp_s or a value`);
    }
    const [request, limit] = [amount('request_bytes'), amount('limit_bytes')];
    const manifest: Pair<number> = { ...(request !== undefined && { request }), ...(limit !== undefined && { limit }) };
    const known = request !== undefined || limit !== undefined;
    take({ container, at: seconds * 1000, bytes, ...(known && { manifest }) });
  };
}
