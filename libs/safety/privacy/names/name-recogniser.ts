import type { PersonalSpan } from '../personal-kinds.js';
import { has } from './lexicon.js';
import {
  hasLabelBefore,
  hasRelationBefore,
  introductionBefore,
  isInitial,
  likenessOf,
  surroundingsSayName,
} from './name-evidence.js';
import type { WordToken } from './word-tokens.js';

const longestName = 6;

/** Names of people: words with a capital that lists, neighbours and form speak for, and words in lower case after a sure cue. */
export function findNames(text: string, tokens: readonly WordToken[]): PersonalSpan[] {
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
  return spans.length === 0 ? spans : withLaterMentions(text, tokens, spans);
}

/** Who was called by a full name is meant by its last part alone too: "Brad Key ... starring Key". */
function withLaterMentions(text: string, tokens: readonly WordToken[], spans: readonly PersonalSpan[]): PersonalSpan[] {
  const parts = new Set<string>();
  for (const { start, end } of spans) {
    const words = text.slice(start, end).split(/[\s.]+/);
    if (words.length > 1) for (const word of words) if (word.length > 2 && /^\p{Lu}/u.test(word)) parts.add(word);
  }
  if (parts.size === 0) return [...spans];
  const all: PersonalSpan[] = [];
  let next = 0;
  for (const token of tokens) {
    while (next < spans.length && spans[next]!.end <= token.start) all.push(spans[next++]!);
    if (token.shape !== 'title' || token.isTaken || (token.isFirst && token.known & has.word)) continue;
    if (next < spans.length && spans[next]!.start < token.end) continue;
    if (!(token.known & has.neverName) && parts.has(text.slice(token.start, token.end))) {
      all.push({ type: 'name', start: token.start, end: token.end });
    }
  }
  return [...all, ...spans.slice(next)];
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

const joins = (token: WordToken, before: WordToken): boolean =>
  /^ {1,3}$|^\u00a0$/.test(token.gap) ||
  (/^\. ?$/.test(token.gap) && (isInitial(before) || (before.known & has.title) !== 0)) ||
  token.gap === '-';

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
    if (!mayBePart(tokens[start]!, tokens, start)) {
      start += 1;
      continue;
    }
    let stop = start + 1;
    while (stop < end && (mayBePart(tokens[stop]!, tokens, stop) || isInnerParticle(tokens, stop, end))) stop += 1;
    const [first, last] = trimmed(tokens, start, stop);
    if (last > first && last - first <= longestName && isName(text, tokens, first, last, from, end)) {
      spans.push({ type: 'name', start: tokens[first]!.start, end: withSuffix(text, tokens[last - 1]!) });
    }
    start = stop;
  }
  return spans;
}

function mayBePart(token: WordToken, tokens: readonly WordToken[], index: number): boolean {
  if (isInitial(token)) return true;
  const before = tokens[index - 1];
  if (token.low === 'i' && token.shape === 'title') {
    return (
      before !== undefined &&
      likenessOf(before) !== 'none' &&
      before.shape === 'title' &&
      /^\./.test(tokens[index + 1]?.gap ?? '')
    );
  }
  if (token.shape === 'lower') return false;
  return likenessOf(token) !== 'none' || isWordAsSurname(token, tokens, index);
}

/** "Justin Beet", "Jildau S Bouts": what follows a given name or an initial, and ends the run, is a surname whatever it means. */
function isWordAsSurname(token: WordToken, tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  const barred =
    has.neverName | has.determiner | has.greeting | has.calendar | has.organisation | has.title | has.relation;
  if (
    before === undefined ||
    token.shape !== 'title' ||
    token.known & barred ||
    !joins(token, before) ||
    before.isPossessive
  )
    return false;
  const after = tokens[index + 1];
  if (after !== undefined && after.shape !== 'lower' && joins(after, token)) return false;
  if (isInitial(before))
    return index > 1 && joins(before, tokens[index - 2]!) && likenessOf(tokens[index - 2]!) !== 'none';
  return (before.known & has.given) !== 0 && likenessOf(before) === 'strong';
}

const isInnerParticle = (tokens: readonly WordToken[], index: number, end: number): boolean =>
  (tokens[index]!.known & has.particle) !== 0 && index + 1 < end;

