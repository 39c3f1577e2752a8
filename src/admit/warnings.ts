/**
 * What `kubectl apply` prints: one line per container that changed or was held back, and one per wish of the record
 * that cannot be meant. The API server drops texts with control characters silently and cuts all of them to 256
 * characters when they pass 4096 together (`endpoints/filters/warning.go`), so these stay below both.
 */
import { at, type Json } from '../domain/json.ts';
import { OUTCOMES } from '../domain/reasons.ts';
import type { Tuning } from '../domain/record.ts';
import { dashed } from '../domain/scaling-settings.ts';
import { kindOf, ownerOf, type Pair } from '../domain/workload.ts';
import type { ConcurrencyDecision } from './concurrency.ts';
import type { ContainerDecision, Decision } from './decide.ts';
import type { AdmissionRequest } from './request.ts';

const LONGEST = 250;
const MOST = 10;

export function warningsOf(
  request: AdmissionRequest,
  { reason, containers, concurrency, leftAlone }: Decision,
  tuning: Tuning | undefined,
): string[] {
  const lines = containers.flatMap((decision) => containerLine(decision, tuning?.name ?? ''));
  if (concurrency) lines.push(...settingLines(concurrency, tuning?.name ?? '', leftAlone));
  // Once, to the person who says it; a label or a scale later would repeat it for ever.
  if (reason === 'unknown-record' && ownerOf(request.object) !== ownerOf(request.oldObject)) {
    lines.push(
      `no record "${ownerOf(request.object)}" in namespace ${request.namespace}: memory stays as in the manifest`,
    );
  }
  if (reason === 'named-revision' && tuning && speaksOf(tuning)) {
    lines.push(
      `the template names its revision, which Knative lets nobody change: memory and concurrency stay as in the manifest`,
    );
  }
  if (reason === 'no-room') lines.push(`memory stays as in the manifest (no-room): ${OUTCOMES[reason].means}`);
  // Repeating the record's problems on each label or scale would teach people to overlook them.
  if (!leftAlone || containers.some((decision) => decision.reason === 'injected')) {
    for (const { field, message, severity } of tuning?.problems ?? []) {
      lines.push(`record ${tuning?.name}: ${field} ${message}${severity === 'error' ? '; ignored' : ''}`);
    }
  }
  return lines.length === 0 ? lines : deliverable(lines.map((line) => `oaas-tuner: ${line}`));
}

function containerLine(
  { container, reason, before, written, after, rungs }: ContainerDecision,
  record: string,
): string[] {
  const subject = `${container.name} memory`;
  switch (reason) {
    case 'injected':
      return [
        `${subject} ${pair(before)} -> ${pair(after)} (request/limit, ${rungs.join(' and ')} in record ${record})`,
      ];
    case 'kept':
      return [`${subject} stays ${pair(after)}, not ${pair(before)}: the pod template did not change`];
    case 'given-back':
      return [`${subject} ${pair(before)} -> ${pair(written)} (request/limit, back to the manifest's)`];
    case 'as-it-is':
      return [];
    default:
      return [`${subject} left alone (${reason}): ${OUTCOMES[reason].means}`];
  }
}

/** One line for each setting that changes, and for each that is wanted and left out. */
function settingLines(decision: ConcurrencyDecision, record: string, leftAlone: boolean): string[] {
  const { reason, wanted, left } = decision;
  if (reason === 'unreadable-value')
    return [`concurrency left alone (${reason}): the template's metadata is no object`];
  const lines = settingChanges(decision).map(({ key, from = 'none', to = 'none' }) => {
    const found = wanted.get(dashed(key));
    if (found?.value === to) return `${key} ${from} -> ${to} (${found.rung} in record ${record})`;
    if (leftAlone) return `${key} stays ${to}, not ${from}: the pod template did not change`;
    return `${key} ${from} -> ${to} (back to the manifest's)`;
  });
  // Repeating at each label what the record or the cluster is to blame for would teach people to overlook it.
  if (leftAlone) return lines;
  const spared = [...left].map(([key, { reason, words }]) => {
    return `${key} ${wanted.get(key)?.value} left out (${reason}): ${words}`;
  });
  return [...lines, ...spared];
}

function settingChanges({ before, after }: ConcurrencyDecision): { key: string; from?: Json; to?: Json }[] {
  const keys = new Set([...after.keys(), ...before.keys()]);
  return [...keys].flatMap((key) => {
    const [from, to] = [before.get(key), after.get(key)];
    return from === to ? [] : [{ key, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }];
  });
}

function speaksOf({ overrides, applied, concurrency }: Tuning): boolean {
  const { annotations, containerConcurrency } = concurrency.overrides;
  const said = [overrides, applied, annotations, concurrency.applied].some((one) => Object.keys(one).length > 0);
  return said || containerConcurrency !== undefined;
}

function pair({ request, limit }: Pair<Json>): string {
  return `${request ?? 'none'}/${limit ?? 'none'}`;
}

/** The lines as the server delivers all of them: cleaned, shortened, the rest counted. */
export function deliverable(lines: string[]): string[] {
  const clean = lines.map((line) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a name or a value may carry them, a header may not
    const text = line.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
    // A text has never more characters than UTF-16 units; most lines are short, and counting is slow.
    const tooLong = text.length > LONGEST && [...text].length > LONGEST;
    return tooLong ? `${[...text].slice(0, LONGEST - 3).join('')}...` : text;
  });
  if (clean.length <= MOST) return clean;
  return [...clean.slice(0, MOST - 1), `oaas-tuner: and ${clean.length - MOST + 1} more like these`];
}

/** What a decision changes as a log line shows it. */
export function describeChanges({ containers, concurrency }: Decision): object[] {
  const memory = containers
    .filter(({ reason }) => OUTCOMES[reason].result === 'changed')
    .map(({ container, before, after, reason }) => ({
      container: container.name,
      from: pair(before),
      to: pair(after),
      reason,
    }));
  const settings = concurrency ? settingChanges(concurrency) : [];
  return [...memory, ...settings.map(({ key, from, to }) => ({ setting: key, from, to, reason: concurrency?.reason }))];
}

/** The workload under review as logs name it. */
export function subjectOf({ object, namespace }: AdmissionRequest): { kind: string; namespace: string; name: string } {
  const text = (...path: string[]) => {
    const value = at(object, ...path);
    return typeof value === 'string' ? value : undefined;
  };
  const name = text('metadata', 'name') ?? text('metadata', 'generateName') ?? '';
  return { kind: kindOf(object) ?? text('kind') ?? 'other', namespace, name };
}
