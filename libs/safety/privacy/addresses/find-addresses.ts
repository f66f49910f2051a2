import { folded, has, knownOf } from '../names/lexicon.js';
import type { PersonalSpan, PersonalType } from '../personal-kinds.js';
import { addressEnd } from './address-tail.js';
import { announced, cap, plainTypeAfter, streetName, typeAfter, typeBefore, typeJoined } from './street-words.js';

interface AddressForm {
  readonly type: PersonalType;
  readonly needs: RegExp;
  readonly pattern: RegExp;
  readonly hasTail: boolean;
  isMeant?(found: string, before: string, after: string): boolean;
}

const edge = String.raw`(?<![\p{L}\p{N}$€£#])`;
const stop = String.raw`(?![\p{L}\p{N}])`;
const house = String.raw`\d{1,6}[A-Za-z]?(?:[-/]\d{1,5}[A-Za-z]?)?`;
const leadingUnit = String.raw`(?:(?:[Aa]pt|APT|[Ss]uite|SUITE|[Uu]nit|[Ff]lat|[Aa]partment)\.? #?[\dA-Za-z-]{1,5},? )?`;
const direction = String.raw`(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.? )?`;
const digit = /\d/;

/** "a 20 minute drive", "2 years down the road": what a number counts in everyday English. */
const counted =
  /\b(?:hours?|hrs?|minutes?|mins?|miles?|days?|weeks?|months?|years?|yrs?|kids|children|people|times|percent|seconds?|of|the|a|an|to|in|on|and|for|down|from|my|their|his|her|lane|way|things?|at|am|pm|is|was|or|per|blocks?|different|more|long|short|step|bedroom|car|feet|steps|friends|i|we|you)\b/;

const isAnnounced = (_: string, before: string): boolean => announced.test(before);

