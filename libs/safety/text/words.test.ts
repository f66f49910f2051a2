import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readWords } from './words.js';
import { Vocabulary } from './vocabulary.js';

const vocabulary = new Vocabulary(
  ['kill', 'myself', 'i', 'want', 'to', 'die', 'suicide', 'soon', 'not', 'self', 'harm'],
  ['suicide', 'myself'],
);
const words = (text: string) => readWords(text, vocabulary);

it.each([
  ['I want to k1ll mys3lf', 'i want to kill myself'],
  ['k*ll', 'kill'],
  ['su!c!de', 'suicide'],
  ['$uicide!!!', 'suicide'],
  ['s.u.i.c.i.d.e', 'suicide'],
  ['k i l l m y s e l f', 'kill myself'],
  ['k-i-l-l', 'kill'],
  ['k  i  l  l', 'kill'],
  ['suuuuicide', 'suicide'],
  ['kiiiiilll', 'kill'],
  ['su-icide', 'suicide'],
  ['self-harm', 'self harm'],
  ['#iwanttodie', 'i want to die'],
  ['suicde', 'suicide'],
  ["I don't", 'i do not'],
  ['I dont', 'i do not'],
  ['*kill*', 'kill'],
])('reads %j as %s', (given, read) => expect(words(given).text.join(' ')).toBe(read));

it.each([
  '50mg twice a day',
  'b2b sales',
  'the F B I',
  'a.b.c',
  'skilled',
  'e-mail me at a.b@example.com',
  'MP3',
  '3rd',
])('leaves %j as it is written', (given) =>
  expect(words(given).text.join('')).toBe(given.toLowerCase().replace(/[^a-z0-9]/g, '')),
);

it('leads each word back to the text that it came from, in order', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.constantFrom('k1ll ', 'k i l l', "don't ", 'sooooon', 'my\u200bself ', '. ', '"', '\n\n', '? '),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 15 }).map((pieces) => pieces.join('').replaceAll('\u202e', '')),
      (original) => {
        const { text, starts, ends, sentences } = words(original);
        for (let at = 0; at < text.length; at += 1) {
          expect(starts[at]).toBeLessThan(ends[at]!);
          expect(ends[at]).toBeLessThanOrEqual(original.length);
          if (at > 0) expect(starts[at]).toBeGreaterThanOrEqual(starts[at - 1]!);
          expect(words(original.slice(starts[at], ends[at])).text.length).toBeGreaterThan(0);
        }
        expect(sentences.reduce((count, { from, to }) => count + to - from, 0)).toBe(text.length);
      },
    ),
    { numRuns: 2_000 },
  );
});

it('tells sentences, clauses, questions and quotations apart', () => {
  const read = words('He said "I want to die", then left. Why? I do not know!');
  expect(read.sentences.map(({ from, to, isQuestion }) => [read.text.slice(from, to).join(' '), isQuestion])).toEqual([
    ['he said i want to die then left', false],
    ['why', true],
    ['i do not know', false],
  ]);
  expect(read.text.filter((_word, at) => read.quoted[at])).toEqual(['i', 'want', 'to', 'die']);
  expect(words('a "never closed').quoted).toEqual([false, false, false]);
});
