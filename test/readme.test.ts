import t from 'tap';
import { OUTCOMES } from '../src/domain/reasons.ts';
import { WAITS } from '../src/domain/waits.ts';
import { settingsTable } from '../src/settings.ts';
import { isTableOf } from './docs-table.ts';

const page = new URL('../README.md', import.meta.url);

/** What the code knows better than a person who edits a page. `UPDATE_README=1 npx tap test/readme.test.ts` writes it. */
const TABLES: Record<string, string> = { settings: settingsTable(), reasons: reasonsTable(), waits: waitsTable() };

function reasonsTable(): string {
  const rows = Object.entries(OUTCOMES).map(
    ([reason, { result, means }]) => `| \`${reason}\` | ${result} | ${means} |`,
  );
  return ['| reason | result | what it means |', '| --- | --- | --- |', ...rows].join('\n');
}

function waitsTable(): string {
  const rows = Object.entries(WAITS).map(([reason, means]) => `| \`${reason}\` | ${means} |`);
  return ['| reason | what it means |', '| --- | --- |', ...rows].join('\n');
}

for (const [name, table] of Object.entries(TABLES)) {
  t.test(`the README's table of ${name} is the code's`, async (t) =>
    isTableOf(t, page, name, table, 'test/readme.test.ts'),
  );
}
