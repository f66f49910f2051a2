import { has } from './lexicon.js';
import { likenessOf } from './name-evidence.js';
import { isAfterArticle, isAfterPlacePreposition } from './neighbours.js';
import type { WordToken } from './word-tokens.js';

export const isAcronym = (words: readonly WordToken[]): boolean =>
  words.every((word) => word.shape === 'upper' && !(word.known & has.given));

const isGivenOnly = (word: WordToken): boolean => (word.known & has.given) !== 0 && likenessOf(word) === 'strong';

/**
 * Whether two or more words with capitals, or one with an initial, are a name.
 *
 * @param words those of `first` to `last` that are neither initials nor particles
 */
export function isFullName(
  tokens: readonly WordToken[],
  first: number,
  last: number,
  words: readonly WordToken[],
): boolean {
  if (isAcronym(words)) return words.length > 1 && words.every((word) => likenessOf(word) === 'strong');
  if (words.some(isGivenOnly)) return true;
  const kinds = words.map(likenessOf);
  const isAfterPlace = isAfterPlacePreposition(tokens, first);
  if (kinds.includes('strong')) return !isAfterPlace || (words[0]!.known & has.given) !== 0;
  if (!kinds.includes('unknown')) return !isAfterPlace && isNameOfWords(tokens, first, last, words);
  const hasInitial = last - first > words.length;
  if (hasInitial && words.length > 1) return true;
  if (isAfterPlace || isAfterArticle(tokens, first)) return false;
  return hasInitial || kinds.every((kind) => kind === 'unknown') || words.some((word) => word.known & has.given);
}

/** Words that are names too: "Grace Young" with a given name first and a surname behind it. */
function isNameOfWords(
  tokens: readonly WordToken[],
  first: number,
  last: number,
  words: readonly WordToken[],
): boolean {
  const head = words[0]!;
  const tail = words.at(-1)!;
  if (head.known & has.weakGiven || !(head.known & has.given) || !(tail.known & has.surname)) return false;
  const after = tokens[last];
  if (after?.shape === 'title' && after.gap === ' ') return false;
  return !(head.known & has.virtue && (tail.known & has.virtue || tokens[first]!.isFirst));
}
