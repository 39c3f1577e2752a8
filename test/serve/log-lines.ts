/** A log whose lines a test can read, and wait for. */
import { EventEmitter, on } from 'node:events';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Log } from '../../src/log.ts';

export type Line = Record<string, unknown> & { level: number; msg: string };

export type Listened = {
  log: Log;
  lines: Line[];
  /** The next line with this message, from the first one on. */
  line(msg: string): Promise<Line>;
};

export function listenedLog(level = 'info'): Listened {
  const lines: Line[] = [];
  const said = new EventEmitter();
  const stream = new Writable({
    write(chunk, _encoding, done) {
      const line = JSON.parse(String(chunk)) as Line;
      lines.push(line);
      said.emit('line', line);
      done();
    },
  });
  const read = on(said, 'line');
  const line = async (msg: string): Promise<Line> => {
    for (;;) {
      const [next] = (await read.next()).value as [Line];
      if (next.msg === msg) return next;
    }
  };
  return { log: pino({ base: null, level }, stream), lines, line };
}
