import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Lexicon } from './lexicon.js';
import { PhraseAutomaton } from './phrase-automaton.js';
import { parsePhrase, type PhraseItem } from './phrase.js';

const idOf = (word: string): number => word.charCodeAt(0) - 96;

/** Every list of words that a phrase stands for, the slow way. */
function spread(item: PhraseItem): string[] {
  if (typeof item === 'string') return [item];
  const lists = item.choices.flatMap((choice) =>
    choice.map(spread).reduce((heads, tails) => heads.flatMap((head) => tails.map((tail) => head + tail)), ['']),
  );
  return item.isOptional ? ['', ...lists] : lists;
}

it('finds what a search for every spelling of every phrase finds, the longest from each beginning', () => {
  const word = fc.constantFrom('a', 'b', 'c');
  const { phrase } = fc.letrec<{ item: string; phrase: string }>((tie) => ({
    item: fc.oneof(
      { depthSize: 'small' },
      word,
      fc.array(tie('phrase'), { minLength: 1, maxLength: 3 }).map((choices) => `(${choices.join('|')})`),
      word.map((each) => `${each} ?`),
    ),
    phrase: fc.array(tie('item'), { minLength: 1, maxLength: 3 }).map((items) => items.join(' ')),
  }));
  fc.assert(
    fc.property(
      fc.array(phrase, { minLength: 1, maxLength: 4 }),
      fc.string({ unit: word, maxLength: 20 }),
      (phrases, text) => {
        const parsed = phrases.map((each) => parsePhrase(`a ${each}`, {}));
        const automaton = new PhraseAutomaton(new Set());
        parsed.forEach((each, entry) => automaton.add(each, entry, (written) => [idOf(written)]));
        const found: string[] = [];
        automaton.find([...text].map(idOf), 0, text.length, (entry, from, to) => found.push(`${entry} ${from} ${to}`));
        const expected = parsed.flatMap((each, entry) =>
          [...text].flatMap((_letter, from) => {
            const lengths = spread(each)
              .filter((spelling) => text.startsWith(spelling, from))
              .map(({ length }) => length);
            return lengths.length === 0 ? [] : [`${entry} ${from} ${from + Math.max(...lengths)}`];
          }),
        );
        expect(found.sort()).toEqual(expected.sort());
      },
    ),
    { numRuns: 1_000 },
  );
});

const lexicon = new Lexicon(
  [
    { id: 'kill', phrases: ['(kill|killing) @self', 'killed'] },
    { id: 'die', phrases: ['want to die'] },
  ],
  {},
  { words: [], mistyped: [] },
);
const found = (text: string): string[] => lexicon.read(text).hits.map(({ entry }) => `${entry.id} ${entry.person}`);

it('finds whole words and no parts of them', () => {
  expect(found('I am skilled, unskilled and overkilled')).toEqual([]);
  expect(found('It killed him')).toEqual(['kill any']);
});

it('tells whose self it is, and passes over words that only weigh', () => {
  expect(found('killing myself')).toEqual(['kill self']);
  expect(found('kill herself')).toEqual(['kill other']);
  expect(found('go kill yourself')).toEqual(['kill you']);
  expect(found('I really want to just fucking die')).toEqual(['die any']);
});

it('finds nothing across the end of a sentence', () => expect(found('I want to. Die is a word.')).toEqual([]));

it('takes steps in proportion to the words, whatever they are', () => {
  for (const line of ['want to ', 'want to die ', 'killing ', 'want to just so really very ', 'x ']) {
    const [short, long] = [lexicon.read(line.repeat(500)).steps, lexicon.read(line.repeat(5_000)).steps];
    expect(long).toBeLessThanOrEqual(short * 11 + 100);
  }
});

it.each([
  ['(a|b', 'not closed'],
  ['a b)', 'too many'],
  ['? a', 'nothing before'],
  ['@nobody', 'nobody wrote down'],
])('refuses the phrase %j', (phrase, problem) => expect(() => parsePhrase(phrase, {})).toThrow(problem));

it('refuses a phrase that can be empty', () => {
  expect(() => new PhraseAutomaton(new Set()).add(parsePhrase('a ?', {}), 0, () => [1])).toThrow('can be empty');
});
