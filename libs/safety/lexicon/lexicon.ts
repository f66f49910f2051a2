import { fillers, written } from '../text/contractions.js';
import { foldText } from '../text/fold.js';
import { Vocabulary } from '../text/vocabulary.js';
import { readWords, type Words } from '../text/words.js';
import { PhraseAutomaton } from './phrase-automaton.js';
import { parsePhrase, type PhraseItem } from './phrase.js';

/** Whom a phrase names: `any` leaves it to the words around it. */
export type Person = 'self' | 'other' | 'you' | 'any';

/** Phrases of one meaning. Those with a name of `persons` in them stand for three: mine, somebody's and yours. */
export interface PhraseGroup {
  /** Stable, for results and logs: `crisis.active.kill`. */
  readonly id: string;
  readonly phrases: readonly string[];
  /** Words that weigh, as "fucking" does, count in these; elsewhere they are passed over. */
  readonly keepsFillers?: true;
}

export interface LexiconEntry {
  readonly id: string;
  readonly group: number;
  readonly person: Person;
}

export interface Hit {
  readonly entry: LexiconEntry;
  /** Words of `ReadText.words`, `to` exclusive. */
  readonly from: number;
  readonly to: number;
  readonly sentence: number;
}

/** A text with all that the lexicons found in it; every gate works on the same one. */
export interface ReadText {
  readonly words: Words;
  readonly hits: readonly Hit[];
  /** Steps of the automaton, to be held against the count of words. */
  readonly steps: number;
}

const persons: readonly (readonly [Person, Readonly<Record<string, string>>])[] = [
  ['self', { self: 'myself|my self', my: 'my', i: 'i', me: 'me', am: 'i am|i was|am' }],
  [
    'other',
    {
      self: 'himself|herself|themselves|him self|her self|their self|them self',
      my: 'his|her|their',
      i: 'he|she|they',
      me: 'him|her|them',
      am: 'he is|she is|they are|he was|she was|they were|is|are',
    },
  ],
  ['you', { self: 'yourself|your self|yourselves', my: 'your', i: 'you', me: 'you', am: 'you are|you were|are' }],
];
const personNames = /@(?:self|my|i|me|am)\b/;

/** All phrases of all gates, looked for in one pass. */
export class Lexicon {
  readonly vocabulary: Vocabulary;
  private readonly entries: LexiconEntry[] = [];
  private readonly automaton: PhraseAutomaton;

  constructor(
    groups: readonly PhraseGroup[],
    named: Readonly<Record<string, string>>,
    extra: { readonly words: Iterable<string>; readonly mistyped: Iterable<string> },
  ) {
    const phrases: { item: PhraseItem; entry: number; keepsFillers: boolean }[] = [];
    groups.forEach(({ id, phrases: written, keepsFillers = false }, group) => {
      const add = (person: Person): number => this.entries.push({ id, group, person }) - 1;
      const [personal, plain] = [
        written.filter((each) => isPersonal(each, named)),
        written.filter((each) => !isPersonal(each, named)),
      ];
      const take = (some: readonly string[], names: Readonly<Record<string, string>>, person: Person): void => {
        const entry = some.length > 0 ? add(person) : -1;
        for (const each of some) phrases.push({ item: parsePhrase(each, names), entry, keepsFillers });
      };
      take(plain, named, 'any');
      for (const [person, names] of persons) take(personal, { ...named, ...names }, person);
    });
    const wordsOf = memoised(plainWords);
    const words = byFrequency(phrases.flatMap(({ item }) => [...writtenWords(item)]).flatMap(wordsOf));
    this.vocabulary = new Vocabulary([...words, ...fillers, ...extra.words], extra.mistyped);
    const skipped = new Set([...fillers].map((word) => this.vocabulary.idOf(word)));
    const idsOf = memoised((word) => wordsOf(word).map((each) => this.vocabulary.idOf(each)));
    this.automaton = new PhraseAutomaton(skipped);
    for (const { item, entry, keepsFillers } of phrases)
      this.automaton.add(item, entry, (word, mustStay) =>
        keepsFillers || mustStay ? idsOf(word) : idsOf(word).filter((id) => !skipped.has(id)),
      );
  }

  /** How large the automaton is. */
  get positionCount(): number {
    return this.automaton.positionCount;
  }

  read(text: string): ReadText {
    const words = readWords(text, this.vocabulary);
    const hits: Hit[] = [];
    let steps = 0;
    words.sentences.forEach((sentence, number) => {
      this.automaton.find(words.ids, sentence.from, sentence.to, (entry, from, to) => {
        hits.push({ entry: this.entries[entry]!, from, to, sentence: number });
      });
      steps += this.automaton.steps;
    });
    return { words, hits, steps };
  }
}

function isPersonal(phrase: string, named: Readonly<Record<string, string>>): boolean {
  if (personNames.test(phrase)) return true;
  return [...phrase.matchAll(/@([a-z][a-zA-Z]*)/g)].some(([, name]) => isPersonal(named[name!] ?? '', named));
}

/** The words of a phrase as `readWords` would give them. */
function plainWords(word: string): readonly string[] {
  const folded = foldText(word).text;
  return (written(folded) ?? [folded]).map((each) => each.replaceAll("'", ''));
}

function* writtenWords(item: PhraseItem): Iterable<string> {
  if (typeof item === 'string') yield item;
  else for (const choice of item.choices) for (const each of choice) yield* writtenWords(each);
}

/** Each word once, those that the phrases use most first: of several words that a masked one may be, it is the likeliest. */
function byFrequency(words: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one).map(([word]) => word);
}

function memoised<Value>(make: (word: string) => Value): (word: string) => Value {
  const known = new Map<string, Value>();
  return (word) => {
    let made = known.get(word);
    if (made === undefined) known.set(word, (made = make(word)));
    return made;
  };
}
