import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TokenText } from './token-text.js';

/** Tokens that are single bytes: the hardest vocabulary for characters. */
const ofBytes = (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8');

it('says every character whole and at once, wherever tokens cut it', () => {
  // U+FFFD itself cannot be told from bytes that are no character, and is dropped at an end like them.
  const any = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\uFFFD', ''));
  const character = fc.oneof(fc.constantFrom('a', 'ß', '語', '👋🏽', '\n', 'e\u0301'), any);
  const text = fc.array(character, { maxLength: 20 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }), (said, lengths) => {
      // Each token is some bytes, whatever characters they belong to.
      const bytes = Buffer.from(said);
      const tokens: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += lengths[(tokens.length - 1) % lengths.length]!)
        tokens.push(bytes.subarray(at, at + lengths[tokens.length % lengths.length]!));
      const reader = new TokenText((ids) => Buffer.concat(ids.map((id) => tokens[id]!)).toString(), []);
      const pieces = tokens.map((_token, id) => reader.push(id));
      expect([...pieces, reader.end()].join('')).toBe(said);
      for (const piece of pieces) expect(piece).not.toContain('\uFFFD');
    }),
  );
});

it('drops half a character at the end, and says what stands before it', () => {
  const reader = new TokenText(ofBytes, []);
  const bytes = [...Buffer.from('語')];
  expect([reader.push(0x61), reader.push(bytes[0]!), reader.push(bytes[1]!), reader.end()].join('')).toBe('a');
});

it('says every character of a long text in which each token ends inside one', () => {
  const bytes = Buffer.from('語'.repeat(40));
  // Tokens of three bytes, the first of two: every cut lies inside a character.
  const tokens = [
    bytes.subarray(0, 2),
    ...Array.from({ length: 40 }, (_, at) => bytes.subarray(2 + at * 3, 5 + at * 3)),
  ];
  const reader = new TokenText((ids) => Buffer.concat(ids.map((id) => tokens[id]!)).toString(), []);
  const said = tokens.map((_token, id) => reader.push(id)).join('') + reader.end();
  expect(said).toBe('語'.repeat(40));
});

it('does not wait forever for bytes that are no character', () => {
  const reader = new TokenText(ofBytes, []);
  const said = Array.from({ length: 20 }, () => reader.push(0x80)).join('');
  expect(said).not.toBe('');
});

it('tells the tokens before, on which a space may depend', () => {
  const seen: (readonly number[])[] = [];
  const reader = new TokenText(
    (tokens, before) => {
      seen.push(before);
      return tokens.join('');
    },
    [7, 8],
  );
  reader.push(1);
  reader.push(2);
  expect(seen).toEqual([
    [7, 8],
    [7, 8, 1],
  ]);
});
