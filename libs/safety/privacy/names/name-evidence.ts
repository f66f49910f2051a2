import { has } from './lexicon.js';
import type { WordToken } from './word-tokens.js';

/**
 * How much a word alone looks like a name: `strong` stands in a list of names and is no word; `unknown` stands nowhere,
 * as most names of the world do; `ambiguous` is both a name and a word; `none` is no name.
 */
export type NameLikeness = 'strong' | 'unknown' | 'ambiguous' | 'none';

const names = has.given | has.surname;

export function likenessOf({ known, low, start, end }: WordToken): NameLikeness {
  if (known & (has.neverName | has.title | has.organisation | has.determiner | has.greeting)) {
    return known & has.given && !(known & (has.neverName | has.determiner | has.greeting | has.title))
      ? 'ambiguous'
      : 'none';
  }
  if (known & has.calendar) return known & has.given ? 'ambiguous' : 'none';
  if (known & names) {
    return known & (has.word | has.proper | has.virtue | has.alsoPlace | has.weakGiven) ? 'ambiguous' : 'strong';
  }
  if (known & (has.word | has.proper | has.virtue | has.weakGiven)) return 'none';
  if (known !== 0 || low === '' || end - start < 2) return 'none';
  return end - start > 6 && technicalEnding.test(low) ? 'none' : 'unknown';
}

/** Words of English that are too rare for the list: "Brainspotting", "Polyamory". Names that end so are in the lists. */
const technicalEnding =
  /(?:ing|tion|sion|log(?:y|ist|ical)|ism|ist|ness|ment|ics|phobia|pathy|phili[ac]|ity|[ai]ble|ly|ative|ware|cast|amory|graphy|iatry|itis|osis|emia|ful|less|ship|hood|azole|pram|ine|like|ized|ised|ers|ors)$/;

export const isInitial = (token: WordToken): boolean =>
  token.end - token.start === 1 && token.shape === 'title' && token.low !== 'i';

const introductions = new Set([
  'my name is',
  'my names',
  'name is',
  'names is',
  'name was',
  'call me',
  'calls me',
  'called me',
  'people call me',
  'me llamo',
  'mi nombre es',
  'je suis',
  'heiße',
  'ich heisse',
  'mi chiamo',
  'meu nome e',
  'mein name ist',
  'i go by',
  'goes by',
  'go by',
  'formerly known as',
  'also known as',
  'maiden name is',
  'named',
  'is called',
  'was called',
]);
/** After these a word in lower case is a name only if a list says so. */
const weakIntroductions = new Set([
  'i am',
  'im',
  "i'm",
  'i’m',
  'this is',
  "it's",
  'its',
  'it’s',
  'it is',
  'here is',
  'called',
  "name's",
  'name’s',
  "he's",
  "she's",
]);

/** What the words before say: that a name must follow, that one may, or nothing. */
export function introductionBefore(tokens: readonly WordToken[], index: number): 'sure' | 'likely' | undefined {
  const before = (count: number): string =>
    tokens
      .slice(Math.max(0, index - count), index)
      .map(({ low }) => low)
      .join(' ');
  const [one, two, three] = [before(1), before(2), before(3)];
  const isNear = /^[\s,"“'‘:]{0,4}$/.test(tokens[index]!.gap);
  if (!isNear) return undefined;
  if (introductions.has(three) || introductions.has(two) || introductions.has(one)) return 'sure';
  const previous = tokens[index - 1];
  if (previous?.isPossessive && previous.low === 'name') return 'sure';
  if (weakIntroductions.has(two) || weakIntroductions.has(one)) return 'likely';
  if (previous?.isPossessive && (previous.low === 'he' || previous.low === 'she' || previous.low === 'it'))
    return undefined;
  return undefined;
}

/** "my sister Anna", "his friend, Tom", "a coworker named ..." */
export function hasRelationBefore(tokens: readonly WordToken[], index: number): boolean {
  const previous = tokens[index - 1];
  return (
    previous !== undefined &&
    (previous.known & has.relation) !== 0 &&
    !previous.isPossessive &&
    /^,? +["“(]?$/.test(tokens[index]!.gap)
  );
}

const credentials =
  /^,? {1,2}(?:LMFT|LCSW|LPC|LMHC|PhD|Ph\.D|PsyD|Psy\.D|MD|M\.D|MA|M\.A|MS|MSW|NCC|LPCC|LCPC|LICSW|RN|DDS|Esq|Jr|Sr|II|III)\b/;
const lineLabel = /(?:^|[\n>*•-])[ \t>*"-]{0,6}$/;

/** What stands right after or around the run, in the text itself: credentials, a dialogue label, a signature. */
export function surroundingsSayName(text: string, start: number, end: number): boolean {
  const after = text.slice(end, end + 12);
  if (credentials.test(after)) return true;
  const before = text.slice(Math.max(0, start - 40), start);
  if (
    /^ ?\*{0,2}:(?!\/)/.test(after) &&
    lineLabel.test(`\n${before}`.slice(-12)) &&
    /(?:^|\n)[ \t>*"-]{0,6}$/.test(`\n${before}`)
  ) {
    return true;
  }
  if (/(?:regards|sincerely|cheers|thanks|thank you|love|best|yours|xoxo|wishes),?\s{0,3}\n?\s{0,3}$/i.test(before))
    return /^\s*(?:$|\n|[.!])/.test(after);
  if (/(?:^|\n|[.!?]\s{0,2})\s{0,2}[-–—~]{1,2} ?$/.test(before)) return /^\s*(?:$|\n)/.test(after);
  return /(?:^|\n|\s)@ ?$/.test(before);
}

/** "Name: Anna", "Patient - ...", "Directed By:   ..." */
export function hasLabelBefore(tokens: readonly WordToken[], index: number): boolean {
  const previous = tokens[index - 1];
  if (previous === undefined || !(previous.known & (has.label | has.relation))) return false;
  return /^ ?\*{0,2} ?[:=] {0,6}["“]?$/.test(tokens[index]!.gap);
}
