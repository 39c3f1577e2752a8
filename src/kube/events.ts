/** An Event on a record, as `kubectl describe` shows it. */
import type { JsonObject } from '../domain/json.ts';
import type { RecordResource } from '../domain/record.ts';
import type { RecordEvent } from '../record/events.ts';
import { FIELD_MANAGER } from './api.ts';

export function eventBody(record: RecordResource, { type, reason, message }: RecordEvent, now: Date): JsonObject {
  const { namespace, name, uid } = record.metadata;
  const time = now.toISOString();
  return {
    metadata: { generateName: `${name}.`.slice(0, 200), namespace },
    involvedObject: { apiVersion: record.apiVersion, kind: record.kind, namespace, name, uid },
    ...{ type, reason, message, count: 1, firstTimestamp: time, lastTimestamp: time },
    source: { component: FIELD_MANAGER },
  };
}
