import { describe, expect, it } from 'vitest';
import { expand } from './expand.ts';
import { gateForms } from './gates.ts';
import { heldOutConditions } from './pairs.ts';
import { parseSeedFile, readSeeds } from './seeds.ts';

const form = gateForms['appropriateness']!;
const rain = {
  family: 'rain',
  condition: 'grief',
  lang: 'en',
  contexts: ['It rains.', 'It pours.'],
  ordinary: ['It rains in the film.', 'The tap drips.'],
  unsafe: ['Dance, {who}!', 'Swim!', 'So what?'],
  safe: ['Take a coat.', 'Stay in.', 'Keep dry.'],
  slots: { who: ['Ann'] },
};

function rowsOf(family: object) {
  const file = { function: 'weather', category: 'hostile', families: [{ ...rain, ...family }] };
  return expand(parseSeedFile('rain.json', JSON.stringify(file), form));
}

function pairs(family: object, label: 0 | 1) {
  return rowsOf(family)
    .filter((row) => row.family.label === label)
    .map((row) => `${row.fields['context']} > ${row.fields['reply']}`)
    .sort();
}

describe('a family of contexts and replies', () => {
  it('gives each reply to the context of its place, and replies beyond the last context to all', () => {
    expect(pairs({}, 1)).toEqual([
      'It pours. > So what?',
      'It pours. > Swim!',
      'It rains. > Dance, Ann!',
      'It rains. > So what?',
    ]);
  });

  it('gives any reply to any context where the replies are for any', () => {
    expect(pairs({ replies: 'any' }, 1)).toHaveLength(6);
  });

  it('labels the unsafe replies as safe after ordinary contexts', () => {
    expect(pairs({}, 0)).toEqual([
      'It pours. > Keep dry.',
      'It pours. > Stay in.',
      'It rains in the film. > Dance, Ann!',
      'It rains in the film. > So what?',
      'It rains in the film. > Swim!',
      'It rains. > Keep dry.',
      'It rains. > Take a coat.',
      'The tap drips. > Dance, Ann!',
      'The tap drips. > So what?',
      'The tap drips. > Swim!',
    ]);
  });

  it('puts kind phrases around safe and unsafe replies alike when it is framed', () => {
    const plain = new Set([...pairs({}, 0), ...pairs({}, 1)]);
    for (const label of [0, 1] as const) {
      const found = pairs({ framed: true }, label);
      const framed = found.filter((pair) => !plain.has(pair));
      expect(framed.length).toBeGreaterThanOrEqual(found.length / 2);
      expect(framed.every((pair) => [...plain].some((bare) => pair.includes(bare.split(' > ')[1]!)))).toBe(true);
    }
  });

  it('falls on one side with all its parts', () => {
    for (const family of ['rain', 'snow', 'hail', 'fog', 'wind', 'sun', 'ice', 'dew']) {
      expect(new Set(rowsOf({ family }).map((row) => row.split)).size).toBe(1);
    }
  });

  it.each(heldOutConditions)('is for validation if its condition is %s', (condition) => {
    for (const family of ['rain', 'snow', 'hail', 'fog']) {
      expect(new Set(rowsOf({ family, condition }).map((row) => row.split))).toEqual(new Set(['validation']));
    }
  });

  it('is refused with its name and member when a context is empty', () => {
    expect(() => rowsOf({ contexts: [''] })).toThrow('rain.json: rain: contexts.0: ');
  });
});

describe('the appropriateness seeds', () => {
  const rows = expand(readSeeds(import.meta.dirname, 'appropriateness'));
  const unsafe = rows.filter((row) => row.family.label === 1);

  it('hold more than 3,000 pairs, over a third of them unsafe', () => {
    expect(rows.length).toBeGreaterThan(3_000);
    expect(unsafe.length / rows.length).toBeGreaterThan(1 / 3);
  });

  it('answer every context of an unsafe reply safely too', () => {
    const answered = new Set(
      rows.filter((row) => row.family.label === 0).map((row) => `${row.family.pair}/${row.fields['context']}`),
    );
    const open = unsafe.filter((row) => !answered.has(`${row.family.pair}/${row.fields['context']}`));
    expect(open.map((row) => row.id)).toEqual([]);
  });

  it('show every kind of unsafe reply in training and in validation', () => {
    const kinds = (split: string) => [...new Set(unsafe.filter((row) => row.split === split).map(kindOf))].sort();
    const all = form.categories.filter((kind) => kind !== 'none').sort();
    expect(kinds('train')).toEqual(all);
    expect(kinds('validation')).toEqual(all);
  });

  it('have unsafe and safe replies of every held-out condition', () => {
    for (const condition of heldOutConditions) {
      const labels = rows.filter((row) => row.family.condition === condition).map((row) => row.family.label);
      expect(new Set(labels)).toEqual(new Set([0, 1]));
    }
  });
});

function kindOf(row: { family: { category?: string | undefined } }): string {
  return row.family.category!;
}