/** A word that is mostly something else begins no name at the start of a sentence, unless a surname follows. */
function trimmed(tokens: readonly WordToken[], from: number, end: number): [number, number] {
  let [first, last] = [from, end];
  while (first < last && (tokens[first]!.low === 'i' || (isInitial(tokens[first]!) && last - first === 1))) first += 1;
  while (
    last - first > 1 &&
    tokens[first]!.isFirst &&
    isMostlyWord(tokens[first]!) &&
    likenessOf(tokens[first + 1]!) !== 'ambiguous'
  ) {
    if (
      likenessOf(tokens[first + 1]!) === 'strong' &&
      !(tokens[first + 1]!.known & has.given) &&
      tokens[first]!.known & has.given &&
      !(tokens[first]!.known & has.virtue)
    )
      break;
    first += 1;
  }
  while (last > first && tokens[last - 1]!.shape === 'lower') last -= 1;
  return [first, last];
}

const isMostlyWord = ({ known }: WordToken): boolean =>
  (known & (has.virtue | has.weakGiven)) !== 0 || ((known & has.word) !== 0 && !(known & has.given));

/** The full stop of a last initial, and what stands behind a name: "Jr.", "III", "MD". */
function withSuffix(text: string, token: WordToken): number {
  const after = text.slice(token.end, token.end + 8);
  const suffix =
    /^(?:,? (?:Jr\.?|Sr\.?|II|III|IV|MD|PhD|DDS|DVM)(?![\p{L}\p{N}])|\.(?= [a-z]|,))/u.exec(after)?.[0] ?? '';
  if (suffix === '.' && !isInitial(token)) return token.end;
  return token.end + suffix.length;
}

function isName(
  text: string,
  tokens: readonly WordToken[],
  first: number,
  last: number,
  from: number,
  end: number,
): boolean {
  const words = tokens.slice(first, last).filter((token) => !isInitial(token) && token.shape !== 'lower');
  if (words.length === 0) return false;
  const before = tokens[first - 1];
  const after = tokens[last];
  const hasTitle =
    before !== undefined &&
    (before.known & has.title) !== 0 &&
    before.shape === 'title' &&
    /^\.? {1,2}$/.test(tokens[first]!.gap);
  if (
    hasTitle &&
    !(
      before.known & has.relation &&
      words.length === 1 &&
      likenessOf(words[0]!) === 'ambiguous' &&
      words[0]!.known & has.virtue
    )
  )
    return true;
  if (isOrganisationNear(tokens, first, last, from, end)) return false;
  if (hasLabelBefore(text, tokens, first) || surroundingsSayName(text, tokens[first]!.start, tokens[last - 1]!.end)) {
    return hasNameWord(words) && !isAcronym(words);
  }
  const introduced = introductionBefore(tokens, first);
  if (introduced !== undefined || hasRelationBefore(tokens, first))
    return hasNameWord(words) && (introduced === 'sure' || !isAcronym(words));
  if (words.length > 1 || (last - first > 1 && words.length === 1))
    return isFullName(tokens, first, last, words, after);
  return isSingleName(words[0]!, tokens, first, from, end);
}

const isAcronym = (words: readonly WordToken[]): boolean =>
  words.every((word) => word.shape === 'upper' && !(word.known & has.given));
const hasNameWord = (words: readonly WordToken[]): boolean =>
  words.some((word) => likenessOf(word) !== 'none' && !(word.known & has.weakGiven));

function isOrganisationNear(
  tokens: readonly WordToken[],
  first: number,
  last: number,
  from: number,
  end: number,
): boolean {
  const after = tokens[last];
  if (after !== undefined && last < end && after.known & has.organisation && after.shape !== 'lower') return true;
  const before = tokens[first - 1];
  return before !== undefined && first > from && (before.known & has.organisation) !== 0 && !(before.known & has.given);
}

