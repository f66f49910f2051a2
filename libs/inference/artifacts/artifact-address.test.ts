import { expect, it } from 'vitest';
import { anySource, isLoopbackHost } from './artifact-address.js';

it.each([
  '169.254.169.254',
  '2852039166',
  '[::ffff:a9fe:a9fe]',
  '[64:ff9b::a9fe:a9fe]',
  '0.0.0.0',
  '224.0.0.1',
  '[fe80::1]',
])('nothing is ever fetched from %s', (host) =>
  expect(anySource.problemOf(new URL(`http://${host}/`))).toMatch(/where nothing may be reached/),
);

it('of the machine itself is known however it is written', () => {
  expect(['localhost', '127.0.0.1', '127.9.9.9', '[::1]', '::1'].map(isLoopbackHost)).toEqual(Array(5).fill(true));
  expect(['10.0.0.0', 'localhost.example', 'example', '128.0.0.1'].map(isLoopbackHost)).toEqual(Array(4).fill(false));
});
