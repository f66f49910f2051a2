import fc from 'fast-check';
import { expect, it } from 'vitest';
import { redactValue, type Redactions } from './payload-redactor.js';
import { StructuredRedactor } from './structured-redactor.js';

const redactor = new StructuredRedactor();
const redact = (text: string): string => redactor.redact(text, {});

it.each([
  ["write to jane.o'neil+x@mail.example.co.uk, please", 'write to [email], please'],
  ['jane%40example.com', '[email]'],
  ['ｊａｎｅ＠example.com', '[email]'],
  ['jane\u200b@example.com', '[email]'],
  ['müller@bücher.example', '[email]'],
  ['card 4111 1111 1111 1111.', 'card [card].'],
  ['4111-1111-1111-1111', '[card]'],
  ['378282246310005', '[card]'],
  ['４１１１１１１１１１１１１１１１', '[card]'],
  ['DE89 3704 0044 0532 0130 00', '[iban]'],
  ['gb82west12345698765432', '[iban]'],
  ['ssn 078-05-1120', 'ssn [ssn]'],
  ['from 192.168.10.255 and 2001:db8::8a2e:370:7334', 'from [ip] and [ip]'],
  ['call +49 (0)30 901820 or 0049-30-901820', 'call [phone] or [phone]'],
  ['(415) 555-2671', '[phone]'],
  ['Authorization: Bearer abcdefghij.klm', 'Authorization: [key]'],
  ['sk-proj-abcdefghijklmnop and AKIAIOSFODNN7EXAMPLE', '[key] and [key]'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', '[key]'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----', '[private-key]'],
])('takes out %s', (text, left) => {
  expect(redact(text)).toBe(left);
});

it.each([
  'a number with a wrong check digit: 4111 1111 1111 1112',
  'DE88 and the year 2026-11-24 at 12:30:45',
  'version 1.2.3 of 10 items',
  '',
])('leaves alone: %s', (text) => {
  expect(redact(text)).toBe(text);
});

it('finds every card number with a right check digit, wherever it stands in a text', () => {
  const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 18 });
  const words = fc.constantFrom('', 'pay ', 'Karte: ', '"', '\n');
  fc.assert(
    fc.property(digits, words, words, (body, before, after) => {
      fc.pre(body.some((digit) => digit !== 0));
      const number = body.join('') + checkDigit(body);
      const redactions: Redactions = {};
      const left = redactor.redact(`${before}${number}${after}`, redactions);
      expect(left).not.toContain(number);
    }),
  );
});

it('redacts in lists, members, names of members and numbers, and counts by kind', () => {
  const redactions: Redactions = {};
  const value = {
    messages: [{ content: ['jane@example.com', { 'joe@example.com': true }] }],
    card: 4111111111111111,
    left: [1.5, false, null],
  };
  expect(redactValue(value, redactor, redactions)).toEqual({
    messages: [{ content: ['[email]', { '[email]': true }] }],
    card: '[card]',
    left: [1.5, false, null],
  });
  expect(redactions).toEqual({ email: 2, card: 1 });
});

it('is done within a moment with a text made to be slow', () => {
  const texts = [
    '1 '.repeat(50_000),
    'a@'.repeat(50_000),
    'a.'.repeat(50_000),
    '1:'.repeat(50_000),
    'DE89'.repeat(30_000),
  ];
  const beganMs = performance.now();
  for (const text of texts) redact(text);
  expect(performance.now() - beganMs).toBeLessThan(3_000);
});

function checkDigit(body: readonly number[]): number {
  const sum = [...body].reverse().reduce((total, digit, index) => {
    const weighed = index % 2 === 0 ? digit * 2 : digit;
    return total + (weighed > 9 ? weighed - 9 : weighed);
  }, 0);
  return (10 - (sum % 10)) % 10;
}
