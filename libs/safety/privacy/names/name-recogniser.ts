import type { PersonalSpan } from '../personal-kinds.js';
import { isAcronym, isFullName } from './full-name.js';
import { withLaterMentions } from './later-mentions.js';
import { has } from './lexicon.js';
import { lowerCaseName } from './lower-case-name.js';
import {
  hasLabelBefore,
  hasRelationBefore,
  introductionBefore,
  isInitial,
  likenessOf,
  surroundingsSayName,
} from './name-evidence.js';
import { joins } from './neighbours.js';
import { isSingleName } from './single-name.js';
import type { WordToken } from './word-tokens.js';

const longestName = 6;

/** Names of people: words with a capital that lists, neighbours and form speak for, and words in lower case after a sure cue. */
export function findNames(text: string, tokens: readonly WordToken[]): readonly PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  const shouts = isShouted(tokens);
  for (let index = 0; index < tokens.length;) {
    const token = tokens[index]!;
    if (token.isTaken) {
      index += 1;
      continue;
    }
    const end = isCapital(token, shouts) ? runEnd(tokens, index, shouts) : index;
    if (end > index) {
      spans.push(...namesOfRun(text, tokens, index, end));
      index = end;
    } else {
      const until = lowerCaseName(text, tokens, index);
      if (until > index) spans.push({ type: 'name', start: token.start, end: tokens[until - 1]!.end });
      index = Math.max(until, index + 1);
    }
  }
  return withLaterMentions(text, tokens, spans);
}

/** In a text all in capitals a capital says as little as in one without any. */
function isShouted(tokens: readonly WordToken[]): boolean {
  let upper = 0;
  let long = 0;
  for (const { shape, start, end } of tokens) {
    if (end - start < 3) continue;
    long += 1;
    if (shape === 'upper') upper += 1;
  }
  return long > 3 && upper > long * 0.7;
}

const isCapital = (token: WordToken, shouts: boolean): boolean =>
  token.shape === 'title' || (token.shape === 'upper' && !shouts);

/** Words with capitals one after the other, particles of names between them. @returns the index after the last */
function runEnd(tokens: readonly WordToken[], from: number, shouts: boolean): number {
  let end = from + 1;
  for (let index = from + 1; index < tokens.length; index += 1) {
    const token = tokens[index]!;
    const before = tokens[index - 1]!;
    if (token.isTaken || before.isPossessive || !joins(token, before)) break;
    if (isCapital(token, shouts)) end = index + 1;
    else if (!(token.known & has.particle) || index - end > 2) break;
  }
  return end;
}

/** A run may hold other words with capitals: "When Anna", "Hello Mr. Smith", "Cognitive Behavioral Therapy". */
function namesOfRun(text: string, tokens: readonly WordToken[], from: number, end: number): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  let start = from;
  while (start < end) {
    if (!mayBePart(tokens, start)) {
      start += 1;
      continue;
    }
    let stop = start + 1;
    while (stop < end && (mayBePart(tokens, stop) || (tokens[stop]!.known & has.particle && stop + 1 < end))) stop += 1;
    const [first, last] = trimmed(tokens, start, stop);
    if (last > first && last - first <= longestName && isName(text, { tokens, first, last, from, end })) {
      spans.push({ type: 'name', start: tokens[first]!.start, end: withSuffix(text, tokens[last - 1]!) });
    }
    start = stop;
  }
  return spans;
}

function mayBePart(tokens: readonly WordToken[], index: number): boolean {
  const token = tokens[index]!;
  if (isInitial(token)) return true;
  if (token.low === 'i' && token.shape === 'title') {
    const before = tokens[index - 1];
    const isPoint = tokens[index + 1]?.gap.startsWith('.') === true;
    return isPoint && before !== undefined && likenessOf(before) !== 'none' && before.shape === 'title';
  }
  if (token.shape === 'lower') return false;
  return likenessOf(token) !== 'none' || isWordAsSurname(tokens, index);
}

/** "Justin Beet", "Jildau S Bouts": what follows a given name or an initial, and ends the run, is a surname whatever it means. */
function isWordAsSurname(tokens: readonly WordToken[], index: number): boolean {
  const token = tokens[index]!;
  const before = tokens[index - 1];
  const barred =
    has.neverName | has.determiner | has.greeting | has.calendar | has.organisation | has.title | has.relation;
  if (
    before === undefined ||
    before.isPossessive ||
    token.shape !== 'title' ||
    token.known & barred ||
    !joins(token, before)
  )
    return false;
  const after = tokens[index + 1];
  if (after !== undefined && after.shape !== 'lower' && joins(after, token)) return false;
  if (!isInitial(before)) return (before.known & has.given) !== 0 && likenessOf(before) === 'strong';
  return index > 1 && joins(before, tokens[index - 2]!) && likenessOf(tokens[index - 2]!) !== 'none';
}

