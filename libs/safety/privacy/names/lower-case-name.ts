import { has } from './lexicon.js';
import { hasLabelBefore, hasRelationBefore, introductionBefore } from './name-evidence.js';
import { isAmongEnglish } from './neighbours.js';
import type { WordToken } from './word-tokens.js';

/** What a word may be beside a name: in lower case it is then not taken for one. */
const otherwise =
  has.word |
  has.proper |
  has.virtue |
  has.weakGiven |
  has.neverName |
  has.determiner |
  has.greeting |
  has.relation |
  has.calendar;
const longestLowerName = 4;

const lengthOf = (token: WordToken): number => token.end - token.start;
const isOnly = (token: WordToken, bits: number): boolean => (token.known & bits) !== 0 && !(token.known & otherwise);
const isUnlisted = (token: WordToken): boolean => token.known === 0 && token.low !== '' && lengthOf(token) > 2;
const isGivenName = (token: WordToken): boolean => isOnly(token, has.given) && lengthOf(token) > 2;

/** @returns the index after a name in lower case that begins here, or `index` where none does */
export function lowerCaseName(text: string, tokens: readonly WordToken[], index: number): number {
  const token = tokens[index]!;
  // Most words of a text are words and nothing else.
  if (token.known !== 0 && !(token.known & (has.given | has.surname))) return index;
  if (isOnly(token, has.frequent) || isAnnounced(text, tokens, index)) return surnamesEnd(tokens, index + 1);
  const next = tokens[index + 1];
  const mayBegin = isGivenName(token) || (token.shape === 'lower' && isUnlisted(token));
  if (!mayBegin || lengthOf(token) < 4 || next === undefined) return index;
  const isPair = next.shape === 'lower' && next.gap === ' ' && isOnly(next, has.surname) && lengthOf(next) > 3;
  return isPair && isAmongEnglish(tokens, index) ? index + 2 : index;
}

function isAnnounced(text: string, tokens: readonly WordToken[], index: number): boolean {
  const token = tokens[index]!;
  if (isAfterShortTitle(tokens, index)) return (token.known & (has.given | has.surname)) !== 0 || isUnlisted(token);
  const introduced = introductionBefore(tokens, index);
  if (introduced === 'sure') return isNameAfterIntroduction(token, tokens[index - 1]!);
  if (introduced === 'likely') return isGivenName(token) && !/[,.;]/.test(token.gap);
  if (hasRelationBefore(tokens, index)) return isGivenName(token);
  if (hasLabelBefore(tokens, index)) return isGivenName(token) || isUnlisted(token);
  const isLineStart = /^\s{0,2}$|\n\s{0,3}$/.test(token.gap);
  return isLineStart && isGivenName(token) && /^: ?["“]/.test(text.slice(token.end, token.end + 3));
}

/** "dr patel", "mrs. bell" */
const isAfterShortTitle = (tokens: readonly WordToken[], index: number): boolean =>
  /^(?:dr|mr|mrs|ms|prof)$/.test(tokens[index - 1]?.low ?? '') &&
  /^\.? $/.test(tokens[index]!.gap) &&
  !(tokens[index]!.known & (has.neverName | has.determiner | has.weakGiven));

/** "my name is grace": nothing but a name is meant, if the word is one at all. */
function isNameAfterIntroduction(token: WordToken, before: WordToken): boolean {
  const barred = has.weakGiven | has.determiner | has.neverName | has.greeting;
  if (token.known & has.virtue) {
    return (token.known & has.given) !== 0 && /^names?$|^is$/.test(before.low) && !(token.known & has.determiner);
  }
  return (
    isOnly(token, has.given | has.surname) ||
    isUnlisted(token) ||
    ((token.known & has.given) !== 0 && !(token.known & barred))
  );
}

/** Surnames and initials that follow: "patricia desrosiers", "hyuuma t. maida". */
function surnamesEnd(tokens: readonly WordToken[], from: number): number {
  let end = from;
  while (end < tokens.length && end - from < longestLowerName - 1) {
    const next = tokens[end]!;
    if (next.isTaken || next.gap !== ' ' || tokens[end - 1]!.isPossessive) break;
    const last = tokens[end + 1];
    if (lengthOf(next) === 1 && last !== undefined && /^\.? $/.test(last.gap) && !/^[ai]$/.test(next.low)) {
      if (last.known & otherwise && !(last.known & has.surname)) break;
      end += 2;
    } else if (lengthOf(next) > 2 && (isOnly(next, has.surname | has.given) || isUnlisted(next))) end += 1;
    else break;
  }
  return end;
}
