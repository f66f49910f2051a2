import { heldOutConditions } from './pairs.ts';
import { fieldsOf, type Family, type Filler, type Item } from './seeds.ts';
import { fill, type Choose } from './template.ts';

/** One labelled text, or pair of texts, of the development set. */
export interface Row {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly split: 'train' | 'validation';
  readonly family: Family;
}

export interface ExpandOptions {
  /** Most rows that one family gives. Default 25. */
  readonly perFamily?: number;
  /** Any text; another seed gives other fillings, and the same split. */
  readonly seed?: string;
}

// Of 400,000 tries the one under which every function of the crisis seeds has families on both sides, and most languages too.
const splitSalt = 129_959;
const validationShare = 5;
const vainDraws = 40;

/**
 * Rows of all families: written texts first, then fillings of the templates in turn. Equal texts (letter case and punctuation aside)
 * come once. The same seeds and options always give the same rows.
 * @throws Error when one text stands under both labels.
 */
export function expand(families: readonly Family[], options: ExpandOptions = {}): Row[] {
  const { perFamily = 25, seed = 'sluice' } = options;
  const seen = new Map<string, Row>();
  const rows: Row[] = [];
  for (const family of families) {
    const split = sideOf(family);
    let count = 0;
    for (const fields of fillings(family, chooser(`${seed}/${family.family}`))) {
      if (count === perFamily) break;
      const key = keyOf(fields);
      const before = seen.get(key);
      if (before !== undefined) {
        if (before.family.label === family.label) continue;
        throw new Error(`"${key}" is labelled 1 and 0 by ${before.family.family} and ${family.family}`);
      }
      count += 1;
      const row: Row = { id: `${family.family}/${count}`, fields, split, family };
      seen.set(key, row);
      rows.push(row);
    }
  }
  return rows;
}

/** Every fifth family, by hash of its name, is for validation. It depends on nothing else, so that a family never changes sides. */
export function splitOf(family: string, salt = splitSalt): Row['split'] {
  return hash(`${salt}/${family}`) % validationShare === 0 ? 'validation' : 'train';
}

/** Both parts of a pair fall on one side, and so does all of a held-out condition. */
export function sideOf({ family, pair, condition = '', splitSalt: salt }: Family): Row['split'] {
  return heldOutConditions.includes(condition) ? 'validation' : splitOf(pair ?? family, salt);
}

function* fillings(family: Family, choose: Choose): Generator<Record<string, string>> {
  const { texts = [], templates = [], slots = {} } = family;
  for (const text of texts) yield fieldsOf(text);
  const seen = new Set<string>();
  let open = [...templates];
  while (open.length > 0) {
    const still: Item[] = [];
    for (const template of open) {
      for (let draw = 0; draw < vainDraws; draw += 1) {
        const fields = fillTemplate(template, slots, choose);
        const key = keyOf(fields);
        if (seen.has(key)) continue;
        seen.add(key);
        yield fields;
        still.push(template);
        break;
      }
    }
    open = still;
  }
}

/** The fields of a template, filled once. */
export function fillTemplate(template: Item, slots: Record<string, Filler[]>, choose: Choose): Record<string, string> {
  // A slot that stands twice is filled once, so that people and pronouns agree over all fields.
  const chosen = new Map<string, Filler>();
  const slot = ({ name, form }: { name: string; form: string | undefined }) => {
    const fillers = slots[name]!;
    const filler = chosen.get(name) ?? fillers[choose(fillers.length)]!;
    chosen.set(name, filler);
    return typeof filler === 'string' ? filler : filler[form!]!;
  };
  return Object.fromEntries(
    Object.entries(fieldsOf(template)).map(([field, text]) => [field, fill(text, slot, choose)]),
  );
}

function keyOf(fields: Record<string, string>): string {
  return Object.values(fields)
    .map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
        .trim(),
    )
    .join(' / ');
}

/** FNV-1a, 32 bits, over UTF-16 units (http://www.isthe.com/chongo/tech/comp/fnv/), with the finaliser of MurmurHash3. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Mulberry32: small, seeded, the same everywhere. */
export function chooser(seed: string): Choose {
  let state = hash(seed);
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * count);
  };
}
