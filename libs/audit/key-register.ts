import type { Logger } from '#libs/platform';
import type { Database, Tx } from '#libs/store';
import { appendAudit } from './audit-trail.js';
import type { AuditKeys } from './audit-keys.js';
import { keyChangeSchema, signedKeyChange, type KeyChange } from './checkpoint.js';

const keyLock = 7_583_014;

/**
 * Sees to it that the key of this process is written down. When it is another one than before, the change is signed by
 * both, so that whoever holds the old public key can trust the new one.
 */
export async function registerAuditKey(database: Database, keys: AuditKeys, log: Logger, now: Date): Promise<void> {
  await database.run(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [keyLock]);
    const changes = await readKeyChanges(tx);
    if (changes.some(({ keyId }) => keyId === keys.id)) return;
    const previous = changes.at(-1)?.keyId ?? null;
    const change = signedKeyChange(keys, previous, now);
    if (previous !== null && change.previousSignature === null)
      log.error(
        { previous, keyId: keys.id },
        'ALARM: the master key is another one, and the earlier one is not known: what it has linked cannot be verified. Set SLUICE_EARLIER_MASTER_KEYS',
      );
    await tx.query('INSERT INTO audit_keys (key_id, public_key, previous_key_id, body) VALUES ($1, $2, $3, $4)', [
      change.keyId,
      change.publicKey,
      previous,
      change,
    ]);
    await appendAudit(tx, {
      actor: 'system',
      action: previous === null ? 'audit.begin' : 'audit.key-change',
      resource: `audit-key:${keys.id}`,
      outcome: 'done',
      detail: { previousKeyId: previous, isVouchedFor: change.previousSignature !== null },
    });
  });
}

/** The keys in the order in which they were added. */
export async function readKeyChanges(tx: Tx): Promise<KeyChange[]> {
  const rows = (await tx.query('SELECT body FROM audit_keys ORDER BY added_at, key_id')) as { body: unknown }[];
  return rows.flatMap(({ body }) => {
    const parsed = keyChangeSchema.safeParse(body);
    return parsed.success ? [parsed.data] : [];
  });
}
