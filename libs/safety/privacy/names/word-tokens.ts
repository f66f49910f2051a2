import { folded, has, knownOf } from './lexicon.js';

export type Shape = 'lower' | 'title' | 'upper';

/** One word, its offsets in the text without a possessive 's. */
export interface WordToken {
  readonly start: number;
  readonly end: number;
  readonly low: string;
  readonly shape: Shape;
  readonly known: number;
  /** First of a sentence, a line or a quotation: its capital says nothing. */
  readonly isFirst: boolean;
  /** What stands between the word before and this one. */
  readonly gap: string;
  readonly isPossessive: boolean;
  /** Words of the structured and address spans, and placeholders: no part of a name. */
  readonly isTaken: boolean;
}

const wordPattern = /[\p{L}\p{M}]+(?:['’-][\p{L}\p{M}]+)*/gu;
const longestWord = 40;
const longestGap = 12;

/** @param taken spans that are not to be looked into, in order of their start */
export function wordTokens(text: string, taken: readonly { start: number; end: number }[]): WordToken[] {
  const tokens: WordToken[] = [];
  let last = 0;
  let next = 0;
  let previous: WordToken | undefined;
  for (const match of text.matchAll(wordPattern)) {
    const [found] = match;
    const start = match.index;
    const isPossessive = /['’][sS]$/.test(found);
    const word = isPossessive ? found.slice(0, -2) : found;
    const end = start + word.length;
    while (next < taken.length && taken[next]!.end <= start) next += 1;
    const gap = text.slice(last, Math.min(start, last + longestGap));
    const token: WordToken = {
      start,
      end,
      ...lookOf(word),
      isFirst: previous === undefined || startsSentence(gap, previous),
      gap,
      isPossessive,
      isTaken: next < taken.length && taken[next]!.start < end,
    };
    tokens.push(token);
    previous = token;
    last = start + found.length;
  }
  return tokens;
}

function lookOf(word: string): Pick<WordToken, 'low' | 'shape' | 'known'> {
  if (word.length > longestWord) return { low: '', shape: shapeOf(word), known: has.neverName };
  // Most words are so, and need no closer look.
  if (/^[a-z]+$/.test(word)) return { low: word, shape: 'lower', known: knownOf(word) };
  const low = folded(word);
  return { low, shape: shapeOf(word), known: isGlued(word) ? has.neverName : knownOfCompound(low, word) };
}

/** "BrainChemicals": two words that lost their space. Not so "McDonald", "DeShawn", "O'Neill" and "Anne-Marie". */
const isGlued = (word: string): boolean =>
  /\p{Ll}\p{Lu}/u.test(word.replace(/^(?:Mc|Mac|De|La|Le|Fitz|Van|Da|Di|Du)(?=\p{Lu})/u, ''));

/** "Anne-Marie" and "O'Brien" are known by their parts, where the whole is not. */
function knownOfCompound(low: string, word: string): number {
  const whole = knownOf(low);
  if (whole !== 0 || !/['’-]/.test(low)) return whole;
  // "Self-harm", but "Jean-luc" is a name as careless people write it.
  if (/-\p{Ll}/u.test(word) && /^\p{Lu}/u.test(word) && knownOf(low.slice(low.indexOf('-') + 1)) & has.word)
    return has.word;
  const parts = low.split(/['’-]/);
  if (parts.length > 3) return has.neverName;
  const known = parts.map((part) => (part.length < 3 ? has.particle : knownOf(part)));
  const names = has.given | has.surname;
  if (known.some((bits) => bits & has.word && !(bits & names))) return has.word;
  // Contractions ("i'll") and words with a prefix ("re-read") are no names; "O'Brien" is.
  if (known.every((bits) => bits === 0 || bits & (names | has.particle))) {
    const any = known.reduce((bits, more) => bits | more, 0) & (names | has.word | has.proper | has.calendar);
    return /^(?:i|you|he|she|it|we|they|who|that|what|there|y)['’]/.test(low) ? has.word : any;
  }
  return has.word;
}

function shapeOf(word: string): Shape {
  const first = word[0]!;
  if (first.toLowerCase() === first)
    return /^(?:al|el|ad|ar|as|at|an|bin|ibn|ben|d|l)[-'’]\p{Lu}/u.test(word) ? 'title' : 'lower';
  if (word.length > 1 && (word.toUpperCase() === word || /^\p{Lu}{2,}s$/u.test(word))) return 'upper';
  return 'title';
}

function startsSentence(gap: string, before: WordToken): boolean {
  if (/[!?\n\r:;“”"|>•*()[\]…–—]/.test(gap)) return true;
  if (!gap.includes('.')) return false;
  // The full stop of a title or an initial ends no sentence.
  const isAbbreviation = (before.known & has.title) !== 0 && before.shape !== 'lower' && before.end - before.start < 6;
  return !(isAbbreviation || before.end - before.start === 1 || before.low === 'st');
}
