import fc from 'fast-check';
import { expect, it } from 'vitest';
import { redactValue, type Redactions } from '../../audit/payloads/payload-redactor.js';
import { PersonalRedactor } from './personal-redactor.js';

const redactor = new PersonalRedactor();
const redact = (text: string): string => redactor.redact(text, {});

it.each([
  ["write to jane.o'neil+x@mail.example.co.uk, please", 'write to [EMAIL], please'],
  ['jane%40example.com', '[EMAIL]'],
  ['ｊａｎｅ＠example.com', '[EMAIL]'],
  ['jane\u200b@example.com', '[EMAIL]'],
  ['müller@bücher.example', '[EMAIL]'],
  ['card 4111 1111 1111 1111.', 'card [CREDIT_CARD].'],
  ['4111-1111-1111-1111', '[CREDIT_CARD]'],
  ['378282246310005', '[CREDIT_CARD]'],
  ['４１１１１１１１１１１１１１１１', '[CREDIT_CARD]'],
  ['DE89 3704 0044 0532 0130 00', '[IBAN]'],
  ['gb82west12345698765432', '[IBAN]'],
  ['ssn 078-05-1120', 'ssn [SSN]'],
  ['from 192.168.10.255 and 2001:db8::8a2e:370:7334', 'from [IP_ADDRESS] and [IP_ADDRESS]'],
  ['call +49 (0)30 901820 or 0049-30-901820', 'call [PHONE] or [PHONE]'],
  ['(415) 555-2671', '[PHONE]'],
  ['Authorization: Bearer abcdefghij.klm', 'Authorization: Bearer [SECRET]'],
  ['sk-proj-abcdefghijklmnop and AKIAIOSFODNN7EXAMPLE', '[SECRET] and [SECRET]'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl', '[SECRET]'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----', '[SECRET]'],
])('takes out %s', (text, left) => {
  expect(redact(text)).toBe(left);
});

it.each([
  'a number with a wrong check digit: 4111 1111 1111 1112',
  'DE88 and the year 2026 at 12:30:45',
  'version 1.2.3 of 10 items',
  '',
])('leaves alone: %s', (text) => {
  expect(redact(text)).toBe(text);
});

it('finds every issued card number with a right check digit, wherever it stands in a text', () => {
  const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 11, maxLength: 17 });
  const issuer = fc.constantFrom(3, 4, 5, 6);
  const words = fc.constantFrom('', 'pay ', 'Karte: ', '"', '\n');
  fc.assert(
    fc.property(issuer, digits, words, words, (first, rest, before, after) => {
      const body = [first, ...rest];
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
    messages: [{ content: ['[EMAIL]', { '[EMAIL]': true }] }],
    card: '[CREDIT_CARD]',
    left: [1.5, false, null],
  });
  expect(redactions).toEqual({ email: 2, credit_card: 1 });
});

function checkDigit(body: readonly number[]): number {
  const sum = [...body].reverse().reduce((total, digit, index) => {
    const weighed = index % 2 === 0 ? digit * 2 : digit;
    return total + (weighed > 9 ? weighed - 9 : weighed);
  }, 0);
  return (10 - (sum % 10)) % 10;
}
