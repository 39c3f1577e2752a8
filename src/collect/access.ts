/**
 * How we show a Prometheus who we are: headers, a token, certificates. Files are read anew for each question, because
 * whoever put them there (a projected token, a Secret) replaces them in place.
 */
import { readFile } from 'node:fs/promises';
import { Agent, type Dispatcher } from 'undici';
import { reason } from '../log.ts';
import { readHeaders } from '../settings/kinds.ts';

export type Access = () => Promise<{ headers: Record<string, string>; dispatcher?: Dispatcher }>;

/** Paths; empty for what is not used. */
export type AccessSettings = {
  prometheusHeaders: Record<string, string>;
  prometheusHeadersFile: string;
  prometheusTokenFile: string;
  prometheusCaFile: string;
  prometheusCertFile: string;
  prometheusKeyFile: string;
};

/** A file that cannot be read, or does not hold what it should; the message names both. */
export class AccessError extends Error {}

const NOT_ASKED = 'Prometheus is not asked';

export function accessOf(settings: AccessSettings): Access {
  let tls: { key: string; agent: Agent } | undefined;

  async function agent(): Promise<Agent | undefined> {
    const files = [settings.prometheusCaFile, settings.prometheusCertFile, settings.prometheusKeyFile];
    if (files.every((file) => file === '')) return undefined;
    const [ca, cert, key] = await Promise.all(files.map(readText));
    const read = JSON.stringify([ca, cert, key]);
    if (tls?.key !== read) {
      // Closed once its questions are answered; new ones go to the new agent.
      tls?.agent.close().catch(() => {});
      tls = {
        key: read,
        agent: new Agent({ connect: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
      };
    }
    return tls.agent;
  }

  return async () => {
    const [file, token, dispatcher] = await Promise.all([
      readText(settings.prometheusHeadersFile),
      readText(settings.prometheusTokenFile),
      agent(),
    ]);
    const fromFile = readHeaders(file);
    if (!fromFile)
      throw new AccessError(`${NOT_ASKED}: ${settings.prometheusHeadersFile} must hold lines of \`Name: value\``);
    const bearer = token.trim() === '' ? {} : { authorization: `Bearer ${token.trim()}` };
    return { headers: { ...bearer, ...settings.prometheusHeaders, ...fromFile }, ...(dispatcher && { dispatcher }) };
  };
}

/** @throws {AccessError} */
async function readText(path: string): Promise<string> {
  if (path === '') return '';
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new AccessError(`${NOT_ASKED}: ${reason(error)}`);
  }
}
