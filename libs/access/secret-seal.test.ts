import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { SecretSeal } from './secret-seal.js';

const purpose = ['secret header', 'chat', '1', 'authorization'];

it('opens what it has sealed, and never seals the same twice', () => {
  const seal = new SecretSeal(randomBytes(32));
  const texts = ['Bearer abc', '', 'naïve 👋🏽'];
  for (const text of texts) expect(seal.open(seal.seal(text, purpose), purpose)).toBe(text);
  const [one, other] = [seal.seal('Bearer abc', purpose), seal.seal('Bearer abc', purpose)];
  expect(one.sealed.equals(other.sealed)).toBe(false);
  expect(one.sealed.includes('abc')).toBe(false);
});

it('opens nothing that was moved, changed, cut off, or sealed with another master key', () => {
  const seal = new SecretSeal(randomBytes(32));
  const { keyId, sealed } = seal.seal('Bearer abc', purpose);
  // Joined, both would read the same.
  expect(seal.open({ keyId, sealed }, ['secret header', 'chat1', 'authorization'])).toBeUndefined();
  expect(seal.open({ keyId, sealed }, ['secret header', 'chat', '2', 'authorization'])).toBeUndefined();
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed[index]! ^= 1;
    expect(seal.open({ keyId, sealed: changed }, purpose)).toBeUndefined();
  }
  expect(seal.open({ keyId, sealed: sealed.subarray(0, 20) }, purpose)).toBeUndefined();
  expect(new SecretSeal(randomBytes(32)).open({ keyId, sealed }, purpose)).toBeUndefined();
});

it('goes on opening what an earlier master key has sealed, and seals with the new one', () => {
  const [earlier, now] = [randomBytes(32), randomBytes(32)];
  const old = new SecretSeal(earlier).seal('Bearer abc', purpose);
  const seal = new SecretSeal(now, [earlier]);
  expect(seal.open(old, purpose)).toBe('Bearer abc');
  expect(seal.seal('x', purpose).keyId).not.toBe(old.keyId);
  expect(new SecretSeal(now).seal('x', purpose).keyId).toBe(seal.seal('x', purpose).keyId);
});
