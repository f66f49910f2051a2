import { gap, type Words } from '../text/words.js';
import type { Hit } from './lexicon.js';

export const wordSet = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/));

const negators =
  wordSet(`not no never none neither nor nobody without denies denied deny denying hardly stopped cannot isnt wouldnt
  nunca jamas ni sin ne pas jamais sans nicht nie kein keine keinen ohne nao nem sem non mai senza`);
/** Between a negation and what it would deny, these leave it standing: "can't stop thinking of", "not sure whether". */
const undoing =
  wordSet(`stop help resist avoid wait shake sure know why only matter care doubt fight escape ignore unsee forget
  kidding joking lying closer close much more such quit hide deny understand believe enough be imagine promise guarantee`);
const turning = wordSet(
  'but however although though yet because except instead until unless otherwise so then pero mais aber mas ma sondern',
);
const subjects = wordSet('i he she they we you it that this there');
const linking = wordSet('or nor and ni oder ou o e und');
const furthestBack = 12;

const firstPerson = wordSet('i me my myself mine yo mi je moi ich mir mich mein meine eu mim meu minha io');
const ownPerson = wordSet('i me myself');
const secondPerson = wordSet('you your yours yourself yourselves');
const pronouns = wordSet('he she they him her them his hers their theirs himself herself themselves');
const relations =
  wordSet(`friend bestie brother sister mom mother dad father son daughter wife husband partner boyfriend girlfriend
  roommate cousin uncle aunt niece nephew grandma grandpa grandmother grandfather coworker colleague classmate student neighbor
  neighbour teammate ex child kid teen teenager stepdad stepmom stepbrother stepsister boss teacher girl guy buddy mate twin
  someone somebody client patient man woman boy fiance fiancee bf gf sibling caller user parents stepson stepdaughter
  grandson granddaughter coach pastor nurse mentee pupil stranger lady veteran person`);
const generic =
  wordSet(`people patients clients teens teenagers veterans individuals men women those anyone everyone adolescents
  children students users youth population doctors who americans farmers soldiers victims adults survivors whoever group
  participants characters character protagonist hero`);

/** What is looked at around phrases: it must be made out where it hides, too. */
export const surroundingWords: readonly string[] = [negators, undoing, turning, subjects, linking].flatMap((words) => [
  ...words,
]);

export type Speaker = 'self' | 'you' | 'other' | 'generic' | 'nobody';

/** @returns whether a negation reaches the words from `from` on: "I would never ...", "no thoughts of ..." */
export function isDenied(words: Words, hit: Pick<Hit, 'from' | 'sentence'>): boolean {
  const { from: begin } = words.sentences[hit.sentence]!;
  let hasSubject = false;
  let isUndone = false;
  for (let at = hit.from - 1; at >= begin && hit.from - at <= furthestBack; at -= 1) {
    const word = words.text[at]!;
    // The gap lies before a word: crossing it leads into another clause.
    if (words.gaps[at + 1] === gap.clause && (hasSubject || !linking.has(words.text[at + 1]!))) return false;
    if (turning.has(word)) return false;
    if (linking.has(word) && subjects.has(words.text[at + 1]!)) return false;
    if (negators.has(word)) return !isUndone && !isAsked(words, at, begin);
    if (undoing.has(word)) isUndone = true;
    if (subjects.has(word)) hasSubject = true;
  }
  return false;
}

/** "Why don't I just": a question that proposes. */
const isAsked = (words: Words, at: number, begin: number): boolean =>
  at - 2 >= begin && words.text[at - 2] === 'why' && words.text[at] === 'not';

/** @returns of whom the words speak: of the writer where they say so, or else of the nearest person before them */
export function speakerOf(words: Words, hit: Pick<Hit, 'from' | 'to' | 'sentence'>): Speaker {
  const { from: begin } = words.sentences[hit.sentence]!;
  if (hasWord(words, hit.from, hit.to, ownPerson)) return 'self';
  for (let at = hit.from - 1; at >= begin; at -= 1) {
    const who = personOf(words.text[at]!);
    if (who !== undefined) return who;
  }
  if (hasWord(words, hit.from, hit.to, firstPerson)) return 'self';
  return hasWord(words, hit.from, hit.to, secondPerson) ? 'you' : 'nobody';
}

function personOf(word: string): Speaker | undefined {
  if (firstPerson.has(word)) return 'self';
  if (secondPerson.has(word)) return 'you';
  if (generic.has(word)) return 'generic';
  if (pronouns.has(word) || relations.has(word)) return 'other';
  return undefined;
}

/** @returns whether somebody the writer knows is named in the words from `from` to `to` */
export function namesSomebody(words: Words, from: number, to: number): boolean {
  for (let at = Math.max(0, from); at < to && at < words.text.length; at += 1) {
    const word = words.text[at]!;
    if (relations.has(word) || pronouns.has(word)) return true;
  }
  return false;
}

/** @returns whether one of the words stands from `from` to `to` (exclusive) */
export function hasWord(words: Words, from: number, to: number, wanted: ReadonlySet<string>): boolean {
  for (let at = Math.max(0, from); at < to && at < words.text.length; at += 1)
    if (wanted.has(words.text[at]!)) return true;
  return false;
}
