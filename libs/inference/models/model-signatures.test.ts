import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isSluiceError } from '#libs/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.js';
import { actionsIn, digestOf, modelRow } from '../../../test/support/model-rows.js';
import { ModelSignatures } from './model-signatures.js';
import { SigningKeys } from './signing-keys.js';

const run = promisify(execFile);
const by = { actor: 'key:ci' };
let db: FreshDatabase;
let keys: SigningKeys;
let signatures: ModelSignatures;
beforeEach(async () => {
  db = await freshDatabase();
  keys = new SigningKeys(db.database);
  signatures = new ModelSignatures(db.database);
  for (const version of ['1', '2']) await modelRow(db.database, version);
});
afterEach(() => db[Symbol.asyncDispose]());

const pair = () => generateKeyPairSync('ed25519');
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();
const signed = (key: KeyObject, version = '1', keyId = 'ci') => ({
  algorithm: 'ed25519' as const,
  keyId,
  value: sign(null, Buffer.from(digestOf('m', version)), key).toString('base64'),
});
const first = { model: 'm', version: '1' };
const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (failure: unknown) => (isSluiceError(failure) ? failure.code : String(failure)),
  );
const states = async (): Promise<string[]> => (await signatures.list('m', '1')).map(({ state }) => state);

describe('a signature', () => {
  it('that the documented openssl command makes is good, and is added once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-openssl-'));
    try {
      const [key, digest] = [join(folder, 'key.pem'), join(folder, 'digest')];
      await run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', key]);
      const { stdout: publicKeyPem } = await run('openssl', ['pkey', '-in', key, '-pubout']);
      await writeFile(digest, digestOf('m', '1'));
      await run('openssl', ['pkeyutl', '-sign', '-rawin', '-inkey', key, '-in', digest, '-out', join(folder, 'sig')]);
      const value = (await readFile(join(folder, 'sig'))).toString('base64');
      await keys.add('ci', publicKeyPem, by);
      const signature = { algorithm: 'ed25519' as const, keyId: 'ci', value };
      expect(await signatures.add(first, signature, by)).toMatchObject({
        created: true,
        signature: { state: 'valid', keyId: 'ci', problem: null, addedBy: 'key:ci' },
      });
      expect(await signatures.add(first, signature, by)).toMatchObject({ created: false });
      expect(await actionsIn(db.database)).toEqual(['signing-key.add', 'model.sign']);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('is refused over another version, by another key, of another length, and for what does not exist', async () => {
    const [ours, theirs] = [pair(), pair()];
    await keys.add('ci', pem(ours.publicKey), by);
    expect(await code(signatures.add(first, signed(ours.privateKey, '2'), by))).toBe('SLU_SIGNATURE_INVALID');
    expect(await code(signatures.add(first, signed(theirs.privateKey), by))).toBe('SLU_SIGNATURE_INVALID');
    for (const value of ['', 'AAAA', `${signed(ours.privateKey).value}AAAA`])
      expect(await code(signatures.add(first, { algorithm: 'ed25519', keyId: 'ci', value }, by))).toBe(
        'SLU_SIGNATURE_INVALID',
      );
    expect(await code(signatures.add(first, signed(ours.privateKey, '1', 'nobody'), by))).toBe(
      'SLU_SIGNATURE_KEY_UNKNOWN',
    );
    expect(await code(signatures.add({ model: 'm', version: '9' }, signed(ours.privateKey), by))).toBe(
      'SLU_MODEL_VERSION_UNKNOWN',
    );
    expect(await code(signatures.list('m', '9'))).toBe('SLU_MODEL_VERSION_UNKNOWN');
    expect(await states()).toEqual([]);
  });

  it('by Sigstore is refused while there is no trust root', async () => {
    await expect(signatures.add(first, { algorithm: 'sigstore', bundle: {} }, by)).rejects.toMatchObject({
      code: 'SLU_SIGNATURE_INVALID',
      message: expect.stringContaining('SLUICE_SIGSTORE_TRUST_ROOT') as string,
    });
  });

  it('nested without end is refused', async () => {
    const bundle: unknown = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    expect(await code(signatures.add(first, { algorithm: 'sigstore', bundle: { bundle } }, by))).toBe(
      'SLU_ARTIFACT_REFUSED',
    );
  });

  it('of the same kind twenty times at once is there once', async () => {
    const { publicKey, privateKey } = pair();
    await keys.add('ci', pem(publicKey), by);
    const all = await Promise.all(Array.from({ length: 20 }, () => signatures.add(first, signed(privateKey), by)));
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(await states()).toEqual(['valid']);
  });
});

describe('a key', () => {
  it('is taken as it is once, and never replaced under its id', async () => {
    const [one, other] = [pair(), pair()];
    expect(await keys.add('ci', pem(one.publicKey), by)).toMatchObject({ created: true, key: { state: 'active' } });
    expect(await keys.add('ci', pem(one.publicKey), by)).toMatchObject({ created: false });
    expect(await code(keys.add('ci', pem(other.publicKey), by))).toBe('SLU_SIGNATURE_KEY_CONFLICT');
    expect(await keys.list()).toHaveLength(1);
  });

  it.each<[string, string]>([
    ['no PEM', 'ssh-ed25519 AAAA'],
    ['an empty block', '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----'],
    ['an RSA key', pem(generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey)],
    ['a private key', pair().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  ])('that is %s is refused', async (_what, text) => {
    expect(await code(keys.add('ci', text, by))).toBe('SLU_SIGNATURE_KEY_INVALID');
  });

  it('that is retired keeps what it has signed and signs nothing new', async () => {
    const { publicKey, privateKey } = pair();
    await keys.add('ci', pem(publicKey), by);
    await signatures.add(first, signed(privateKey), by);
    expect(await keys.retire('ci', by)).toMatchObject({ state: 'retired' });
    expect(await keys.retire('ci', by)).toMatchObject({ state: 'retired' });
    expect(await states()).toEqual(['valid']);
    expect(await code(signatures.add({ model: 'm', version: '2' }, signed(privateKey, '2'), by))).toBe(
      'SLU_SIGNATURE_KEY_ENDED',
    );
    expect(await actionsIn(db.database, 'signing-key.%')).toEqual(['signing-key.add', 'signing-key.retire']);
  });

  it('that is revoked takes its signatures along, from the time on when others may have had it', async () => {
    const { publicKey, privateKey } = pair();
    await keys.add('ci', pem(publicKey), by);
    await signatures.add(first, signed(privateKey), by);
    const afterwards = new Date(Date.now() + 1_000);
    await keys.revoke('ci', 'a laptop was lost', afterwards, by);
    expect(await states()).toEqual(['valid']);
    expect(await code(keys.revoke('ci', 'later', new Date(Date.now() + 5_000), by))).toBe('SLU_SIGNATURE_KEY_ENDED');
    await keys.revoke('ci', 'it was lost long before', null, by);
    expect(await signatures.list('m', '1')).toMatchObject([
      { state: 'revoked-key', problem: 'key ci is revoked: it was lost long before' },
    ]);
    expect(await code(signatures.add(first, signed(privateKey), by))).toBe('SLU_SIGNATURE_KEY_ENDED');
    expect(await code(keys.retire('ci', by))).toBe('SLU_SIGNATURE_KEY_ENDED');
    expect(await code(keys.revoke('nobody', 'x', null, by))).toBe('SLU_SIGNATURE_KEY_UNKNOWN');
  });
});
