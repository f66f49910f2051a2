import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { isKeyShaped, newKey, Pepper, prefixOf } from './key-secret.js';

it('makes keys of 256 random bits that never repeat', () => {
  const keys = new Set(Array.from({ length: 1_000 }, () => newKey()));
  expect(keys.size).toBe(1_000);
  for (const key of keys) expect(isKeyShaped(key)).toBe(true);
  expect(newKey(() => Buffer.alloc(32, 0xff)).slice(4, 47)).not.toContain('undefined');
});

it('carries a checksum that whoever has found a key in a text can compute again', () => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  for (let count = 0; count < 100; count += 1) {
    const [, secret = '', checksum = ''] = /^slu_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/.exec(newKey()) ?? [];
    expect([...checksum].reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0)).toBe(crc32(secret));
  }
});

it('tells a key that was mistyped or cut off from a key', () => {
  const key = newKey();
  for (let index = 4; index < key.length; index += 1) {
    const typo = key[index] === 'a' ? 'b' : 'a';
    expect(isKeyShaped(key.slice(0, index) + typo + key.slice(index + 1))).toBe(false);
  }
  expect([key.slice(0, -1), `${key}x`, '', 'slu_', ` ${key}`].map(isKeyShaped)).not.toContain(true);
});

it('still takes keys of the first release', () => {
  expect(isKeyShaped(`slu_${Buffer.alloc(32, 251).toString('base64url')}`)).toBe(true);
});

it('shows six characters of a key and no more', () => {
  const key = newKey(() => Buffer.alloc(32, 7));
  expect(prefixOf(key)).toBe(key.slice(0, 10));
});

it('digests under a pepper of the master key: another master key, another digest', () => {
  const key = newKey();
  const one = new Pepper(Buffer.alloc(32, 1));
  expect(one.digestOf(key)).toEqual(new Pepper(Buffer.alloc(32, 1)).digestOf(key));
  expect(one.digestOf(key)).not.toEqual(new Pepper(Buffer.alloc(32, 2)).digestOf(key));
  expect(one.digestOf(key)).toHaveLength(32);
});
