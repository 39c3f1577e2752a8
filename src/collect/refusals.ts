/** What a refusal of Prometheus, Thanos, Mimir or VictoriaMetrics means for us: by its status first, then by its words. */

/**
 * What becomes of a query that was refused: asked again after a while (`busy`), asked again in smaller shards (`too-much`),
 * or not at all before somebody has changed something (`refused`).
 */
export type Fate = 'busy' | 'too-much' | 'refused';

/**
 * Statuses in which a server says that a query was too large for it. Prometheus answers 422 to too many samples and to a
 * timeout alike, a proxy 413 or 414 to a long query (facts, "Backends / client behaviour").
 */
const MAY_BE_TOO_MUCH = [400, 422, 500, 503, 504];
const ALWAYS_TOO_MUCH = [413, 414];

/** As they say it: samples, series, chunks and bytes of a query, its text's length, its time. */
const TOO_MUCH =
  /too many (samples|series|chunks|bytes|points)|too (large|long)|deadline exceeded|timed? ?out|more than \d+ (samples|series)|(series|samples|chunks|bytes) limit|limit .*(series|samples|chunks|bytes)|max-(series|chunks|samples|fetched|estimated|query-expression)/i;

const BUSY = [429, 499, 500, 502, 503, 504];

/** @param words what the server said, if it said anything that can be read */
export function fateOf(status: number, words: string): Fate {
  if (ALWAYS_TOO_MUCH.includes(status)) return 'too-much';
  if (MAY_BE_TOO_MUCH.includes(status) && TOO_MUCH.test(words)) return 'too-much';
  return BUSY.includes(status) ? 'busy' : 'refused';
}

const ELSEWHERE = 'it leads elsewhere: set OPRC_CRM_PROM_URL to where it answers itself';

const HINTS: Record<number, string> = {
  ...Object.fromEntries([301, 302, 303, 307, 308].map((status) => [status, ELSEWHERE])),
  400: 'check OPRC_CRM_PROM_MATCHERS, OPRC_CRM_PROM_SELECTOR, OPRC_CRM_PROM_SERIES and OPRC_CRM_PROM_HEADERS',
  401: 'check the user and password in OPRC_CRM_PROM_URL, OPRC_CRM_PROM_TOKEN_FILE and OPRC_CRM_PROM_HEADERS',
  403: 'this user, token or tenant may not query; check OPRC_CRM_PROM_TOKEN_FILE and OPRC_CRM_PROM_HEADERS',
  404: 'check the path of OPRC_CRM_PROM_URL',
};

/** What a person should look at, as the end of a sentence; empty where the words say it all. */
export function hintFor(status: number): string {
  return HINTS[status] === undefined ? '' : ` (${HINTS[status]})`;
}
