// Writes the development texts of the gates as JSONL: `npm run safety-texts -- crisis [--out <folder>] [--per-family 25]`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { expand, sideOf, type Row } from './expand.ts';
import { gateForms } from './gates.ts';
import { readSeeds, type Family } from './seeds.ts';
import { isTrait, sizes, sizeTraits } from './sizes.ts';
import { swapSets } from './swaps.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: join('.sluice', 'safety-texts') },
    'per-family': { type: 'string', default: '25' },
    by: { type: 'string', default: 'function' },
  },
});
const perFamily = Number(values['per-family']);
if (!Number.isInteger(perFamily) || perFamily < 1) throw new Error('--per-family must be a whole number above 0');
if (!isTrait(values.by)) throw new Error(`--by must be one of ${sizeTraits.join(', ')}`);
if (positionals.length === 0) throw new Error(`name one or more gates: ${Object.keys(gateForms).join(', ')}`);

for (const gate of positionals) {
  const families = readSeeds(import.meta.dirname, gate);
  const rows = expand(families, { perFamily });
  mkdirSync(values.out, { recursive: true });
  for (const split of ['train', 'validation'] as const) {
    const lines = rows.filter((row) => row.split === split).map((row) => `${JSON.stringify(flat(row))}\n`);
    const file = join(values.out, `${gate}.${split}.jsonl`);
    writeFileSync(file, lines.join(''));
    process.stdout.write(`${file}: ${lines.length} rows\n`);
  }
  writeSwaps(gate, families);
  process.stdout.write(`\n${sizes(rows, values.by)}\n`);
}

/** The sets of sentences that differ by the group alone, one set a line, where the gate has such families. */
function writeSwaps(gate: string, families: readonly Family[]): void {
  const sets = swapSets(families);
  if (sets.length === 0) return;
  const file = join(values.out, `${gate}.swaps.jsonl`);
  const lines = sets.map(({ id, family, texts }) => {
    const members = texts.map(({ group, fields }) => ({ group, ...fields }));
    return `${JSON.stringify({ id, family: family.family, label: family.label, split: sideOf(family), texts: members })}\n`;
  });
  writeFileSync(file, lines.join(''));
  process.stdout.write(`${file}: ${lines.length} sets\n`);
}

/** A row as one flat object, as trainers read it. */
function flat({ id, fields, split, family }: Row): Record<string, unknown> {
  const { slots: _slots, templates: _templates, texts: _texts, splitSalt: _salt, ...traits } = family;
  return { id, ...fields, ...traits, split };
}
