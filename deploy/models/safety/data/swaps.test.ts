import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expand, type Row } from './expand.ts';
import { gateForms } from './gates.ts';
import { parseSeedFile, readSeeds, type Family } from './seeds.ts';
import { swapSets } from './swaps.ts';

const animals = [{ people: 'cats' }, { people: 'dogs' }, { people: 'geese' }];
const family: Family = {
  family: 'pets',
  function: 'pets',
  lang: 'en',
  label: 0,
  slots: { group: animals, food: ['fish', 'bread', 'grass'] },
  templates: ['[I|We|You|They] feed {group.people} [today|now|later] with {food}.', 'Nobody [barks|sings].'],
};

describe('swap sets', () => {
  it('change the group and nothing else', () => {
    for (const seed of ['one', 'two', 'three', 'four']) {
      const [set] = swapSets([family], seed);
      expect(set!.texts.map(({ group }) => group)).toEqual(['cats', 'dogs', 'geese']);
      const bare = set!.texts.map(({ group, fields }) => fields['text']!.replace(group, '_'));
      expect(new Set(bare).size).toBe(1);
    }
  });

  it('leave out templates without a group', () => {
    expect(swapSets([family])).toHaveLength(1);
  });
});

describe('a shared list of fillers', () => {
  it('is refused when there is none of that name', () => {
    const families = [{ family: 'pets', lang: 'en', slots: { group: 'pets' }, templates: ['{group.people}'] }];
    const file = { function: 'pets', label: 0, category: 'none', families };
    expect(() => parseSeedFile('pets.json', JSON.stringify(file), gateForms['bias']!)).toThrow(
      'pets.json: pets: slots.group: no list "pets" in fillers.json',
    );
  });
});

describe.each([
  ['toxicity', 50, 2_500],
  ['bias', 60, 1_500],
] as const)('the %s seeds', (gate, perFamily, least) => {
  const families = readSeeds(import.meta.dirname, gate);
  const rows = expand(families, { perFamily });

  it(`hold at least ${least} texts of each label`, () => {
    expect(rows.filter((row) => row.family.label === 1).length).toBeGreaterThanOrEqual(least);
    expect(rows.filter((row) => row.family.label === 0).length).toBeGreaterThanOrEqual(least);
  });

  it('keep a family of every function for validation, and most for training', () => {
    for (const split of ['train', 'validation'] as const) {
      const shown = new Set(rows.filter((row) => row.split === split).map((row) => row.family.function));
      expect(rows.filter((row) => !shown.has(row.family.function)).map((row) => row.id)).toEqual([]);
    }
  });

  it('name every group under both labels about equally, so that no group gives the label away', () => {
    const lists = JSON.parse(readFileSync(join(import.meta.dirname, 'fillers.json'), 'utf8')) as Record<
      string,
      Group[]
    >;
    const named = gate === 'toxicity' ? lists['groups']! : kindsOfGroups.flatMap((kind) => lists[kind] ?? []);
    const uneven = named
      .map((group) => ({ people: group.people, share: toxicShare(rows, group) }))
      .filter(({ share }) => share < 0.3 || share > 0.7);
    expect(uneven).toEqual([]);
  });
});

const kindsOfGroups = gateForms['bias']!.categories.filter((kind) => kind !== 'none');

type Group = Record<'people' | 'person', string> & { readonly adj?: string };

/** The share of label 1 among the rows that name the group; 0.5 where none does. */
function toxicShare(rows: readonly Row[], { people, person, adj = people }: Group): number {
  const name = new RegExp(`\\b(${people}|${person}|${adj})\\b`, 'i');
  const found = rows.filter((row) => name.test(row.fields['text']!));
  return found.length === 0 ? 0.5 : found.filter((row) => row.family.label === 1).length / found.length;
}
