import { z } from 'zod';

const name = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower-case words with hyphens');
const sentences = z.array(z.string().min(1)).min(1);

/** The form of a file of contexts and replies, as its authors write it. */
export const pairFileSchema = z.strictObject({
  function: name,
  category: z.string(),
  families: z
    .array(
      z.strictObject({
        family: name,
        condition: name,
        lang: z.string(),
        replies: z.enum(['own', 'any']).default('own'),
        framed: z.boolean().default(false),
        slots: z.record(z.string(), z.array(z.string())).optional(),
        contexts: sentences,
        ordinary: sentences.optional(),
        unsafe: sentences.optional(),
        safe: sentences,
      }),
    )
    .min(1),
});

type PairFile = z.infer<typeof pairFileSchema>;
type PairFamily = PairFile['families'][number];
interface Pair {
  readonly context: string;
  readonly reply: string;
}

/** Conditions that are wholly for validation, so that quality on conditions without any training text can be measured. */
export const heldOutConditions: readonly string[] = ['eating-disorder', 'postpartum'];

/**
 * A file of contexts and replies as an ordinary seed file: each family becomes one of unsafe replies, one of safe ones, and one of the same
 * "unsafe" replies after ordinary contexts, where they are safe.
 */
export function unfoldPairs({ families, ...file }: PairFile): object {
  return { ...file, label: 0, families: families.flatMap((family) => unfold(family, file.category)) };
}

function unfold(family: PairFamily, category: string): object[] {
  const { contexts, ordinary = [], unsafe = [], safe, replies, framed } = family;
  const parts = [
    { part: 'unsafe', label: 1, category, pairs: pairsOf(contexts, unsafe, replies) },
    { part: 'safe', label: 0, category: 'none', pairs: pairsOf(contexts, safe, replies) },
    { part: 'ordinary', label: 0, category: 'none', pairs: pairsOf(ordinary, unsafe, 'any') },
  ];
  return parts
    .filter(({ pairs }) => pairs.length > 0)
    .map(({ part, label, category: kind, pairs }) => ({
      family: `${family.family}-${part}`,
      pair: family.family,
      condition: family.condition,
      lang: family.lang,
      label,
      category: kind,
      ...slotsOf(family, pairs),
      templates: framed ? pairs.flatMap((pair) => [pair, frame(pair)]) : pairs,
    }));
}

/** The same reply among kind phrases, which stand around safe and unsafe replies alike. */
function frame({ context, reply }: Pair): Pair {
  return { context, reply: `{opening} ${reply} [{closing}|]` };
}

/** With `own`, a reply answers the context of its place, and replies beyond the last context answer any. */
function pairsOf(contexts: readonly string[], replies: readonly string[], answers: PairFamily['replies']): Pair[] {
  const fits = (context: number, reply: number) => answers === 'any' || reply === context || reply >= contexts.length;
  const pairs = replies.flatMap((reply, place) =>
    contexts.map((context, at) => ({
      context,
      reply,
      fit: fits(at, place),
      turn: (place - at + replies.length) % replies.length,
    })),
  );
  // In turns, so that a share of the pairs holds every context and every reply.
  return pairs
    .filter(({ fit }) => fit)
    .sort((one, other) => one.turn - other.turn)
    .map(({ context, reply }) => ({ context, reply }));
}

function slotsOf({ slots = {}, framed }: PairFamily, pairs: readonly Pair[]): { slots?: object } {
  const own = Object.entries(slots).filter(([slot]) =>
    pairs.some(({ context, reply }) => `${context} ${reply}`.includes(`{${slot}}`)),
  );
  const all = { ...Object.fromEntries(own), ...(framed && { opening: 'openings', closing: 'closings' }) };
  return Object.keys(all).length === 0 ? {} : { slots: all };
}
