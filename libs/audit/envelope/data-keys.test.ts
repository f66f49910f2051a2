import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { freshDatabase } from '../../../test/support/database.js';
import { DataKeys, type SealedContent } from './data-keys.js';
import type { EnvelopeBinding } from './envelope-cipher.js';
import { certificateKey, MasterKeys, SubjectPseudonyms } from './master-keys.js';

const [old, current, other] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];
const content = Buffer.from('what was said');
const bindingOf = (subject: string | undefined = randomUUID()): EnvelopeBinding => ({
  purpose: 'payload',
  row: randomUUID(),
  subject,
});

async function stage() {
  const db = await freshDatabase();
  const keysOf = (...masters: [Buffer, ...Buffer[]]) => {
    const [first, ...earlier] = masters;
    const dataKeys = new DataKeys(db.database, new MasterKeys(first, earlier));
    return {
      dataKeys,
      seal: (binding: EnvelopeBinding) => db.database.run((tx) => dataKeys.seal(tx, content, binding)),
      open: async (sealed: SealedContent, binding: EnvelopeBinding) =>
        (await db.database.read((tx) => dataKeys.open(tx, sealed, binding)))?.toString(),
      destroy: (subject: string) => db.database.run((tx) => dataKeys.destroy(tx, subject)),
    };
  };
  return { db, keysOf, [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() };
}

it('opens what it sealed for exactly that row, purpose and subject, and nothing that was changed', async () => {
  await using at = await stage();
  const { seal, open } = at.keysOf(current);
  const binding = bindingOf();
  const sealed = await seal(binding);
  expect(await open(sealed, binding)).toBe('what was said');
  const wrong: EnvelopeBinding[] = [
    { ...binding, row: randomUUID() },
    { ...binding, purpose: 'export' },
    { ...binding, subject: randomUUID() },
    { ...binding, subject: undefined },
  ];
  for (const each of wrong) expect(await open(sealed, each)).toBeUndefined();
  for (let index = 0; index < sealed.sealed.length; index += 1) {
    const changed = Buffer.from(sealed.sealed);
    changed[index]! ^= 1;
    expect(await open({ ...sealed, sealed: changed }, binding)).toBeUndefined();
  }
});

it('gives a subject one key, made once however many ask at once, and each content without a subject its own', async () => {
  await using at = await stage();
  const { seal } = at.keysOf(current);
  const subject = randomUUID();
  const many = await Promise.all(Array.from({ length: 12 }, () => seal(bindingOf(subject))));
  expect(new Set(many.map(({ dataKeyId }) => dataKeyId)).size).toBe(1);
  const alone = await Promise.all(
    [1, 2, 3].map(() => seal({ purpose: 'payload', row: randomUUID(), subject: undefined })),
  );
  expect(new Set(alone.map(({ dataKeyId }) => dataKeyId)).size).toBe(3);
});

it('changes the master key without touching a content, and leaves nothing to the earlier one', async () => {
  await using at = await stage();
  const before = at.keysOf(old);
  const sealed: [SealedContent, EnvelopeBinding][] = [];
  for (let count = 0; count < 5; count += 1) {
    const binding = bindingOf();
    sealed.push([await before.seal(binding), binding]);
  }
  expect(await at.keysOf(current, old).dataKeys.rewrap()).toEqual({ rewrapped: 5, unreadable: 0 });
  for (const [content, binding] of sealed) {
    expect(await at.keysOf(current).open(content, binding)).toBe('what was said');
    expect(await before.open(content, binding)).toBeUndefined();
  }
  expect(await at.keysOf(current, old).dataKeys.rewrap()).toEqual({ rewrapped: 0, unreadable: 0 });
});

it('says how many keys hang on a master key that was not given, and leaves them as they are', async () => {
  await using at = await stage();
  const binding = bindingOf();
  const sealed = await at.keysOf(old).seal(binding);
  expect(await at.keysOf(other).dataKeys.rewrap()).toEqual({ rewrapped: 0, unreadable: 1 });
  expect(await at.keysOf(old).open(sealed, binding)).toBe('what was said');
});

it('makes everything of a subject unreadable by destroying one key, in a copy from before as well', async () => {
  await using at = await stage();
  const { seal, open, destroy } = at.keysOf(old);
  const [mine, theirs] = [bindingOf(), bindingOf()];
  const [sealed, kept] = [await seal(mine), await seal(theirs)];
  const copy = await at.db.database.query<{ wrapped: Buffer }>('SELECT * FROM data_keys WHERE id = $1', [
    sealed.dataKeyId,
  ]);
  expect(await destroy(mine.subject!)).toBe(1);
  expect(await destroy(mine.subject!)).toBe(0);
  expect(await open(sealed, mine)).toBeUndefined();
  expect(await open(kept, theirs)).toBe('what was said');
  // A copy of the key table from before opens only with the master key of that time.
  await at.keysOf(current, old).dataKeys.rewrap();
  await at.db.database.query('UPDATE data_keys SET wrapped = $2, destroyed_at = NULL WHERE id = $1', [
    sealed.dataKeyId,
    copy[0]!.wrapped,
  ]);
  expect(await at.keysOf(current).open(sealed, mine)).toBeUndefined();
});

it('seals with a new key after a destruction', async () => {
  await using at = await stage();
  const { seal, open, destroy } = at.keysOf(current);
  const binding = bindingOf();
  const first = await seal(binding);
  await destroy(binding.subject!);
  const second = await seal(binding);
  expect(second.dataKeyId).not.toBe(first.dataKeyId);
  expect(await open(second, binding)).toBe('what was said');
});

it('names a subject by a pseudonym that is always the same, apart by tenant, and a UUID', () => {
  const pseudonyms = new SubjectPseudonyms(current);
  const [one, two] = [randomUUID(), randomUUID()];
  expect(pseudonyms.of(one, 'anna')).toBe(new SubjectPseudonyms(current).of(one, 'anna'));
  const all = [
    pseudonyms.of(one, 'anna'),
    pseudonyms.of(two, 'anna'),
    pseudonyms.of(one, 'Anna'),
    new SubjectPseudonyms(old).of(one, 'anna'),
  ];
  expect(new Set(all).size).toBe(4);
  for (const each of all) expect(each).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it('signs certificates of one installation with one Ed25519 key', () => {
  const [one, again, another] = [current, current, other].map((master) =>
    certificateKey(master).export({ format: 'der', type: 'pkcs8' }).toString('hex'),
  );
  expect([one === again, one === another, certificateKey(current).asymmetricKeyType]).toEqual([true, false, 'ed25519']);
});
