import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expand } from './expand.ts';
import { readSeeds } from './seeds.ts';
import { sizes } from './sizes.ts';

it.each([
  ['appropriateness', 25, ['function', 'condition']],
  ['toxicity', 50, ['function']],
  ['bias', 60, ['function', 'category']],
] as const)('the %s texts are counted right on their data card', (gate, perFamily, traits) => {
  const rows = expand(readSeeds(import.meta.dirname, gate), { perFamily });
  const card = readFileSync(join(import.meta.dirname, gate, 'CARD.md'), 'utf8');
  for (const trait of traits) expect(card).toContain(sizes(rows, trait));
});
