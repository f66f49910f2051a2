import { has } from './lexicon.js';
import { likenessOf } from './name-evidence.js';
import {
  actsAfter,
  isAddressed,
  isAfterArticle,
  isAmongEnglish,
  isAfterPlacePreposition,
  isVocative,
  speaksAfter,
  statesAfter,
} from './neighbours.js';
import type { WordToken } from './word-tokens.js';

/** Where one word stands, of a run of words with capitals from `from` to `end`. */
interface Place {
  readonly tokens: readonly WordToken[];
  readonly index: number;
  readonly from: number;
  readonly end: number;
}

/** Whether one word with a capital, which nothing announces, is a name. */
export function isSingleName(word: WordToken, place: Place): boolean {
  const { tokens, index } = place;
  if (word.known & has.weakGiven) return false;
  if (word.shape === 'upper') return (word.known & has.frequent) !== 0;
  const kind = likenessOf(word);
  const isGiven = (word.known & has.given) !== 0;
  if (kind === 'strong' && isGiven) {
    const isSure = word.isPossessive || actsAfter(tokens, index) || (word.known & has.frequent) !== 0;
    return isSure || !isAfterArticle(tokens, index);
  }
  if (isAfterArticle(tokens, index)) return false;
  if (kind !== 'ambiguous') return isRareName(word, place, kind === 'unknown');
  if (isJoined(tokens, index)) return true;
  return isGiven ? isNameAndWord(word, place) : isSurnameAndWord(word, place);
}

const isHeading = ({ tokens, index, from, end }: Place): boolean => end - from > 2 && !actsAfter(tokens, index);

/** A word that no list of words holds: at the start of a sentence it may be a slip of the pen. */
function isRareName(word: WordToken, place: Place, isUnknown: boolean): boolean {
  const { tokens, index } = place;
  if (
    isAfterPlacePreposition(tokens, index) ||
    (isUnknown && (isHeading(place) || index + 1 < place.end || !isAmongEnglish(tokens, index)))
  )
    return false;
  return (
    !word.isFirst ||
    actsAfter(tokens, index) ||
    statesAfter(tokens, index) ||
    word.isPossessive ||
    isAddressed(tokens, index)
  );
}

function isSurnameAndWord({ known, isFirst }: WordToken, place: Place): boolean {
  const { tokens, index } = place;
  if (!(known & has.surname) || known & has.calendar) return false;
  const isPlain = (known & (has.word | has.virtue | has.alsoPlace)) === 0;
  if (actsAfter(tokens, index) && (isPlain || !isFirst)) return true;
  return isPlain && !isFirst && !isHeading(place) && !isAfterPlacePreposition(tokens, index);
}

function isNameAndWord(word: WordToken, place: Place): boolean {
  const { tokens, index, from, end } = place;
  if (isVocative(tokens, index)) return true;
  const acts = actsAfter(tokens, index);
  if (word.known & has.alsoPlace && (isAfterPlacePreposition(tokens, index) || word.known & has.neverName))
    return false;
  if (word.known & has.calendar) return acts;
  const isVirtue = (word.known & has.virtue) !== 0;
  if (word.isFirst)
    return (
      speaksAfter(tokens, index) ||
      (!isVirtue && (acts || (statesAfter(tokens, index) && tokens[index + 1]!.low !== 'and')))
    );
  if (acts && !isHeading(place)) return true;
  return (from + 1 === end || tokens[from] === word) && !isHeading(place) && isLoneCapital(word, tokens, index);
}

/** "Usamov and Bowers" */
function isJoined(tokens: readonly WordToken[], index: number): boolean {
  const [head, and] = [tokens[index - 2], tokens[index - 1]];
  if (and?.low !== 'and' || head === undefined || head.shape !== 'title') return false;
  if (and.gap !== ' ' || tokens[index]!.gap !== ' ') return false;
  const isSure = likenessOf(head) === 'strong' || likenessOf(head) === 'unknown';
  return isSure && (tokens[index]!.known & (has.given | has.surname)) !== 0;
}

/** "I told Will that": among words in lower case a capital means a name; not so between others with capitals. */
function isLoneCapital(word: WordToken, tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  const after = tokens[index + 1];
  if (before === undefined || (before.shape !== 'lower' && before.low !== 'i' && !before.isFirst)) return false;
  if (!(word.known & has.virtue)) return true;
  const isCompanion = (before.known & (has.personPreposition | has.personVerb)) !== 0;
  return isCompanion && (after === undefined || after.shape === 'lower');
}
