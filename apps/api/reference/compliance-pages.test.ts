import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { documentAlone } from './document-alone.js';

const folder = new URL('../../../docs/compliance/', import.meta.url);
const pages = (await readdir(folder)).filter((name) => name !== 'README.md');

describe.each(pages)('the compliance page %s', async (page) => {
  const text = await readFile(new URL(page, folder), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| (?!what|---)/.test(line));

  it('names only tests that exist', () => {
    const tests = [...text.matchAll(/\]\(([^)]+\.test\.ts)\)/g)].map(([, path]) => path!);
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.filter((path) => !existsSync(fileURLToPath(new URL(path, folder))))).toEqual([]);
  });

  it('names only routes that exist', async () => {
    const { paths } = (await documentAlone()) as { paths: Record<string, Record<string, unknown>> };
    const routes = [...text.matchAll(/`(GET|POST|PUT|DELETE) (\/[^`]*)`/g)];
    expect(routes.length).toBeGreaterThan(0);
    const missing = routes.filter(([, method, path]) => paths[path!]?.[method!.toLowerCase()] === undefined);
    expect(missing.map(([whole]) => whole)).toEqual([]);
  });

  it('says in each line what is asked, what is done, what shows it and what stays with the operator', () => {
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      const cells = row.split(' | ');
      expect(cells, row).toHaveLength(4);
      expect(cells[2], row).toMatch(/\.test\.ts\)/);
      expect(cells[3]!.length, row).toBeGreaterThan(20);
    }
  });
});
