import { connect as plainly, type Socket } from 'node:net';
import { connect } from 'node:tls';
import t from 'tap';
import { causeOf } from '../../src/serve/unanswered.ts';
import { until } from '../cluster/until.ts';
import { serve } from './served.ts';

t.test('who gets no answer is counted, and said once for each cause', async (t) => {
  const served = await serve();
  t.teardown(() => served.close());
  const { port, ca, registry, lines } = served;
  const closed = (socket: Socket, bytes = '') =>
    new Promise((resolve) => {
      socket
        .on('error', () => {})
        .on('close', resolve)
        .resume()
        .write(bytes);
    });
  const plain = () => plainly({ port, host: 'localhost' });
  for (let count = 0; count < 3; count += 1) await closed(plain(), 'GET / HTTP/1.1\r\n\r\n');
  await closed(plain(), 'neither TLS nor HTTP\r\n\r\n');
  await closed(connect({ port, host: 'localhost', ca }), 'no HTTP\r\n\r\n');
  const counted = () => registry.getSingleMetricAsString('oaas_tuner_callers_unanswered_total');
  await until('all to be counted', async () => /"handshake"\} 4\n.*"no-http"\} 1$/s.test(await counted()));
  t.match(
    lines.map(({ msg, cause }) => [msg, cause]),
    [
      ['a caller got no answer', 'handshake'],
      ['a caller got no answer', 'handshake'],
      ['a caller got no answer', 'no-http'],
    ],
  );
  t.equal(lines.length, 3);
});

t.test('the cause, told by the code that Node gives', async (t) => {
  const cause = (code?: string) => causeOf(Object.assign(new Error(), code !== undefined && { code }));
  t.equal(cause('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), 'handshake', 'distrust, as Go and curl tell it');
  t.equal(cause('ERR_SSL_HTTP_REQUEST'), 'handshake');
  t.equal(cause('HPE_INVALID_METHOD'), 'no-http');
  t.equal(cause('HPE_HEADER_OVERFLOW'), 'no-http');
  t.equal(cause('ERR_HTTP_REQUEST_TIMEOUT'), 'too-slow');
});
