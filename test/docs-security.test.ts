/** docs/security.md shows every right of the chart's roles, with what it is for. `UPDATE_README=1` writes the rows. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { isTableOf } from './docs-table.ts';

const roles = new URL('../charts/oaas-tuner/files/role.yaml', import.meta.url);
const page = new URL('../docs/security.md', import.meta.url);

type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };

const code = (words: string[]) => words.map((word) => `\`${word}\``).join(', ');

t.test('every right has a row, with its reason', async (t) => {
  const rows = readFileSync(roles, 'utf8')
    .split(/^---$/m)
    .flatMap((text) => {
      const { kind, metadata, rules } = parse(text);
      const reasons = [...text.matchAll(/^ {2}# (.*)\n {2}- apiGroups/gm)].map(([, why]) => why);
      t.equal(reasons.length, rules.length, `each rule of ${kind} ${metadata.name} has a comment above it`);
      return (rules as Rule[]).map(({ apiGroups: [group], resources, verbs, resourceNames }, index) => {
        const what = resources.map((one) => (group ? `${one}.${group}` : one));
        const named = resourceNames ? ` named ${code(resourceNames)}` : '';
        const role = `\`${metadata.name}\`${kind === 'Role' ? ', own namespace' : ''}`;
        return `| ${role} | ${code(verbs)} | ${code(what)}${named} | ${reasons[index]} |`;
      });
    });
  t.ok(rows.length > 10);
  const table = ['| role | may | on | for |', '| --- | --- | --- | --- |', ...rows].join('\n');
  isTableOf(t, page, 'rights', table, 'test/docs-security.test.ts');
});
