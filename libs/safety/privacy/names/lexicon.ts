import commonWords from '../lexicon/common-words.json' with { type: 'json' };
import frequentGivenNames from '../lexicon/frequent-given-names.json' with { type: 'json' };
import givenNames from '../lexicon/given-names.json' with { type: 'json' };
import properNouns from '../lexicon/proper-nouns.json' with { type: 'json' };
import surnames from '../lexicon/surnames.json' with { type: 'json' };
import * as cue from './cue-words.js';

/** What is known of a word, one bit each. */
export const has = {
  given: 1,
  /** A given name so frequent, and no word of English, that it is one in lower case too. */
  frequent: 2,
  surname: 4,
  word: 8,
  proper: 16,
  title: 32,
  relation: 64,
  calendar: 128,
  organisation: 256,
  placePreposition: 512,
  particle: 1024,
  personVerb: 2048,
  neverName: 4096,
  alsoPlace: 8192,
  virtue: 16_384,
  determiner: 32_768,
  stateVerb: 65_536,
  greeting: 131_072,
  label: 262_144,
  personPreposition: 524_288,
  weakGiven: 1_048_576,
  speechVerb: 2_097_152,
} as const;

const knownWords = new Map<string, number>();

function note(words: readonly string[], bit: number): void {
  for (const line of words) for (const word of line.split(' ')) knownWords.set(word, (knownWords.get(word) ?? 0) | bit);
}

note(givenNames, has.given);
note(frequentGivenNames, has.frequent);
note(surnames, has.surname);
note(commonWords, has.word);
note(properNouns, has.proper);
note(cue.titles, has.title);
note(cue.relations, has.relation);
note(cue.calendar, has.calendar);
note(cue.organisations, has.organisation);
note(cue.placePrepositions, has.placePreposition);
note(cue.particles, has.particle);
note(cue.personVerbs, has.personVerb);
note(cue.speechVerbs, has.speechVerb | has.personVerb);
note(cue.stateVerbs, has.stateVerb);
note(cue.neverNames, has.neverName);
note(cue.alsoPlaces, has.alsoPlace);
note(cue.virtues, has.virtue);
note(cue.determiners, has.determiner);
note(cue.greetings, has.greeting);
note(cue.labels, has.label);
note(cue.personPrepositions, has.personPreposition);
note(cue.weakGivenNames, has.weakGiven);
note(cue.shortGivenNames, has.frequent | has.given);

const unmarked: Readonly<Record<string, string>> = {
  ł: 'l',
  ø: 'o',
  đ: 'd',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ı: 'i',
  ð: 'd',
  þ: 'th',
};

/** The form in which the lists hold a word: lower case, without marks. */
export function folded(word: string): string {
  const lower = word.toLowerCase();
  // Most words are plain, and for them this is all.
  // eslint-disable-next-line no-control-regex
  if (/^[\u0000-\u007f]*$/.test(lower)) return lower;
  return lower
    .replace(/[łøđßæœıðþ]/g, (letter) => unmarked[letter] ?? letter)
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '');
}

/** @returns the bits of `has`; 0 for a word that no list holds. */
export function knownOf(foldedWord: string): number {
  return knownWords.get(foldedWord) ?? 0;
}
