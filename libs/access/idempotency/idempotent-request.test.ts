import { expect, it } from 'vitest';
import { idempotencyKeyOf } from './idempotent-request.js';

it.each([
  ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
  ['"8e03978e"', '8e03978e'],
  ['a', 'a'],
  ['x'.repeat(255), 'x'.repeat(255)],
])('takes %s', (header, key) => expect(idempotencyKeyOf(header)).toBe(key));

it.each([
  ['', /empty/],
  ['""', /empty/],
  ['x'.repeat(256), /at most 255 characters, not 256/],
  ['two words', /without spaces/],
  ['one, two', /without spaces/],
  ['schlüssel', /visible ASCII/],
  ['tab\there', /visible ASCII/],
  ['slu_abcdefghij', /not an API key/],
  ['Bearer_x', /not an API key/],
])('refuses %j with the name of the header and never with its value', (header, problem) => {
  expect(() => idempotencyKeyOf(header)).toThrow(problem);
  expect(() => idempotencyKeyOf(header)).toThrow(/^Idempotency-Key: /);
  if (header.length > 8) expect(() => idempotencyKeyOf(header)).not.toThrow(header);
});