/** A word that is mostly something else begins no name at the start of a sentence, unless a surname follows. */
function trimmed(tokens: readonly WordToken[], from: number, end: number): [number, number] {
  let [first, last] = [from, end];
  while (first < last && (tokens[first]!.low === 'i' || (isInitial(tokens[first]!) && last - first === 1))) first += 1;
  while (last - first > 1 && isFalseStart(tokens[first]!, tokens[first + 1]!)) first += 1;
  while (last > first && tokens[last - 1]!.shape === 'lower') last -= 1;
  return [first, last];
}

function isFalseStart(token: WordToken, next: WordToken): boolean {
  const isMostlyWord =
    (token.known & (has.virtue | has.weakGiven)) !== 0 ||
    ((token.known & has.word) !== 0 && !(token.known & has.given));
  if (!token.isFirst || !isMostlyWord || likenessOf(next) === 'ambiguous') return false;
  const isSurname = likenessOf(next) === 'strong' && !(next.known & has.given);
  return !(isSurname && token.known & has.given && !(token.known & has.virtue));
}

/** The full stop of a last initial, and what stands behind a name: "Jr.", "III", "MD". */
function withSuffix(text: string, token: WordToken): number {
  const after = text.slice(token.end, token.end + 8);
  const suffix =
    /^(?:,? (?:Jr\.?|Sr\.?|II|III|IV|MD|PhD|DDS|DVM)(?![\p{L}\p{N}])|\.(?= [a-z]|,))/u.exec(after)?.[0] ?? '';
  return suffix === '.' && !isInitial(token) ? token.end : token.end + suffix.length;
}

/** Words from `first` to `last` of the run from `from` to `end`; the ends are exclusive. */
interface Candidate {
  readonly tokens: readonly WordToken[];
  readonly first: number;
  readonly last: number;
  readonly from: number;
  readonly end: number;
}

function isName(text: string, candidate: Candidate): boolean {
  const { tokens, first, last, from, end } = candidate;
  const words = tokens.slice(first, last).filter((token) => !isInitial(token) && token.shape !== 'lower');
  if (words.length === 0) return false;
  if (hasTitleBefore(tokens, first, words)) return true;
  if (isOrganisationNear(candidate)) return false;
  if (hasLabelBefore(tokens, first) || surroundingsSayName(text, tokens[first]!.start, tokens[last - 1]!.end)) {
    return hasNameWord(words) && isMoreThanSurname(words) && !isAcronym(words);
  }
  const introduced = introductionBefore(tokens, first);
  if (introduced !== undefined || hasRelationBefore(tokens, first)) {
    return hasNameWord(words) && (introduced === 'sure' || (isMoreThanSurname(words) && !isAcronym(words)));
  }
  if (last - first > 1) return isFullName(tokens, first, last, words);
  return isSingleName(words[0]!, { tokens, index: first, from, end });
}

/** "Dr. Who", but not "Mother May I": a relation is a title only before what is surely a name. */
function hasTitleBefore(tokens: readonly WordToken[], first: number, words: readonly WordToken[]): boolean {
  const before = tokens[first - 1];
  if (before === undefined || !(before.known & has.title) || before.shape !== 'title') return false;
  if (!/^\.? {1,2}$/.test(tokens[first]!.gap)) return false;
  const [word] = words;
  return !(
    before.known & has.relation &&
    words.length === 1 &&
    word!.known & has.virtue &&
    likenessOf(word!) === 'ambiguous'
  );
}

const hasNameWord = (words: readonly WordToken[]): boolean =>
  words.some((word) => likenessOf(word) !== 'none' && !(word.known & has.weakGiven));

/** "Card: 4242" and "Im Fine" are words that are surnames too. */
const isMoreThanSurname = (words: readonly WordToken[]): boolean =>
  words.length > 1 || words.some((word) => (word.known & has.given) !== 0 || likenessOf(word) !== 'ambiguous');

/** "Hopkins University", "Lake Anna" */
function isOrganisationNear({ tokens, first, last, from, end }: Candidate): boolean {
  const after = tokens[last];
  if (after !== undefined && last < end && after.known & has.organisation && after.shape !== 'lower') return true;
  const before = tokens[first - 1];
  return before !== undefined && first > from && (before.known & has.organisation) !== 0 && !(before.known & has.given);
}
