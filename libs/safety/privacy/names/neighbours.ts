import { has } from './lexicon.js';
import { isInitial } from './name-evidence.js';
import type { WordToken } from './word-tokens.js';

/** Whether two words follow one another as the parts of one name do. */
export const joins = (token: WordToken, before: WordToken): boolean =>
  /^ {1,3}$|^\u00a0$|^-$/.test(token.gap) ||
  (/^\. ?$/.test(token.gap) && (isInitial(before) || (before.known & has.title) !== 0));

function follows(tokens: readonly WordToken[], index: number, bits: number): boolean {
  const after = tokens[index + 1];
  return after !== undefined && after.gap === ' ' && after.shape === 'lower' && (after.known & bits) !== 0;
}

/** "Anna told", "Shovda began" */
export const actsAfter = (tokens: readonly WordToken[], index: number): boolean =>
  follows(tokens, index, has.personVerb);
/** "Hope said" */
export const speaksAfter = (tokens: readonly WordToken[], index: number): boolean =>
  follows(tokens, index, has.speechVerb);
/** "Anna is", "Anna and" */
export const statesAfter = (tokens: readonly WordToken[], index: number): boolean =>
  follows(tokens, index, has.stateVerb);

function precedes(tokens: readonly WordToken[], index: number, bits: number): boolean {
  const before = tokens[index - 1];
  return before !== undefined && (before.known & bits) !== 0 && tokens[index]!.gap === ' ';
}

export const isAfterArticle = (tokens: readonly WordToken[], index: number): boolean =>
  precedes(tokens, index, has.determiner);
export const isAfterPlacePreposition = (tokens: readonly WordToken[], index: number): boolean =>
  tokens[index - 1]?.shape === 'lower' && precedes(tokens, index, has.placePreposition);

const nearbyWords = 5;

/** Whether the words around are English: in another language most words are in no list, and so look like names. */
export function isAmongEnglish(tokens: readonly WordToken[], index: number): boolean {
  let lower = 0;
  let english = 0;
  for (let at = Math.max(0, index - nearbyWords); at < Math.min(tokens.length, index + nearbyWords + 1); at += 1) {
    const { shape, known, end, start } = tokens[at]!;
    if (at === index || shape !== 'lower' || end - start < 2) continue;
    lower += 1;
    if (known & has.word && !(known & has.neverName)) english += 1;
  }
  return lower < 3 || english >= lower * 0.6;
}

/** "Warrane, can I ...": somebody is spoken to. */
export function isAddressed(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  return after?.gap === ', ' && /^(?:can|could|please|what|how|are|do|you)$/.test(after.low);
}

/** "Don't go to town, Mark!" */
export function isVocative(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  const ends = after === undefined ? tokens.length > 3 : /^[!?.]/.test(after.gap);
  return tokens[index]!.gap === ', ' && ends && !(tokens[index]!.known & has.calendar);
}
