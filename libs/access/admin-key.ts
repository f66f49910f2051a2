import { open, readFile, rename, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import type { Database, Tx } from '#libs/store';
import { ApiKeys } from './api-keys.js';
import { isKeyShaped, Pepper } from './key-secret.js';
import { defaultTenantId } from './principal.js';

export interface AdminKeySettings {
  database: Database;
  masterKey: Buffer;
  /** Where the key is written, mode 0600: `$SLUICE_HOME/admin-key`. */
  homeFile: string;
}

const adminKeyLock = 7_583_004;

/**
 * Sees to it that the file holds a live admin key. A file that is missing, or whose key the database does not know
 * (another database, another master key, a revocation), is replaced by a new key.
 */
export async function ensureAdminKey(settings: AdminKeySettings): Promise<{ created: boolean }> {
  const pepper = new Pepper(settings.masterKey);
  return settings.database.run(async (tx) => {
    // Two launchers may start at once on one database; only one of them makes the key.
    await tx.query('SELECT pg_advisory_xact_lock($1)', [adminKeyLock]);
    if (await isLiveAdminKey(tx, pepper, settings.homeFile)) return { created: false };
    const { key } = await new ApiKeys({ database: settings.database, pepper }).createIn(tx, {
      name: 'first admin key',
      roles: ['admin'],
      actor: 'system',
    });
    await writePrivately(settings.homeFile, `${key}\n`);
    return { created: true };
  });
}

async function isLiveAdminKey(tx: Tx, pepper: Pepper, file: string): Promise<boolean> {
  const key = await readFile(file, 'utf8').then(
    (text) => text.trim(),
    (failure: NodeJS.ErrnoException) => {
      if (failure.code === 'ENOENT') return '';
      throw failure;
    },
  );
  if (!isKeyShaped(key)) return false;
  const rows: unknown[] = await tx.query(
    `SELECT 1 FROM api_keys WHERE digest = $1 AND 'admin' = ANY(roles) AND tenant_id = $2 AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > now())`,
    [pepper.digestOf(key), defaultTenantId],
  );
  return rows.length > 0;
}

// A reader sees the old file or the whole new one, never half a key.
async function writePrivately(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (failure) {
    await rm(draft, { force: true });
    throw failure;
  }
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
