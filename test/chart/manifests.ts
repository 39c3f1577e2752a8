/** `node test/chart/manifests.ts <namespace> [--set …]`: the chart as plain manifests, for people without Helm. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHART, helm } from './helm.ts';

const [namespace, ...more] = process.argv.slice(2);
if (!namespace) {
  console.error('say into which namespace: node test/chart/manifests.ts oaas-system [--set name=value]');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'oaas-tuner-manifests-'));
try {
  const args = [
    'template',
    'oaas-tuner',
    CHART,
    '--include-crds',
    '-n',
    namespace,
    '--kube-version',
    '1.33.0',
    ...more,
  ];
  const { code, stdout, stderr } = await helm(args, folder);
  if (code !== 0) throw new Error(stderr);
  const made = `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${namespace}\n`;
  process.stdout.write(made + stdout);
} catch (error) {
  console.error(error instanceof Error ? error.message.trim() : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
