import { has } from '../names/lexicon.js';
import { folded, knownOf } from '../names/lexicon.js';
import { cap, particle } from './street-words.js';

const separator = String.raw`[ \t]{0,3}[,;]?[ \t]{0,3}(?:\n[ \t>?*|]{0,8}){0,3},?[ \t]{0,3}`;
const unitWords =
  'apartment|apt|suite|ste|unit|flat|floor|fl|room|rm|no|bldg|building|block|door|piso|étage|etage|wohnung|lot|trailer|box|étg';

const unit = new RegExp(
  String.raw`${separator}(?:(?:${unitWords})\.?[ \t]{0,2}#?[ \t]?|#[ \t]?)(?=[A-Za-z-]{0,2}\d|[A-Z]\b)[\dA-Za-z-]{1,6}(?![\p{L}\p{N}])`,
  'iuy',
);
const typeAgain = /[ \t](?:street|str\.?|road|avenue)(?![\p{L}\p{N}])/iuy;
const postcode = new RegExp(
  String.raw`${separator}(?:[A-Z]{1,2}[ -])?(?:\d{5}(?:-\d{4})?|\d{3} \d{2}|\d{2}-\d{3}|\d{4} ?[A-Z]{2}|\d{4,6}|[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d)(?![\p{L}\p{N}]|[:.]\d|-\d)`,
  'uy',
);
const region = new RegExp(
  String.raw`${separator}(?:[A-Z]{2,3}|nan|\d{1,3})(?![\p{L}\p{N}]|[.:/-]\d|[ \t]\p{Ll})`,
  'uy',
);
const place = new RegExp(
  String.raw`${separator}(${cap}(?:[ -](?:${particle}[ -]){0,2}(?:${cap}|\([\p{L} ]{2,20}\))){0,4})(?=[ \t]{0,3}(?:[,;!?)"]|\.(?:\s|$)|\n|$)|\.$|[ \t\n]{1,4}(?:[A-Z]{2}|nan|\d{3,6}|[A-Z]{1,2}\d[A-Z\d]?)(?![\p{L}\p{N}]))`,
  'uy',
);
/** The same for those who write all in lower case: only with a sign between. */
const lowerPlace = new RegExp(
  String.raw`[ \t]?(?:,[ \t]?|\n[ \t>?*|]{0,8})(\p{Ll}[\p{L}'’-]{2,20}(?: \p{L}[\p{L}'’-]{1,20}){0,2})(?=[ \t]{0,2}(?:[,.;!?]|\n|$)|[ \t]{1,2}\d{4,6}(?!\p{N}))`,
  'uy',
);

const notPlace = has.greeting | has.label | has.determiner | has.relation | has.title | has.personVerb | has.calendar;
const longestTail = 8;
const noTown = /^(?:and|or|but|so|i|we|the|please|thanks|for|it|that|my|in|on|at|with)(?![\p{L}])/iu;

function isPlace(words: string): boolean {
  if (noTown.test(words)) return false;
  const first = knownOf(folded(/^[\p{L}\p{M}'’-]+/u.exec(words)?.[0] ?? ''));
  return !(first & notPlace) || (first & has.surname) !== 0;
}

/**
 * What belongs to an address behind its street: flat, town, region, postcode, country, also on the lines that follow.
 * @returns the offset where the address ends
 */
export function addressEnd(text: string, from: number): number {
  let end = from;
  for (let turn = 0; turn < longestTail; turn += 1) {
    const next = nextPart(text, end);
    if (next === undefined) return end;
    end = next;
  }
  return end;
}

function nextPart(text: string, at: number): number | undefined {
  for (const pattern of [typeAgain, unit, postcode, region]) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return pattern.lastIndex;
  }
  for (const pattern of [place, lowerPlace]) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    const words = found?.[1];
    if (words === undefined || !isPlace(words)) continue;
    if (
      pattern === lowerPlace &&
      knownOf(folded(words.split(' ')[0]!)) & has.word &&
      !/\d/.test(text.slice(pattern.lastIndex, pattern.lastIndex + 3))
    )
      continue;
    return words.endsWith('.') ? pattern.lastIndex - 1 : pattern.lastIndex;
  }
  return undefined;
}
