import type { Row } from './expand.ts';

/** What rows may be counted by. */
export const sizeTraits = ['function', 'category', 'lang', 'severity', 'subject', 'condition'] as const;
type SizeTrait = (typeof sizeTraits)[number];

export function isTrait(name: string): name is SizeTrait {
  return (sizeTraits as readonly string[]).includes(name);
}

/** Families and texts by label and one trait, as a Markdown table; texts with a risk come first. */
export function sizes(rows: readonly Row[], by: SizeTrait): string {
  const groups = new Map<string, Row[]>();
  const sums = new Map<string, Row[]>([
    ['1 | all', rows.filter((row) => row.family.label === 1)],
    ['0 | all', rows.filter((row) => row.family.label === 0)],
  ]);
  for (const row of rows) {
    const key = `${row.family.label} | ${row.family[by] ?? '-'}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const sorted = [...groups].sort(([a], [b]) => (a[0] === b[0] ? (a < b ? -1 : 1) : b < a ? -1 : 1));
  const head = `| label | ${by} | families | texts | validation families | validation texts |\n`;
  return (
    head + '| --- | --- | --- | --- | --- | --- |\n' + [...sorted, ...sums].map(([key, of]) => line(key, of)).join('')
  );
}

function line(key: string, rows: readonly Row[]): string {
  const kept = rows.filter((row) => row.split === 'validation');
  return `| ${key} | ${familyCount(rows)} | ${rows.length} | ${familyCount(kept)} | ${kept.length} |\n`;
}

function familyCount(rows: readonly Row[]): number {
  return new Set(rows.map((row) => row.family.family)).size;
}
