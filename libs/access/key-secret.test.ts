import { expect, it } from 'vitest';
import { isKeyShaped, newKey, Pepper, prefixOf } from './key-secret.js';

it('makes keys of 256 random bits that never repeat', () => {
  const keys = new Set(Array.from({ length: 1_000 }, () => newKey()));
  expect(keys.size).toBe(1_000);
  for (const key of keys) expect(isKeyShaped(key)).toBe(true);
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
