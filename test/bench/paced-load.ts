/** A few reviews a second, as a busy cluster asks them: what matters is how long each takes, not how many go through. */
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

/** When a review was sent (milliseconds since the epoch), and after how many milliseconds its answer was there; never: infinite. */
export type Timed = { at: number; tookMs: number };

const EVERY_MS = 5;

/**
 * Sends until the signal aborts, whether or not the ones before have been answered.
 *
 * @param bodies sent by turns
 */
export async function pacedLoad(port: number, ca: string, bodies: Buffer[], signal: AbortSignal): Promise<Timed[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca, servername: 'localhost' });
  const timed: Timed[] = [];
  const send = async (body: Buffer) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    const [at, sent] = [Date.now(), performance.now()];
    const asked = request({ host: '127.0.0.1', port, path: '/mutate', method: 'POST', headers, agent });
    asked.end(body);
    try {
      const [response] = await once(asked, 'response');
      response.resume();
      await once(response, 'end');
      timed.push({ at, tookMs: response.statusCode === 200 ? performance.now() - sent : Number.POSITIVE_INFINITY });
    } catch {
      timed.push({ at, tookMs: Number.POSITIVE_INFINITY });
    }
  };
  const underWay: Promise<void>[] = [];
  for (let turn = 0; !signal.aborted; turn += 1) {
    underWay.push(send(bodies[turn % bodies.length] as Buffer));
    await sleep(EVERY_MS);
  }
  await Promise.all(underWay);
  agent.destroy();
  return timed;
}
