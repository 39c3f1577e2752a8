/** As `explain.ts`, for the concurrency of a record's Knative Services: each decision is made again from its evidence. */
import type { ConcurrencyStatus, KnobEvidence, KnobHistoryEntry, Knobs, ServiceStatus } from '../domain/concurrency.ts';
import type { Change, RecordResource } from '../domain/record.ts';
import { lookAtService, type ServiceFinding, type ServiceRules, shownKnobs } from '../recommend/service.ts';
import { findKnobEvidence, readKnobEvidence } from './concurrency-evidence.ts';
import { previousConcurrency } from './concurrency-read-back.ts';
import { type Line, lineOf, wrongLine } from './lines.ts';

type RulesFrom = (changed: Record<string, string>) => ServiceRules;

/** @param rulesFrom the rules under settings, given those that differ from the defaults; throws for what is no setting */
export function explainConcurrency(record: RecordResource, rulesFrom: RulesFrom): { title: string; lines: Line[] }[] {
  const status = previousConcurrency(record.status);
  if (!status) return [];
  const sections = status.services.map((service) => {
    const lines = [
      decisionLine('recommended', status, service, rulesFrom),
      decisionLine('applied', status, service, rulesFrom),
      sourceLine(service),
    ];
    return { title: `${service.workload} concurrency`, lines: lines.filter((line) => line !== undefined) };
  });
  const history = status.history.map((entry) => historyLine(status, entry, rulesFrom));
  return history.length > 0 ? [...sections, { title: 'History of concurrency', lines: history }] : sections;
}

function decisionLine(
  change: 'recommended' | 'applied',
  status: ConcurrencyStatus,
  { workload, [change]: decision }: ServiceStatus,
  rulesFrom: RulesFrom,
): Line | undefined {
  if (!decision) return undefined;
  const evidence = findKnobEvidence(status, decision.at, workload);
  return decidedAgain(change, `${shownKnobs(decision)} since ${decision.at}`, decision, evidence, rulesFrom);
}

function historyLine(status: ConcurrencyStatus, entry: KnobHistoryEntry, rulesFrom: RulesFrom): Line {
  const { workload, change, from = {}, to, at } = entry;
  const value = `${workload} ${shownKnobs(from)} -> ${shownKnobs(to)} at ${at}`;
  const line = decidedAgain(change, value, to, findKnobEvidence(status, at, workload), rulesFrom);
  return { ...line, details: [] };
}

/** Decides once more from the evidence, and compares. */
function decidedAgain(
  name: Change,
  value: string,
  told: Knobs,
  evidence: KnobEvidence | undefined,
  rulesFrom: RulesFrom,
): Line {
  if (!evidence) return wrongLine(name, value, 'the status keeps no evidence of this decision');
  let finding: ServiceFinding;
  try {
    finding = lookAtService(readKnobEvidence(evidence), rulesFrom(evidence.settings ?? {}), Date.parse(evidence.at));
  } catch (error) {
    return wrongLine(name, value, `its evidence cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const of = name === 'recommended' ? 'recommended' : 'applied';
  const [again, decided] = [
    finding[of],
    finding.changes.find(({ change }) => change === name || (of === 'applied' && change === 'taken-back')),
  ];
  if (!again || !decided) return wrongLine(name, value, 'by its evidence nothing would have been decided');
  const fits = again.target === told.target && again.containerConcurrency === told.containerConcurrency;
  const line = lineOf(name, value, fits, `by its evidence it is ${shownKnobs(again)}`);
  return { ...line, details: decided.rationale.split('; ') };
}

function sourceLine({ source, override, applied, recommended }: ServiceStatus): Line {
  const expected = override ? 'override' : applied ? 'applied' : recommended ? 'recommendation' : 'manifest';
  return lineOf('source', source, source === expected, `the highest rung that has a value is ${expected}`);
}
