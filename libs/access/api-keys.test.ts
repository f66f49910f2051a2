import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase, type FreshDatabase } from '../../test/support/database.js';
import { ensureAdminKey } from './admin-key.js';
import { ApiKeys } from './api-keys.js';
import { KeyRing } from './key-ring.js';
import { Pepper } from './key-secret.js';

const masterKey = Buffer.alloc(32, 3);
const pepper = new Pepper(masterKey);
let db: FreshDatabase;
let folder: string;

beforeAll(async () => {
  db = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'sluice-keys-'));
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const everything = (): Promise<{ text: string }[]> =>
  db.database.query(
    `SELECT row_to_json(k)::text AS text FROM api_keys k UNION ALL SELECT row_to_json(a)::text FROM audit_events a`,
  );

it('keeps nothing of a key but its prefix and a digest, in no table', async () => {
  const { key } = await new ApiKeys({ database: db.database, pepper }).create({
    name: 'ci',
    roles: ['caller'],
    actor: 'key:x',
  });
  const rows = await everything();
  expect(rows.length).toBeGreaterThan(1);
  for (const { text } of rows) expect(text).not.toContain(key.slice(10));
});

it('writes one audit row for a creation, one for a revocation, none for a repeated revocation', async () => {
  const keys = new ApiKeys({ database: db.database, pepper });
  const { id } = await keys.create({ name: 'ci', roles: ['caller'], actor: 'key:x', requestId: 'r-1' });
  const first = await keys.revoke(id, 'key:y');
  const again = await keys.revoke(id, 'key:z');
  expect(again.revokedAt).toEqual(first.revokedAt);
  const audit = await db.database.query(
    'SELECT actor, action, request_id FROM audit_events WHERE resource = $1 ORDER BY seq',
    [`key:${id}`],
  );
  expect(audit).toEqual([
    { actor: 'key:x', action: 'key.create', request_id: 'r-1' },
    { actor: 'key:y', action: 'key.revoke', request_id: null },
  ]);
});

it('does not revoke a key that there is not', async () => {
  await expect(new ApiKeys({ database: db.database, pepper }).revoke(randomUUID(), 'key:x')).rejects.toMatchObject({
    code: 'SLU_ACCESS_KEY_UNKNOWN',
  });
});

it('lists keys without key or digest', async () => {
  for (const view of (await new ApiKeys({ database: db.database, pepper }).list({ scope: 'all' }, { limit: 100 }))
    .rows) {
    expect(Object.keys(view).sort()).toEqual([
      'createdAt',
      'createdBy',
      'endpoints',
      'expiresAt',
      'id',
      'lastUsedAt',
      'name',
      'networks',
      'personId',
      'prefix',
      'projectId',
      'replaces',
      'revokedAt',
      'roles',
      'serviceAccountId',
      'tenantId',
      'tier',
    ]);
  }
});

it('writes the first admin key readable by its owner alone, and leaves it at the next start', async () => {
  const homeFile = join(folder, 'admin-key');
  expect(await ensureAdminKey({ database: db.database, masterKey, homeFile })).toEqual({ created: true });
  expect((await stat(homeFile)).mode & 0o777).toBe(0o600);
  const key = (await readFile(homeFile, 'utf8')).trim();
  const ring = new KeyRing({ database: db.database, pepper });
  await ring.load();
  expect(ring.authenticate(`Bearer ${key}`).roles).toEqual(['admin']);
  expect(await ensureAdminKey({ database: db.database, masterKey, homeFile })).toEqual({ created: false });
  expect((await readFile(homeFile, 'utf8')).trim()).toBe(key);
});

it('replaces an admin key file that is missing, damaged, or of another master key', async () => {
  const homeFile = join(folder, 'admin-key');
  await ensureAdminKey({ database: db.database, masterKey, homeFile });
  await rm(homeFile);
  expect(await ensureAdminKey({ database: db.database, masterKey, homeFile })).toEqual({ created: true });
  await writeFile(homeFile, 'nonsense');
  expect(await ensureAdminKey({ database: db.database, masterKey, homeFile })).toEqual({ created: true });
  expect(await ensureAdminKey({ database: db.database, masterKey: Buffer.alloc(32, 4), homeFile })).toEqual({
    created: true,
  });
});

it('makes one admin key when two launchers start at once', async () => {
  const homeFile = join(folder, 'admin-key-race');
  const made = await Promise.all([1, 2, 3].map(() => ensureAdminKey({ database: db.database, masterKey, homeFile })));
  expect(made.filter(({ created }) => created)).toHaveLength(1);
});
