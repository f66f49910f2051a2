import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expand, splitOf } from './expand.ts';
import { gateForms } from './gates.ts';
import { parseSeedFile, readSeeds, type Family } from './seeds.ts';
import { sizes } from './sizes.ts';
import { fill } from './template.ts';

const form = gateForms['crisis']!;

function seedFile(family: object, file: object = {}): string {
  const traits = { subject: 'self', tense: 'present', lang: 'en', texts: ['One.', 'Two.', 'Three.', 'Four.'] };
  const header = { function: 'weather', label: 0, category: 'none', severity: 0 };
  return JSON.stringify({ ...header, ...file, families: [{ family: 'rain', ...traits, ...family }] });
}

function familyOf(members: Partial<Family>): Family {
  return { family: 'rain', function: 'weather', lang: 'en', label: 0, ...members };
}

const texts = (families: Family[], options = {}) => expand(families, options).map((row) => row.fields['text']);

describe('a seed file', () => {
  const faults: [string, string, string][] = [
    ['an unknown member', seedFile({ mood: 'grey' }), 'rain.json: rain: family: Unrecognized key: "mood"'],
    [
      'a severity outside 0 to 6',
      seedFile({ severity: 7 }),
      'rain.json: rain: severity: Too big: expected number to be <=6',
    ],
    ['a category of another gate', seedFile({ category: 'stigma' }), 'rain.json: rain: category: "stigma" is none of'],
    ['a missing tense', seedFile({ tense: undefined }), 'rain.json: rain: tense: is missing'],
    ['a slot without fillers', seedFile({ templates: ['It {does}.'] }), 'rain.json: rain: templates.0: no slot "does"'],
    [
      'a slot without use',
      seedFile({ slots: { does: ['rains'] } }),
      'rain.json: rain: slots.does: no template uses it',
    ],
    ['an open bracket', seedFile({ templates: ['It [rains.'] }), 'rain.json: rain: templates.0: "[" is never closed'],
    [
      'brackets in a text',
      seedFile({ texts: ['It [rains|snows].', 'b', 'c', 'd'] }),
      'rain.json: rain: texts.0: brackets',
    ],
    ['a field of another gate', seedFile({ texts: [{ reply: 'Yes.' }, 'b', 'c', 'd'] }), 'texts.0: "text" is missing'],
    ['too few texts', seedFile({ texts: ['It rains.'] }), 'rain.json: rain: texts: fewer than 4'],
    ['what is not JSON', '{', 'rain.json: is not JSON'],
  ];
  it.each(faults)('is refused for %s, and file, family and field are named', (_fault, content, message) => {
    expect(() => parseSeedFile('rain.json', content, form)).toThrow(message);
  });

  it('gives its traits to families that have none of their own', () => {
    const [family] = parseSeedFile('rain.json', seedFile({ severity: 2 }, { severity: 1, label: 1 }), form);
    expect(family).toMatchObject({ function: 'weather', label: 1, severity: 2, category: 'none' });
  });
});

describe('a template', () => {
  it('takes a choice of a choice, and closes the gaps of empty ones', () => {
    const last = (count: number) => count - 1;
    expect(fill('It [will |]rain [today|[all|] day|]. Or [not|]!', () => '', last)).toBe('It rain. Or!');
    expect(
      fill(
        'It [will |]rain [all [the|this] day|].',
        () => '',
        () => 0,
      ),
    ).toBe('It will rain all the day.');
  });

  it('fills a slot that stands twice with the forms of one filler', () => {
    const slots = {
      who: [
        { name: 'Ann', her: 'her' },
        { name: 'Ben', her: 'his' },
      ],
    };
    const found = texts([familyOf({ slots, templates: ['{who.name} took {who.her} coat.'] })]);
    expect(found.sort()).toEqual(['Ann took her coat.', 'Ben took his coat.']);
  });
});

describe('the expander', () => {
  const many = familyOf({ texts: ['It rains.'], templates: ['[a|b|c|d|e] [a|b|c|d|e] [a|b|c|d|e]', '[x|y]'] });

  it('gives the same rows every time, and others for another seed', () => {
    expect(texts([many])).toEqual(texts([many]));
    expect(texts([many], { seed: 'other' })).not.toEqual(texts([many]));
  });

  it('gives no family more than its share, written texts first, and each template in turn', () => {
    const found = texts([many], { perFamily: 7 });
    expect(found).toHaveLength(7);
    expect(found[0]).toBe('It rains.');
    expect(found).toEqual(expect.arrayContaining(['x', 'y']));
  });

  it('gives a text once, whatever its letter case and punctuation', () => {
    expect(
      texts([familyOf({ texts: ['It rains.', 'it rains!'] }), familyOf({ family: 'more', texts: ['IT RAINS'] })]),
    ).toEqual(['It rains.']);
  });

  it('refuses one text under both labels', () => {
    const wet = familyOf({ family: 'wet', label: 1, texts: ['It rains.'] });
    expect(() => expand([wet, familyOf({ texts: ['it rains'] })])).toThrow('is labelled 1 and 0 by wet and rain');
  });

  it('keeps about a fifth of the families for validation, by name alone', () => {
    const names = Array.from({ length: 2_000 }, (_, at) => `family-${at}`);
    const kept = names.filter((each) => splitOf(each) === 'validation');
    expect(kept.length).toBeGreaterThan(320);
    expect(kept.length).toBeLessThan(480);
    expect(expand([many]).every((row) => row.split === splitOf('rain'))).toBe(true);
  });
});

describe('the crisis seeds', () => {
  const rows = expand(readSeeds(import.meta.dirname, 'crisis'));

  it('keep families of every function on both sides of the split', () => {
    const sides = (split: string) =>
      new Set(rows.filter((row) => row.split === split).map((row) => row.family.function));
    expect([...sides('validation')].sort()).toEqual([...sides('train')].sort());
  });

  it('hold at least 6,000 texts with a risk and 6,000 without', () => {
    expect(rows.filter((row) => row.family.label === 1).length).toBeGreaterThanOrEqual(6_000);
    expect(rows.filter((row) => row.family.label === 0).length).toBeGreaterThanOrEqual(6_000);
  });

  it('call a text without risk "none" and severity 0, and no other text', () => {
    for (const { family } of rows) {
      expect([family.family, family.category === 'none', family.severity === 0]).toEqual([
        family.family,
        family.label === 0,
        family.label === 0,
      ]);
    }
  });

  it('are counted right on the data card', () => {
    const card = readFileSync(join(import.meta.dirname, 'CARD.md'), 'utf8');
    for (const by of ['function', 'category', 'lang'] as const) expect(card).toContain(sizes(rows, by));
  });

  it('are written without brackets or slots left over', () => {
    expect(rows.filter((row) => /[[\]{}|]/.test(row.fields['text']!)).map((row) => row.id)).toEqual([]);
  });
});
