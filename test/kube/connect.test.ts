import { join } from 'node:path';
import t, { type Test } from 'tap';
import { connect } from '../../src/kube/connect.ts';
import { playApiServer } from './played-api-server.ts';

/** Connects as a process would for which the environment says this. */
function connected(t: Test, kubeconfig: string, home = '/nonexistent') {
  const before = { KUBECONFIG: process.env.KUBECONFIG, HOME: process.env.HOME };
  t.teardown(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  process.env.KUBECONFIG = kubeconfig;
  process.env.HOME = home;
  return connect();
}

t.test('KUBECONFIG says which cluster, else ~/.kube/config', async (t) => {
  const server = await playApiServer();
  t.teardown(server.close);
  const folder = t.testdir({ '.kube': { config: server.kubeconfig } });
  const url = server.config.getCurrentCluster()?.server;
  t.equal(connected(t, join(folder, '.kube/config')).getCurrentCluster()?.server, url);
  t.equal(connected(t, '', folder).getCurrentCluster()?.server, url);
});

t.test('without a cluster there is one sentence that says what to do', async (t) => {
  const none = 'no cluster is configured: set KUBECONFIG, or run inside a pod with a service account';
  t.throws(() => connected(t, ''), { message: none });
  const folder = t.testdir({ empty: '{}', 'no-context': '{"clusters": [], "users": [], "contexts": []}' });
  t.throws(() => connected(t, join(folder, 'empty')), { message: none });
  t.throws(() => connected(t, join(folder, 'no-context')), { message: none });
});

t.test('a configuration that cannot be read is one sentence without its content', async (t) => {
  const folder = t.testdir({ broken: 'users:\n- token: secret: x\n- y' });
  for (const file of ['missing', 'broken']) {
    const error = (() => {
      try {
        return connected(t, join(folder, file));
      } catch (caught) {
        return caught as Error;
      }
    })() as Error;
    t.match(error.message, /^the cluster's configuration \(KUBECONFIG\) cannot be read: [^\n]+$/);
    t.notMatch(error.message, 'secret');
  }
});
