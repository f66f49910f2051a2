import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StopFilter } from './stop-filter.js';

function filter(pieces: readonly string[], stops: readonly string[]): { said: string; met: string | undefined } {
  const stopFilter = new StopFilter(stops);
  let said = '';
  for (const piece of pieces) {
    const { text, met } = stopFilter.push(piece);
    said += text;
    if (met !== undefined) return { said, met };
  }
  return { said: said + stopFilter.end(), met: undefined };
}

it('says what stands before the first stop string, however the text comes in pieces', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c') });
  const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(letters), fc.array(stop, { minLength: 1, maxLength: 4 }), (pieces, stops) => {
      const text = pieces.join('');
      const { said, met } = filter(pieces, stops);
      // What was said is the beginning of the text, and no stop string is in it.
      expect(text.startsWith(said)).toBe(true);
      for (const one of stops) expect(said).not.toContain(one);
      if (met === undefined) expect(said).toBe(text);
      else expect(text.startsWith(said + met)).toBe(true);
      if (met === undefined) for (const one of stops) expect(text).not.toContain(one);
    }),
  );
});

it('holds back no more than may become a stop string', () => {
  const stopFilter = new StopFilter(['</s>']);
  expect(stopFilter.push('done <')).toEqual({ text: 'done ', met: undefined });
  expect(stopFilter.push('b>')).toEqual({ text: '<b>', met: undefined });
});
