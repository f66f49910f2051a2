import fc from 'fast-check';
import { expect, it } from 'vitest';
import { personalKinds, type PersonalSpan, type PersonalType } from '../privacy/personal-kinds.js';
import { findPersonal } from '../privacy/privacy-gate.js';
import { checkRedaction, redactFinally } from './final-redaction.js';
import { redact } from './redact.js';

const pieces = [
  'Anna',
  'my name is',
  'grace',
  'Will',
  'said',
  'Dr.',
  'Smith',
  'lives at',
  '12 Oak Street',
  'Springfield, IL 62704',
  'call',
  '212-555-0173',
  'jane@example.com',
  '4111 1111 1111 1111',
  'born',
  '3/14/1985',
  'DE89 3704 0044 0532 0130 00',
  'passport',
  'X1234567',
  '[NAME]',
  '[EMAIL]',
  '[',
  ']',
  '.',
  ',',
  '\n',
  '"',
  '’s',
  '-',
  '\u200b',
  '😀',
  '\ud83d',
  '\udc00',
  '\u202e',
  'é',
  '4',
  '0',
  ':',
  'and',
  'I',
  'the',
  'case number',
  'i feel sad',
  'https://a.example/',
  '@x1y',
  'Ünal',
];
const texts = fc.oneof(
  fc
    .array(fc.constantFrom(...pieces), { maxLength: 24 })
    .chain((words) => fc.constantFrom(' ', '').map((between) => words.join(between))),
  fc.string({ unit: 'binary', maxLength: 80 }),
);

it('changes nothing when it is done again', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const once = redactFinally(text).text;
      expect(redactFinally(once).text).toBe(once);
    }),
    { numRuns: 3000 },
  );
});

it('says in offsets of the text as given what it took out, and takes out nothing else', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const { text: out, spans } = redactFinally(text);
      let at = 0;
      let expected = '';
      for (const { type, start, end } of spans) {
        expect(start).toBeGreaterThanOrEqual(at);
        expect(end).toBeGreaterThan(start);
        expected += text.slice(at, start) + personalKinds[type].placeholder;
        at = end;
      }
      expect(out).toBe(expected + text.slice(at));
    }),
    { numRuns: 1000 },
  );
});

it('cuts no surrogate pair, wherever a span lies', () => {
  const types = Object.keys(personalKinds) as PersonalType[];
  const spans = fc.array(fc.record({ type: fc.constantFrom(...types), start: fc.nat(40), end: fc.nat(40) }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), spans, (text, some) => {
      expect(redact(text, some).isWellFormed()).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

it('makes one of spans that overlap, called by the gravest', () => {
  const spans: PersonalSpan[] = [
    { type: 'name', start: 0, end: 4 },
    { type: 'us_ssn', start: 3, end: 8 },
    { type: 'email', start: 8, end: 9 },
  ];
  expect(redact('abcdefghij', spans)).toBe('[SSN][EMAIL]j');
});

it('leaves what tells little alone standing, and tells of it', () => {
  const text = 'I work at Rivermead Foods and feel fine';
  expect(redactFinally(text).text).toBe(text);
  expect(findPersonal(text).map(({ type }) => type)).toContain('employer');
});

it('redacts what is hidden by signs without width or of full width', () => {
  expect(redactFinally('write to jane\u200b@exam\u00adple.com').text).toBe('write to [EMAIL]');
  expect(redactFinally('card ４１１１　１１１１'.replace('\u3000', ' ') + ' １１１１ １１１１.').text).toBe(
    'card [CREDIT_CARD].',
  );
});

it('says as a gate what it took out, without a word of the text', () => {
  const result = checkRedaction(redactFinally('my name is Jane Doe, ssn 219-09-9999'));
  expect(result).toMatchObject({ gate: 'redaction', flagged: true, severity: 6, category: 'us_ssn' });
  expect(JSON.stringify(result)).not.toMatch(/Jane|219/);
  expect(checkRedaction(redactFinally('nothing here'))).toMatchObject({ flagged: false, spans: [] });
});

it('stays linear: 100 KB of what invites backtracking is done in seconds at most', () => {
  const probes = [
    'A',
    '1',
    '1 ',
    '1-',
    '(',
    ' ',
    '\n',
    'a.b@',
    'a@',
    '1:',
    '::',
    '12 Main ',
    'Anna ',
    'Anna Ab ',
    'my name is ',
    'Name:\n',
    '[NAME] ',
    '0x',
    'https://a.b/',
    '+1 ',
    'corner of a ',
    'a-',
    "a'",
    'é',
    '😀',
    'passport 1',
    'x@y.',
    '-----BEGIN PRIVATE KEY-----',
    '1/1/',
    'Rue de la ',
    '12 de ',
    'Strasse 1 ',
    'eyJ',
    'password is ',
  ];
  for (const probe of probes) {
    const text = probe.repeat(Math.ceil(100_000 / probe.length));
    const begun = performance.now();
    findPersonal(text);
    expect([probe, performance.now() - begun < 8000]).toEqual([probe, true]);
  }
});
