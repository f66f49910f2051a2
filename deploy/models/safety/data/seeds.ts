import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { namedFillers } from './fillers.ts';
import { gateForms, type GateForm } from './gates.ts';
import { pairFileSchema, unfoldPairs } from './pairs.ts';
import { slotsOf } from './template.ts';

const name = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words with hyphens');
const item = z.union([z.string().min(1), z.record(z.string(), z.string().min(1))]);
const filler = z.union([z.string(), z.record(z.string(), z.string())]);
const fillers = z.preprocess(namedFillers, z.array(filler).min(1));
const traits = {
  label: z.union([z.literal(0), z.literal(1)]),
  category: z.string(),
  severity: z.int().min(0).max(6),
  subject: z.enum(['self', 'other', 'quoted', 'simulated']),
  tense: z.enum(['present', 'past', 'future', 'hypothetical']),
};
const familySchema = z.strictObject({
  family: name,
  lang: z.string().regex(/^[a-z]{2}$/, 'must be a two-letter language code'),
  ...z.object(traits).partial().shape,
  condition: name.optional(),
  pair: name.optional(),
  slots: z.record(z.string(), fillers).optional(),
  templates: z.array(item).optional(),
  texts: z.array(item).optional(),
});
const seedSchema = z.strictObject({
  function: name,
  ...z.object(traits).partial().shape,
  label: traits.label,
  families: z.array(familySchema).min(1),
});

/** A text or template: a sentence, or one sentence for each field of the gate. */
export type Item = z.infer<typeof item>;
/** What a slot may be filled with: a word, or forms that belong together (`{who.he}`, `{who.his}`). */
export type Filler = z.infer<typeof filler>;
type SeedFile = z.infer<typeof seedSchema>;
/** A family with the traits that it takes over from its file. */
export type Family = SeedFile['families'][number] & {
  readonly function: string;
  readonly label: 0 | 1;
  readonly splitSalt?: number;
};

const leastItems = 4;

/**
 * Families of one seed file, checked against the form of its gate.
 * @throws Error that names the file, the family and the field of every fault.
 */
export function parseSeedFile(file: string, content: string, form: GateForm): Family[] {
  let raw: unknown;
  try {
    raw = JSON.parse(content);
  } catch (cause) {
    throw new Error(`${file}: is not JSON: ${(cause as Error).message}`, { cause });
  }
  const { families, ...inherited } = parse(
    file,
    seedSchema,
    form.pairs === true ? unfoldPairs(parse(file, pairFileSchema, raw)) : raw,
  );
  const splitSalt = form.splitSalt === undefined ? {} : { splitSalt: form.splitSalt };
  const whole = families.map((family) => ({ ...inherited, ...family, ...splitSalt }));
  const faults = whole.flatMap((family) =>
    faultsOf(family, form).map((fault) => `${file}: ${family.family}: ${fault}`),
  );
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return whole;
}

/**
 * All families of one gate, in the order of their files' names.
 * @throws Error for a gate without a form, a faulty file, or a name that two families bear.
 */
export function readSeeds(dataFolder: string, gate: string): Family[] {
  const form = gateForms[gate];
  if (form === undefined) throw new Error(`gate "${gate}" has no form: add it to gates.ts`);
  const folder = join(dataFolder, gate);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'));
  const homes = new Map<string, string>();
  return files.sort().flatMap((file) => {
    const shown = relative(dataFolder, join(folder, file));
    const families = parseSeedFile(shown, readFileSync(join(folder, file), 'utf8'), form);
    for (const { family } of families) {
      const home = homes.get(family);
      if (home !== undefined) throw new Error(`${shown}: ${family}: family: is already in ${home}, rename one`);
      homes.set(family, shown);
    }
    return families;
  });
}

function parse<T>(file: string, schema: z.ZodType<T>, raw: unknown): T {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${file}: ${place(raw, issue.path)}: ${issue.message}`);
  throw new Error(faults.join('\n'));
}

/** The family's name and the member, as an author finds it: `families[3].slots.who` becomes `pi-04: slots.who`. */
function place(raw: unknown, path: readonly PropertyKey[]): string {
  const [head, index, ...rest] = path;
  if (head !== 'families' || typeof index !== 'number') return path.map(String).join('.') || 'file';
  const family = (raw as { families: { family?: unknown }[] }).families[index]?.family;
  return `${typeof family === 'string' ? family : `family ${index}`}: ${rest.map(String).join('.') || 'family'}`;
}

function faultsOf(family: Family, form: GateForm): string[] {
  const faults: string[] = [];
  for (const need of form.needs) if (family[need] === undefined) faults.push(`${need}: is missing`);
  if (family.category !== undefined && !form.categories.includes(family.category)) {
    faults.push(`category: "${family.category}" is none of ${form.categories.join(', ')}`);
  }
  const { texts = [], templates = [], slots = {} } = family;
  if (texts.length + templates.length < leastItems) faults.push(`texts: fewer than ${leastItems} texts and templates`);
  for (const [kind, items] of Object.entries({ texts, templates })) {
    items.forEach((each, index) => faults.push(...itemFaults(`${kind}.${index}`, each, form)));
  }
  const used = new Set<string>();
  templates.forEach((template, index) => {
    for (const text of Object.values(fieldsOf(template))) {
      try {
        for (const slot of slotsOf(text)) {
          used.add(slot.name);
          const fillers = slots[slot.name];
          if (fillers === undefined) faults.push(`templates.${index}: no slot "${slot.name}"`);
          else if (!fillers.every((each) => hasForm(each, slot.form))) {
            faults.push(`slots.${slot.name}: not every filler has the form that templates.${index} asks for`);
          }
        }
      } catch (error) {
        faults.push(`templates.${index}: ${(error as Error).message}`);
      }
    }
  });
  for (const slot of Object.keys(slots)) if (!used.has(slot)) faults.push(`slots.${slot}: no template uses it`);
  return faults;
}

function hasForm(filler: Filler, form: string | undefined): boolean {
  return typeof filler === 'string' ? form === undefined : form !== undefined && filler[form] !== undefined;
}

function itemFaults(at: string, each: Item, form: GateForm): string[] {
  const has = Object.keys(fieldsOf(each));
  const faults: string[] = [];
  for (const field of form.fields) if (!has.includes(field)) faults.push(`${at}: "${field}" is missing`);
  for (const field of has) if (!form.fields.includes(field)) faults.push(`${at}: unknown member "${field}"`);
  if (at.startsWith('texts') && Object.values(fieldsOf(each)).some((text) => /[[\]{}|]/.test(text))) {
    faults.push(`${at}: brackets belong into templates`);
  }
  return faults;
}

/** An item by field; a bare sentence is the field `text`. */
export function fieldsOf(each: Item): Record<string, string> {
  return typeof each === 'string' ? { text: each } : each;
}
