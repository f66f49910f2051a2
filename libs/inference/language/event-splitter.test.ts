import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventSplitter } from './event-splitter.js';
import { ReplicaFailure } from '../ports/replica.js';

it('gives the same events however the bytes are cut, with every kind of line end', () => {
  const line = fc.string().map((text) => text.replace(/[\r\n]/g, ''));
  const event = fc.record({
    data: fc.array(line, { minLength: 1, maxLength: 3 }),
    comment: fc.boolean(),
    end: fc.constantFrom('\n', '\r\n', '\r'),
  });
  fc.assert(
    fc.property(fc.array(event), fc.array(fc.nat()), (events, cuts) => {
      const text = events
        .map(({ data, comment, end }) => {
          const lines = data.map((each) => `data: ${each}`);
          return [...(comment ? [': hello', 'event: x'] : []), ...lines, '', ''].join(end);
        })
        .join('');
      const bytes = Buffer.from(text);
      const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((one, other) => one - other);
      const splitter = new EventSplitter();
      const seen: string[] = [];
      let from = 0;
      for (const place of [...places, bytes.length]) {
        seen.push(...splitter.push(bytes.subarray(from, place)));
        from = place;
      }
      seen.push(...splitter.end());
      const expected = events.map(({ data }) => Buffer.from(data.join('\n')).toString('latin1'));
      expect(seen).toEqual(expected);
    }),
  );
});

it('gives up on an event without an end', () => {
  const splitter = new EventSplitter();
  const portion = Buffer.alloc(1_048_576, 'x');
  expect(() => {
    for (let count = 0; count < 20; count += 1) splitter.push(portion);
  }).toThrow(ReplicaFailure);
});

it('looks at each byte of a long event once, in however many pieces it comes', () => {
  const splitter = new EventSplitter();
  const piece = Buffer.alloc(256, 'x');
  splitter.push(Buffer.from('data: '));
  // With a look at all that is there for each piece this takes minutes.
  for (let count = 0; count < 60_000; count += 1) expect(splitter.push(piece)).toEqual([]);
  expect(splitter.push(Buffer.from('\n\r'))).toEqual([]);
  expect(splitter.push(Buffer.from('\n')).map(({ length }) => length)).toEqual([60_000 * 256]);
});
