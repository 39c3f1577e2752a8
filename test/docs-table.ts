/** Tables of a page that the code knows better than a person who edits it: `UPDATE_README=1` before a test writes them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Test } from 'tap';

/**
 * @param page the page's address
 * @param name of the comments around the table, `<!-- name -->` and `<!-- /name -->`
 * @param table as it shall be
 * @param test the path of the test that asks
 */
export function isTableOf(t: Test, page: URL, name: string, table: string, test: string): void {
  const section = new RegExp(`(<!-- ${name} -->\n)([\\s\\S]*?)(<!-- /${name} -->)`);
  const text = readFileSync(page, 'utf8');
  if (process.env.UPDATE_README)
    writeFileSync(
      page,
      text.replace(section, (_, start, __, end) => `${start}${table}\n${end}`),
    );
  const [, , written] = section.exec(readFileSync(page, 'utf8')) ?? [];
  t.equal(written?.trim(), table, `${basename(page.pathname)}; if not: UPDATE_README=1 npx tap ${test}`);
}
