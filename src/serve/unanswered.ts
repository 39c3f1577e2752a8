/** Callers that do not get as far as an answer. The API server that distrusts our certificate is one: it tells nobody but us. */
import type { Server } from 'node:https';
import { type Log, reason } from '../log.ts';
import type { Unanswered } from '../metrics.ts';

/** Whatever probes our port may come every second: what was logged is only counted for so long. */
const SAY_AGAIN_MS = 60_000;

type Failure = Error & { code?: string; reason?: string };

export function watchUnanswered(server: Server, count: (cause: Unanswered) => void, log: Log): void {
  const said = new Map<string, number>();
  server.on('clientError', (failure: Failure) => {
    // Whoever breaks off waits for no answer.
    if (failure.code === 'ECONNRESET') return;
    const cause = causeOf(failure);
    count(cause);
    const now = performance.now();
    const key = failure.code ?? cause;
    if (now - (said.get(key) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    said.set(key, now);
    // OpenSSL's own message has an address in memory in it.
    log.warn({ cause, error: failure.reason ?? reason(failure) }, 'a caller got no answer');
  });
}

/** With TLS 1.3 a caller that distrusts us says so only after the handshake: `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`. */
export function causeOf({ code = '' }: Failure): Unanswered {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'too-slow';
  return code.startsWith('HPE_') ? 'no-http' : 'handshake';
}