function isFullName(
  tokens: readonly WordToken[],
  first: number,
  last: number,
  words: readonly WordToken[],
  after: WordToken | undefined,
): boolean {
  if (isAcronym(words)) return words.length > 1 && words.every((word) => likenessOf(word) === 'strong');
  const kinds = words.map((word) => likenessOf(word));
  const isAfterPlace = isAfterPlacePreposition(tokens, first);
  if (
    words.some(
      (word) =>
        word.known & has.given &&
        !(word.known & (has.virtue | has.alsoPlace | has.weakGiven)) &&
        likenessOf(word) === 'strong',
    )
  )
    return true;
  if (kinds.includes('strong')) return !isAfterPlace || (words[0]!.known & has.given) !== 0;
  if (kinds.includes('unknown')) {
    if (last - first > words.length && words.length > 1) return true;
    if (isAfterPlace || isAfterArticle(tokens, first)) return false;
    return (
      kinds.every((kind) => kind === 'unknown') ||
      words.some((word) => word.known & has.given) ||
      last - first > words.length
    );
  }
  // Words that are names too: "Grace Young" with a given name first and a surname behind it.
  const [head] = words;
  const tail = words.at(-1)!;
  if (head!.known & has.weakGiven || !(head!.known & has.given) || !(tail.known & has.surname)) return false;
  if (isAfterPlace || (after !== undefined && after.shape === 'title' && /^ $/.test(after.gap))) return false;
  return (
    !(head!.known & has.virtue && tail.known & has.virtue) && !(tokens[first]!.isFirst && head!.known & has.virtue)
  );
}

function isAfterPlacePreposition(tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  return (
    before !== undefined &&
    (before.known & has.placePreposition) !== 0 &&
    before.shape === 'lower' &&
    /^ $/.test(tokens[index]!.gap)
  );
}

function isAfterArticle(tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  return before !== undefined && (before.known & has.determiner) !== 0 && /^ $/.test(tokens[index]!.gap);
}

function isSingleName(
  word: WordToken,
  tokens: readonly WordToken[],
  index: number,
  from: number,
  end: number,
): boolean {
  const after = tokens[index + 1];
  const kind = likenessOf(word);
  if (word.known & has.weakGiven) return false;
  if (word.shape === 'upper') return (word.known & has.frequent) !== 0;
  const isGiven = (word.known & has.given) !== 0;
  const acts =
    after !== undefined && /^ $/.test(after.gap) && (after.known & has.personVerb) !== 0 && after.shape === 'lower';
  const isHeading = end - from > 2 && !acts;
  if (kind === 'strong' && isGiven)
    return !isAfterArticle(tokens, index) || word.isPossessive || acts || (word.known & has.frequent) !== 0;
  if (isAfterArticle(tokens, index)) return false;
  const states =
    after !== undefined && /^ $/.test(after.gap) && (after.known & has.stateVerb) !== 0 && after.shape === 'lower';
  if (kind === 'unknown' || kind === 'strong') {
    if (isAfterPlacePreposition(tokens, index)) return false;
    if (isHeading && kind === 'unknown') return false;
    if (!word.isFirst) return true;
    return acts || states || word.isPossessive || isAddressed(tokens, index);
  }
  if (isJoined(tokens, index)) return true;
  if (!isGiven && !(word.known & has.surname)) return false;
  if (isGiven && isVocative(tokens, index)) return true;
  if (word.known & has.alsoPlace && (isAfterPlacePreposition(tokens, index) || word.known & has.neverName))
    return false;
  if (word.known & has.calendar) return acts;
  if (!isGiven) {
    const isPlain = (word.known & (has.word | has.virtue | has.alsoPlace)) === 0;
    return (
      (acts && (isPlain || !word.isFirst)) ||
      (isPlain && !word.isFirst && !isHeading && !isAfterPlacePreposition(tokens, index))
    );
  }
  if (word.isFirst) return acts || (states && !(word.known & has.virtue));
  return (from + 1 === end || tokens[from] === word || acts) && !isHeading && isLoneCapital(word, tokens, index);
}