const forms: readonly AddressForm[] = [
  {
    type: 'address',
    needs: /box|[AFD]PO/i,
    pattern: new RegExp(
      String.raw`${edge}(?:(?:PSC|CMR|Unit|USS|USNS|USNV|USCGC) [\p{L}\p{N}]{1,20}(?:,? Box \d{1,6})?|Box \d{1,6})[,\s]{1,3}(?:APO|FPO|DPO)[, ]{1,2}A[AEP][, ]{1,2}\d{5}(?:-\d{4})?`,
      'giu',
    ),
    hasTail: false,
  },
  {
    type: 'address',
    needs: /box|postfach|apartado|casilla|postbus|boîte postale/i,
    pattern: new RegExp(
      String.raw`${edge}(?:\d{1,6} )?(?:p\.? ?o\.? ?box|post(?:al)? ?box|postboks|postfach|apartado(?: de correos| postal)?|casilla|postbus|boîte postale)(?: (?:no\.? ?|number ?))?[ #:]{1,2}\d{1,7}${stop}(?: ${streetName})?`,
      'giu',
    ),
    hasTail: true,
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}${leadingUnit}${house}(?: \d{1,5})?,? ${direction}${streetName} (?:${typeAfter}|${capitalised(typeAfter)})\b\.?(?: (?:[NSEW]|NE|NW|SE|SW)${stop}\.?)?(?: \d{1,4}\.?${stop})?`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found) => !isCalendar(found),
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}\d{1,6}[a-z]? (?:[nsew]\.? )?(?:\p{L}[\p{L}'’.-]{1,20}|\d{1,3}(?:st|nd|rd|th))(?: \p{L}[\p{L}'’.-]{1,20}){0,2} (?:${plainTypeAfter})${stop}\.?`,
      'giu',
    ),
    hasTail: true,
    isMeant: (found) => !counted.test(found.toLowerCase().replace(/ \S+$/, '')),
  },
  {
    type: 'address',
    needs: new RegExp(String.raw`${edge}(?:${typeBefore})\s`, 'iu'),
    pattern: new RegExp(
      String.raw`${edge}${leadingUnit}(?:${house}(?: \d{1,5})?(?: (?:bis|ter))?,? )?(?:${typeBefore}|${capitalised(typeBefore)}) (?:(?:de|del|della|dei|di|da|das|do|dos|du|des|la|le|las|les|los|of|l'|d'|de la|al|der) ?){0,3}${streetName}(?:,? (?:n[°º.o]{1,2} ?)?\d{1,5}[A-Za-z]?${stop})?`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found, before) => /\d/.test(found) || announced.test(before),
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}${leadingUnit}(?:\d{1,6} )?(?:${streetName} )?\p{L}[\p{L}\p{M}-]{1,24}(?:${typeJoined}) \d{1,5}${stop}(?:[ -]?[A-Za-z]${stop})?(?:[-/]\d{1,4})?(?: ${streetName} (?:${capitalised(typeAfter)})${stop})?`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found) => isJoinedStreet(found),
  },
  {
    // A number, a name, a number: nobody counts so.
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}${leadingUnit}\d{1,6},? ${streetName}(?: u| út| utca| tér| tee| tn)?\.? \d{1,5}[A-Za-z]?${stop}\.?(?!\d|[:%])`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found) => !isCalendar(found) && hasRareWord(found),
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}${leadingUnit}(?:\d{1,6} )?(?:\d{1,6} )?${streetName}(?:,? (?:u\.? ?|út |utca |tér )?\d{1,5}[A-Za-z]?${stop}(?![:%]))?`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found, before) =>
      /\d/.test(found) && !isCalendar(found) && isAnnounced(found, before) && !/^\d{1,6}$/.test(found),
  },
  {
    // The same all in lower case, where it must hold a word that no list has.
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}(?:apt\.? \d{1,5},? )?\d{1,6} (?:\p{L}[\p{L}\p{M}'’-]{1,24} ){1,4}\d{1,5}[a-z]?${stop}(?!\d|[:%])`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found) => !counted.test(found) && !isCalendar(found) && hasUnlistedWord(found),
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}(?:\d{1,6} )?(?:rue|calle|avenida|rua|rúa|via|piazza|plaza|paseo|avenue|boulevard|chemin) (?:\p{L}[\p{L}\p{M}'’.-]{1,24} ){1,5}\d{1,5}${stop}(?!\d|[:%])`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found) => !counted.test(found) && !isCalendar(found),
  },
  {
    type: 'address',
    needs: digit,
    pattern: new RegExp(
      String.raw`${edge}(?:\d{1,6} )?${streetName} (?:gate|gata|vei|veg|vej|terrasse|gade|väg|gatan|allé|allee|trg|nám\.?|ulica|ulice|cesta|út|utca|tér) \d{1,5}[A-Za-z]?${stop}`,
      'gu',
    ),
    hasTail: true,
  },
  {
    type: 'address',
    needs: /corner of|junction of|intersection of/i,
    pattern: new RegExp(
      String.raw`${edge}(?:the )?(?:corner|junction|intersection) of (?:${house} )?[\p{L}\p{N}'’. ]{2,50}? (?:and|&) (?:${house} )?${streetName}(?: \d{1,5})?${stop}`,
      'giu',
    ),
    hasTail: true,
    isMeant: (found) => /\d|\b(?:st|street|ave|avenue|road|rd|blvd|drive|lane)\b|and \p{Lu}/iu.test(found),
  },
  {
    type: 'address',
    needs: /street|road|avenue|lane|drive|stra(?:ß|ss)e|gatan|straat/i,
    pattern: new RegExp(
      String.raw`${edge}(?:${streetName} (?:Street|Road|Avenue|Lane|Drive|Boulevard|Terrace|Crescent)|\p{Lu}\p{L}{2,20}(?:straße|strasse|gatan|straat))${stop}`,
      'gu',
    ),
    hasTail: true,
    isMeant: (found, before) =>
      !/^(?:The|Wall|Main|Sesame|High|Bourbon|Harley|Easy|Memory|On|In|My|Our) \S+$/.test(found) &&
      (/\b(?:on|at|off|along|of|near)\s$/.test(before) ||
        announced.test(before) ||
        /straße|strasse|gatan|straat/.test(found)),
  },
  {
    type: 'address',
    needs: /\b(?:apt|apartment|suite|flat)\b/i,
    pattern: new RegExp(String.raw`${edge}(?:apt|apartment|suite|ste|flat)\.? ?#? ?\d{1,5}[A-Za-z]?${stop}`, 'giu'),
    hasTail: true,
  },
  {
    type: 'address',
    needs: /[A-Z]{2},? \d{5}/,
    pattern: new RegExp(String.raw`${edge}${cap}(?: ${cap}){0,3},? [A-Z]{2},? \d{5}(?:-\d{4})?${stop}`, 'gu'),
    hasTail: false,
  },
  {
    type: 'postcode',
    needs: digit,
    pattern:
      /(?<![\p{L}\p{N}])(?:[A-PR-UWYZ]\d[A-HJKPSTUW\d]?|[A-PR-UWYZ][A-HK-Y]\d[ABEHMNPRV-Y\d]?) \d[ABD-HJLNP-UW-Z]{2}(?![\p{L}\p{N}])/gu,
    hasTail: false,
  },
  {
    type: 'postcode',
    needs: /zip|post ?(?:al)? ?code|plz|eircode/i,
    pattern:
      /(?<=\b(?:zip|zip ?code|post ?code|postal code|plz|eircode)(?: (?:is|was|of|here is))?[ :=#]{1,3})(?=[A-Za-z ]{0,3}\d)[\dA-Za-z]{2,6}(?:[ -][\dA-Za-z]{3,4})?(?![\p{L}\p{N}])/giu,
    hasTail: false,
    isMeant: (found) => /\d/.test(found),
  },
];

const months =
  /\b(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b/i;
const isCalendar = (found: string): boolean =>
  months.test(found) ||
  /\b(?:AM|PM|Step|Chapter|Section|Question|Version|Page|Level|Grade|Day|Week|Phase|Session|Group|Room|Covid|Part|Number|Type|Stage|Act|Title|Article)\b/.test(
    found,
  );

/** "Liebling 3" ends like a street and is none: a word of English is not taken for one. */
function isJoinedStreet(found: string): boolean {
  const word = /(\p{L}[\p{L}\p{M}-]*)\.? \d/u.exec(found)?.[1] ?? '';
  return !(knownOf(folded(word)) & (has.word | has.given | has.calendar)) && !isCalendar(found);
}

const wordsOf = (found: string): string[] => found.match(/\p{L}[\p{L}\p{M}'’-]+/gu) ?? [];
/** A name, or a word that English does not have: "1 Breathe 2" is a list, "45 Aasa 43" is none. */
const hasRareWord = (found: string): boolean =>
  wordsOf(found).some((word) => {
    const known = knownOf(folded(word));
    return !(known & has.word) || (known & has.surname) !== 0;
  });
const hasUnlistedWord = (found: string): boolean =>
  wordsOf(found).some((word) => word.length > 3 && knownOf(folded(word)) === 0);

function capitalised(words: string): string {
  return words
    .split('|')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('|');
}

/** Streets, boxes, corners, flats with all that follows; towns with their postcode; postcodes alone. */
export function findAddresses(text: string): PersonalSpan[] {
  const spans: PersonalSpan[] = [];
  for (const { type, needs, pattern, hasTail, isMeant } of forms) {
    if (!needs.test(text)) continue;
    let last = 0;
    for (const match of text.matchAll(pattern)) {
      const [found] = match;
      const start = match.index;
      if (start < last) continue;
      const before = text.slice(Math.max(0, start - 48), start);
      if (isMeant?.(found, before, '') === false) continue;
      const own = start + found.length;
      const end = hasTail ? addressEnd(text, own) : own;
      spans.push({ type, start, end: text[end - 1] === '.' ? end - 1 : end });
      last = end;
    }
  }
  return spans;
}
