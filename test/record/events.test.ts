import t from 'tap';
import type { HistoryEntry } from '../../src/domain/record.ts';
import { eventsOf } from '../../src/record/events.ts';

const entry: HistoryEntry = {
  at: '2026-01-31T10:00:00Z',
  workload: 'Deployment/orders',
  container: 'function',
  change: 'recommended',
  from: { request: '256Mi', limit: '512Mi' },
  to: { request: '224Mi', limit: '336Mi' },
  rationale: 'p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi',
};

t.test('a new recommendation is an Event that says from what, to what, and why', async (t) => {
  t.same(eventsOf([entry]), [
    {
      type: 'Normal',
      reason: 'Recommended',
      message:
        'Deployment/orders container function: 256Mi/512Mi -> 224Mi/336Mi ' +
        '(p95-based with 20% headroom: 216Mi, 324Mi; rounded to 224Mi and 336Mi)',
    },
  ]);
});

t.test('an applied change is an Event of its own', async (t) => {
  const [first, second] = eventsOf([{ ...entry, change: 'applied' }, entry]);
  t.same([first?.reason, second?.reason], ['Applied', 'Recommended']);
  t.same(eventsOf([]), []);
});

t.test('a side that nobody had set is a dash', async (t) => {
  const { from: _, ...unset } = entry;
  t.match(eventsOf([unset])[0]?.message, /: -\/- -> 224Mi\/336Mi /);
  t.match(eventsOf([{ ...entry, from: { limit: '1Gi' } }])[0]?.message, /: -\/1Gi -> /);
});

t.test('an Event is never longer than the kilobyte that the API server takes', async (t) => {
  const [event] = eventsOf([{ ...entry, rationale: 'because '.repeat(1000) }]);
  t.ok(Buffer.byteLength(event?.message ?? '') <= 1024);
  t.match(event?.message, /^Deployment\/orders container function: /);
});
