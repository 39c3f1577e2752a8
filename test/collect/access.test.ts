import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { type AccessSettings, accessOf } from '../../src/collect/access.ts';
import { createPrometheus } from '../../src/collect/prometheus.ts';
import { issuePair } from '../../src/serve/certificates.ts';
import { playPrometheus, sendJson, vector } from './played-prometheus.ts';

const NOTHING: AccessSettings = {
  prometheusHeaders: {},
  prometheusHeadersFile: '',
  prometheusTokenFile: '',
  prometheusCaFile: '',
  prometheusCertFile: '',
  prometheusKeyFile: '',
};

const clientOf = (url: string, access: Partial<AccessSettings>) => {
  const options = { url, timeoutMs: 5_000, params: {}, firstWaitMs: 1 };
  const prometheus = createPrometheus({ ...options, access: accessOf({ ...NOTHING, ...access }) });
  return () => prometheus.query('up', Date.now(), new AbortController().signal);
};

/** The headers that each question came with. */
async function headersSeen(t: Test) {
  const seen: Record<string, unknown>[] = [];
  const server = await playPrometheus((question, response) => {
    seen.push(question.headers);
    sendJson(response, vector([]));
  });
  t.teardown(server.close);
  return { url: server.url, seen };
}

t.test('headers come from values and from a file, and the file wins', async (t) => {
  const file = join(t.testdir({ headers: 'X-Scope-OrgID: team-b\n\nAuthorization: Basic abc=\n' }), 'headers');
  const { url, seen } = await headersSeen(t);
  const values = { 'x-scope-orgid': 'team-a', 'x-other': 'y' };
  await clientOf(url, { prometheusHeaders: values, prometheusHeadersFile: file })();
  t.match(seen[0], { 'x-scope-orgid': 'team-b', 'x-other': 'y', authorization: 'Basic abc=' });
});

t.test('a token is read anew when it was replaced', async (t) => {
  const folder = t.testdir({ token: 'first\n' });
  const { url, seen } = await headersSeen(t);
  const query = clientOf(url, { prometheusTokenFile: join(folder, 'token') });
  await query();
  writeFileSync(join(folder, 'next'), 'second\n');
  renameSync(join(folder, 'next'), join(folder, 'token'));
  await query();
  t.strictSame(
    seen.map(({ authorization }) => authorization),
    ['Bearer first', 'Bearer second'],
  );
});

t.test('a file that is not there, or holds something else, is told by its name and nothing is asked', async (t) => {
  const folder = t.testdir({ headers: 'no header' });
  const { url, seen } = await headersSeen(t);
  await t.rejects(clientOf(url, { prometheusTokenFile: join(folder, 'token') })(), {
    name: 'PrometheusError',
    fate: 'refused',
    message: /^Prometheus is not asked: .*token/,
  });
  await t.rejects(clientOf(url, { prometheusHeadersFile: join(folder, 'headers') })(), {
    message: `Prometheus is not asked: ${join(folder, 'headers')} must hold lines of \`Name: value\``,
  });
  t.strictSame(seen, []);
});

t.test('a server is trusted by the CA file, and gets the client certificate; both may be replaced', async (t) => {
  const [pair, other] = await Promise.all([1, 2].map(() => issuePair(['127.0.0.1'], Date.now(), 3_600_000)));
  if (!pair || !other) throw new Error('no certificates');
  const folder = t.testdir({ 'ca.crt': other.ca, 'tls.crt': pair.cert, 'tls.key': pair.key });
  let shown: string[] = [];
  const server = createServer({ ...pair, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    shown = [...shown, (request.socket as TLSSocket).getPeerX509Certificate()?.toString() ?? 'nothing'];
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(vector([])));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await t.rejects(clientOf(url, {})(), { message: /does not answer at .*certificate/ }, 'nobody trusts it by itself');

  const query = clientOf(url, {
    prometheusCaFile: join(folder, 'ca.crt'),
    prometheusCertFile: join(folder, 'tls.crt'),
    prometheusKeyFile: join(folder, 'tls.key'),
  });
  await t.rejects(query(), { message: /does not answer at .*certificate/ }, "another's CA");
  writeFileSync(join(folder, 'ca.crt'), pair.ca);
  await query();
  t.strictSame(
    shown.map((certificate) => certificate.replaceAll(/\s/g, '')),
    [pair.cert.replaceAll(/\s/g, '')],
  );
});