/** "Warrane, can I ...": somebody is spoken to. */
function isAddressed(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  return (
    after?.gap === ', ' && /^(?:can|could|please|what|how|are|do|you|i|we|will|would|if|don't|it|let)$/.test(after.low)
  );
}

/** "Don't go to town, Mark!" */
function isVocative(tokens: readonly WordToken[], index: number): boolean {
  const after = tokens[index + 1];
  const ends = after === undefined ? tokens.length > 3 : /^[!?.]/.test(after.gap);
  return tokens[index]!.gap === ', ' && ends && !(tokens[index]!.known & has.calendar);
}

/** "Usamov and Bowers" */
function isJoined(tokens: readonly WordToken[], index: number): boolean {
  const [head, and] = [tokens[index - 2], tokens[index - 1]];
  if (
    and?.low !== 'and' ||
    head === undefined ||
    head.shape !== 'title' ||
    and.gap !== ' ' ||
    tokens[index]!.gap !== ' '
  )
    return false;
  const isSure = likenessOf(head) === 'strong' || likenessOf(head) === 'unknown';
  return isSure && (tokens[index]!.known & (has.given | has.surname)) !== 0;
}

/** "I told Will that": among words in lower case a capital means a name. Not so between others with capitals, or after a colon. */
function isLoneCapital(word: WordToken, tokens: readonly WordToken[], index: number): boolean {
  const before = tokens[index - 1];
  const after = tokens[index + 1];
  if (before === undefined || (before.shape !== 'lower' && before.low !== 'i' && !before.isFirst)) return false;
  if (word.known & has.virtue) {
    const isCompanion = (before.known & (has.personPreposition | has.personVerb)) !== 0;
    return isCompanion && (after === undefined || after.shape === 'lower');
  }
  return true;
}

/** @returns the index after a name in lower case that begins here, or `index` where none does */
function lowerCaseName(text: string, tokens: readonly WordToken[], index: number): number {
  const token = tokens[index]!;
  const { known } = token;
  const introduced = introductionBefore(tokens, index);
  const plain =
    has.word |
    has.proper |
    has.virtue |
    has.weakGiven |
    has.neverName |
    has.determiner |
    has.greeting |
    has.relation |
    has.calendar;
  const isNamelike = (known & has.given) !== 0 && !(known & plain) && token.end - token.start > 2;
  let isOne = (known & has.frequent) !== 0 && !(known & plain);
  if (introduced === 'sure' && known & has.virtue) {
    isOne ||= (known & has.given) !== 0 && /^names?$|^is$/.test(tokens[index - 1]!.low) && !(known & has.determiner);
  } else if (introduced === 'sure')
    isOne ||=
      isNamelike ||
      ((known & has.surname) !== 0 && !(known & plain)) ||
      (known === 0 && token.end - token.start > 2) ||
      isAmbiguousGiven(known);
  else if (introduced === 'likely') isOne ||= isNamelike && !isAfterComma(token);
  else if (hasRelationBefore(tokens, index)) isOne ||= isNamelike;
  else if (hasLabelBefore(text, tokens, index)) isOne ||= isNamelike || (known === 0 && token.end - token.start > 2);
  else if (isNamelike && /^\s{0,2}$|\n\s{0,3}$/.test(token.gap))
    isOne ||= /^: ?["“]/.test(text.slice(token.end, token.end + 3));
  if (!isOne) {
    const next = tokens[index + 1];
    const isPair =
      (isNamelike || (known === 0 && token.shape === 'lower' && token.low !== '')) &&
      next !== undefined &&
      next.shape === 'lower' &&
      next.gap === ' ' &&
      (next.known & has.surname) !== 0 &&
      !(next.known & plain) &&
      next.end - next.start > 3;
    return isPair && token.end - token.start > 3 ? index + 2 : index;
  }
  let end = index + 1;
  while (end < tokens.length && end - index < 4) {
    const next = tokens[end]!;
    if (
      next.end - next.start === 1 &&
      next.gap === ' ' &&
      /^\.? $/.test(tokens[end + 1]?.gap ?? '') &&
      !/^[ai]$/.test(next.low)
    ) {
      const last = tokens[end + 1]!;
      if (last.known & plain && !(last.known & has.surname)) break;
      end += 2;
      continue;
    }
    const isSurname = (next.known & (has.surname | has.given)) !== 0 || (next.known === 0 && next.low !== '');
    if (
      next.isTaken ||
      next.gap !== ' ' ||
      tokens[end - 1]!.isPossessive ||
      !isSurname ||
      next.known & plain ||
      next.end - next.start < 3
    )
      break;
    end += 1;
  }
  return end;
}

const isAfterComma = (token: WordToken): boolean => /[,.;]/.test(token.gap);
/** "my name is grace": nothing but a name is meant. */
const isAmbiguousGiven = (known: number): boolean =>
  (known & has.given) !== 0 &&
  (known & has.word) !== 0 &&
  !(known & (has.weakGiven | has.determiner | has.neverName | has.greeting));
