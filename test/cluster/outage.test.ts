import t from 'tap';
import { available } from './binaries.ts';
import { partsFor, startCluster } from './cluster.ts';
import { given, kubectl, manifest, memory } from './stage.ts';
import { startTuner } from './tuner.ts';

const can = available(partsFor({}));
// The first run builds everything from source.
t.setTimeout(30 * 60_000);

const OVERRIDE = { function: { request: '300Mi', limit: '400Mi' } };

t.test('the tuner is never in the way of a deploy', { skip: can.ok ? false : 'needs Go 1.26' }, async (t) => {
  const cluster = await startCluster({ say: console.error });
  t.teardown(() => cluster.stop());
  const tuner = await startTuner(cluster);
  t.teardown(() => tuner.stop());
  await given(cluster, { overrides: OVERRIDE });

  await t.test('killed in the middle of a stream of applies: every apply goes through', async (t) => {
    const names = Array.from({ length: 16 }, (_, index) => `stream-${index}`);
    const applies = names.map(async (name, index) => {
      if (index === 6) await tuner.kill();
      return kubectl(cluster, ['apply', '-f', '-'], manifest({ name }));
    });
    await t.resolves(Promise.all(applies));
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'without' }));
    t.equal(await memory(cluster, 'deployment/without'), '256Mi/512Mi', 'while it is away the manifest holds');
  });

  await t.test('once it is back, values are right again with the next apply', async (t) => {
    await tuner.start();
    // kubectl sends nothing at all for a file that did not change, so a label stands for the next change of anything.
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'without', annotations: { team: 'a' } }));
    t.equal(await memory(cluster, 'deployment/without'), '300Mi/400Mi', 'the override comes at once');
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'after' }));
    t.equal(await memory(cluster, 'deployment/after'), '300Mi/400Mi');
  });

  await t.test('a manifest that names one side only can be applied while the tuner is away', async (t) => {
    const applied = { 'Deployment/half/function': { request: '224Mi', limit: '336Mi' } };
    await given(cluster, { name: 'half', enforce: true, applied });
    const half = (version: string) =>
      manifest({ name: 'half', owner: 'half', version, memory: { function: { request: '512Mi' } } });
    t.match(await kubectl(cluster, ['apply', '-f', '-'], half('1')), 'function memory left alone (does-not-fit)');
    await tuner.kill();
    await kubectl(cluster, ['apply', '-f', '-'], half('2'));
    t.equal(await memory(cluster, 'deployment/half'), '512Mi/-', 'ours beside it would be 512Mi/336Mi, and refused');
    await tuner.start();
  });

  await t.test('with the API server restarted the store follows again', async (t) => {
    await cluster.kill('apiserver');
    await cluster.start('apiserver');
    await given(cluster, { overrides: { function: { request: '310Mi', limit: '410Mi' } } });
    await kubectl(cluster, ['apply', '-f', '-'], manifest({ name: 'restarted' }));
    t.equal(await memory(cluster, 'deployment/restarted'), '310Mi/410Mi');
  });

  await t.test('stopped in order it leaves, and says so', async (t) => {
    await tuner.stop();
    t.ok(tuner.log().some(({ msg }) => msg === 'stopping'));
  });
});
