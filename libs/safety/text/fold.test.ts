import fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldText } from './fold.js';

/** Whatever may stand in a text: plain words, disguises, other scripts, halves of pairs, what cannot be seen. */
const piece = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom(
    'kill',
    'мy ѕelf',
    'ｗａｎｔ',
    '𝐝𝐢𝐞',
    'e\u0301',
    '\u200b',
    '\u202eflesym\u202c',
    '\ud800',
    '\udc00',
    'ß',
    '🇰🇮',
    'ﬁ',
    '…',
    'Привет',
    'السلام',
    '中文',
  ),
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));

it('leads each unit back to the code point that it came from', () => {
  fc.assert(
    fc.property(text, (original) => {
      const { text: folded, starts, ends } = foldText(original);
      expect([starts.length, ends.length]).toEqual([folded.length, folded.length]);
      for (let at = 0; at < folded.length; at += 1) {
        const source = original.slice(starts[at], ends[at]);
        expect([...source]).toHaveLength(1);
        // Within its word a letter may have been taken for another: alone it folds to something, too.
        expect(foldText(source).text.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 2_000 },
  );
});

it('leaves nothing to do for a second time', () => {
  fc.assert(
    fc.property(text, (original) => {
      const once = foldText(original).text;
      expect(foldText(once).text).toBe(once);
    }),
    { numRuns: 2_000 },
  );
});

it.each([
  ['KILL', 'kill'],
  ['ｋｉｌｌ', 'kill'],
  ['𝓴𝓲𝓵𝓵', 'kill'],
  ['🅺🅸🅻🅻', 'kill'],
  ['ⓚⓘⓛⓛ', 'kill'],
  ['кіll', 'kill'],
  ['k\u200bi\u00adl\u2060l', 'kill'],
  ['k\u0336i\u0336l\u0336l\u0336', 'kill'],
  ['ķíļļ', 'kill'],
  ['\u202ellik\u202c', 'kill'],
  ['don’t', "don't"],
  ['k\ud800ill', 'kill'],
])('reads %j as %s', (given, read) => expect(foldText(given).text).toBe(read));

it('leaves words of other scripts that are no disguise', () => {
  expect(foldText('Привет, жизнь').text).toBe('привет, жизнь');
});
