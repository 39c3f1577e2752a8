import t from 'tap';
import type { KnativeConfig } from '../../src/domain/knative-rules.ts';
import { createApi } from '../../src/kube/api.ts';
import { followKnativeConfig, readKnativeConfig } from '../../src/kube/knative-config.ts';
import { listenedLog } from '../serve/log-lines.ts';
import { playApiServer } from './played-api-server.ts';

t.test("both ConfigMaps are read from Knative's namespace; without Knative there is nothing in them", async (t) => {
  const server = await playApiServer();
  t.teardown(server.close);
  const reading = readKnativeConfig(createApi(server.config));
  const asked = [await server.next(), await server.next()].sort((a, b) => a.path.localeCompare(b.path));
  t.strictSame(
    asked.map(({ method, path }) => `${method} ${path}`),
    ['config-autoscaler', 'config-defaults'].map((name) => `GET /api/v1/namespaces/knative-serving/configmaps/${name}`),
  );
  asked[0]?.reply({ data: { 'max-scale-limit': '10' } });
  asked[1]?.refuse(404, 'configmaps "config-defaults" not found');
  t.strictSame(await reading, { defaults: {}, autoscaler: { 'max-scale-limit': '10' } });
});

t.test('what was read last holds while it cannot be read, which is said once', async (t) => {
  const { log, lines } = listenedLog();
  const abort = new AbortController();
  const used: KnativeConfig[] = [];
  let calls = 0;
  const texts = async () => {
    calls += 1;
    if (calls > 10) abort.abort();
    if (calls > 2 && calls < 8) throw new Error('forbidden');
    return { read: String(calls) };
  };
  const use = (config: KnativeConfig) => used.push(config);
  await followKnativeConfig({ texts }, { use, everyMs: 1, log, signal: abort.signal });
  t.strictSame(used.slice(0, 1), [{ defaults: { read: '1' }, autoscaler: { read: '2' } }]);
  t.ok(used.length > 1, 'and it is read again');
  t.match(lines, [{ msg: "Knative's configuration cannot be read", error: 'forbidden' }]);
  t.equal(lines.length, 1);
});
