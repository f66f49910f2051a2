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

/** "Warrane, can I ...": somebody is spoken to. */
export function isAddressed(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  return (
    after?.gap === ', ' && /^(?:can|could|please|what|how|are|do|you|i|we|will|would|if|don't|it|let)$/.test(after.low)
  );
}

/** "Don't go to town, Mark!" */
export function isVocative(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  const ends = after === undefined ? tokens.length > 3 : /^[!?.]/.test(after.gap);
  return tokens[index]!.gap === ', ' && ends && !(tokens[index]!.known & has.calendar);
}
