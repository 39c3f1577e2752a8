/** Helm on the chart, as the tests use it. */
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { available, ensureBinaries } from '../cluster/binaries.ts';
import { type CommandResult, run } from '../cluster/command.ts';
import type { PartName } from '../cluster/parts.ts';

export const CHART = join(import.meta.dirname, '../../charts/oaas-tuner');

/** Why these tests cannot run, if they cannot. */
export function skipWithout(...parts: PartName[]): string | false {
  return available(parts).ok ? false : 'needs Go 1.26';
}

/** A command of Helm, without any of the user's own settings or plugins. */
export async function helm(args: string[], folder: string, kubeconfig = ''): Promise<CommandResult> {
  const bin = await ensureBinaries(['helm'], console.error);
  const env = { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder, KUBECONFIG: kubeconfig };
  return run(`${bin}/helm`, args, '', env);
}

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind; the test that reads one knows its shape.
export type Rendered = any;

/** What the chart makes of these `--set`s. @throws {Error} with what Helm said */
export async function template(folder: string, ...sets: string[]): Promise<Rendered[]> {
  const args = sets.flatMap((set) => ['--set', set]);
  const { code, stdout, stderr } = await helm(
    ['template', 'tuner', CHART, '-n', 'oaas-system', '--kube-version', '1.33.0', ...args],
    folder,
  );
  if (code !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS())
    .filter(Boolean);
}

/** The one object of a kind (and name). */
export function one(objects: Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter((object) => object.kind === kind && (!name || object.metadata.name === name));
  if (found.length !== 1) throw new Error(`${found.length} objects of kind ${kind} ${name ?? ''}`);
  return found[0];
}
