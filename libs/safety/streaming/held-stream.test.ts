import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filterWhole, HeldStream, type Edit, type HoldBack, type Released, type StreamFilter } from './held-stream.js';

const secrets = /\b\d{4}(?: \d{4}){3}\b|[\w.]{1,20}@[a-z]{1,20}\.[a-z]{2,5}\b|kill myself/g;
const longestSecret = 48;

/** Replaces what matches, wherever it lies: a pattern of bounded length. */
const redact: StreamFilter = (text, from, to) => {
  const edits: Edit[] = [];
  for (const match of text.matchAll(secrets)) {
    const [start, end] = [match.index, match.index + match[0].length];
    if (start >= from && start < to) edits.push({ start, end, replacement: '[REDACTED]' });
  }
  return { edits };
};

/** Looks at the segment as a whole, and at what came before. */
const shout: StreamFilter = (text, from, to) => {
  const segment = text.slice(from, to);
  if (segment.includes('stop here')) return { edits: [], block: 'unsafe' };
  if (!/before\s*$/.test(text.slice(0, from)) && !segment.includes('!')) return { edits: [] };
  return { edits: [{ start: from, end: to, replacement: segment.toUpperCase() }] };
};

function stream(chunks: readonly string[], filter: StreamFilter, hold: HoldBack): Released & { most: number } {
  const held = new HeldStream(filter, hold);
  const out: string[] = [];
  let block: string | undefined;
  let most = 0;
  for (const chunk of chunks) {
    const released = held.push(chunk);
    out.push(released.text);
    block ??= released.block;
    most = Math.max(most, held.heldUnits - chunk.length);
  }
  const last = held.end();
  block ??= last.block;
  return { text: out.join('') + last.text, ...(block !== undefined && { block }), most };
}

const cutAt = (text: string, places: readonly number[]): string[] => {
  const sorted = [...new Set(places.map((place) => place % (text.length + 1)))].sort((one, other) => one - other);
  return [...sorted, text.length].map((to, at) => text.slice(at === 0 ? 0 : sorted[at - 1]!, to));
};

const piece = fc.oneof(
  fc.constantFrom(
    'Hello there. ',
    'my card is 4111 1111 1111 1111',
    'mail a.b@example.com now',
    'I want to kill myself',
    '! ',
    '? ',
    '... ',
    'Dr. Smith said 3.5. ',
    '\n',
    'before',
    'stop here',
    ' ',
    '😀',
    '\ud83d',
    'word ',
    '12 Elm St. Springfield ',
    '"Really?" she asked. ',
    '。',
  ),
  fc.string({ maxLength: 12 }),
);
const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
const holds = fc.record({
  mostSegmentUnits: fc.integer({ min: 1, max: 80 }),
  lookAheadUnits: fc.integer({ min: 0, max: 60 }),
  lookBackUnits: fc.integer({ min: 0, max: 40 }),
});

describe.each([
  ['redacts', redact],
  ['looks at whole sentences and blocks', shout],
])('for a filter that %s', (_name, filter) => {
  it('lets the same go for every way of cutting a text', () => {
    fc.assert(
      fc.property(text, holds, fc.array(fc.nat(), { maxLength: 12 }), (whole, hold, places) => {
        const { text: out, block } = stream(cutAt(whole, places), filter, hold);
        const expected = filterWhole(whole, filter, hold);
        expect({ text: out, block }).toEqual({ text: expected.text, block: expected.block });
      }),
      { numRuns: 4_000 },
    );
  });

  it('lets the same go unit by unit', () => {
    fc.assert(
      fc.property(text, holds, (whole, hold) => {
        const { text: out, block } = stream(whole.split(''), filter, hold);
        const expected = filterWhole(whole, filter, hold);
        expect({ text: out, block }).toEqual({ text: expected.text, block: expected.block });
      }),
      { numRuns: 1_000 },
    );
  });
});

it('finds every pattern up to the look-ahead, across the ends of sentences and cuts', () => {
  const hold = { mostSegmentUnits: 64, lookAheadUnits: longestSecret, lookBackUnits: 32 };
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 12 }), (whole, places) => {
      expect(stream(cutAt(whole, places), redact, hold).text).toBe(whole.replace(secrets, '[REDACTED]'));
    }),
    { numRuns: 3_000 },
  );
});

it('lets a sentence go when it has ended, and no sooner', () => {
  const held = new HeldStream(redact, { mostSegmentUnits: 200, lookAheadUnits: 0, lookBackUnits: 0 });
  expect(held.push('I want to ki').text).toBe('');
  expect(held.push('ll myself. ').text).toBe('I want to [REDACTED]. ');
  expect(held.push('Bye').text).toBe('');
  expect(held.end()).toEqual({ text: 'Bye' });
});

it('ends in the middle of a stream when a sentence is blocked, and says so from then on', () => {
  const held = new HeldStream(shout, { mostSegmentUnits: 200, lookAheadUnits: 0, lookBackUnits: 0 });
  expect(held.push('Fine. Now stop here. More. ')).toEqual({ text: 'Fine. ', block: 'unsafe' });
  expect(held.push('And more. ')).toEqual({ text: '', block: 'unsafe' });
  expect(held.end()).toEqual({ text: '', block: 'unsafe' });
});

it('holds a bounded length of a stream that never ends a sentence', () => {
  const hold = { mostSegmentUnits: 400, lookAheadUnits: 50, lookBackUnits: 50 };
  for (const chunk of ['x', 'word ', '😀', '4111 ']) {
    const { text: out, most } = stream(new Array(5_000).fill(chunk), redact, hold);
    expect(out.length).toBeGreaterThan(4_000);
    expect(most).toBeLessThanOrEqual(450);
  }
});
