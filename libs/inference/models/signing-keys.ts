import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { appendAudit } from '#libs/audit';
import { sluiceError } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';

export type SigningKeyState = 'active' | 'retired' | 'revoked';

export interface SigningKeyView {
  id: string;
  publicKeyPem: string;
  state: SigningKeyState;
  createdAt: Date;
  createdBy: string;
  /** Signatures that came until then stay good. */
  retiredAt: Date | null;
  revokedAt: Date | null;
  /** With a revocation: signatures that came before it stay good. Null: none does. */
  compromisedSince: Date | null;
  revocationReason: string | null;
}

interface By {
  actor: string;
  requestId?: string | undefined;
}

const columns = `id, public_key_pem AS "publicKeyPem", state, created_at AS "createdAt", created_by AS "createdBy",
  retired_at AS "retiredAt", revoked_at AS "revokedAt", compromised_since AS "compromisedSince", revocation_reason AS "revocationReason"`;

/**
 * Ed25519 public keys whose signatures count. A key is rotated by adding the next one and retiring the old one; what the old
 * one signed by then stays good. A revoked key is one that others may have: its signatures count no more.
 */
export class SigningKeys {
  constructor(private readonly database: Database) {}

  /** The same key under the same id again changes nothing. @throws SLU_SIGNATURE_KEY_INVALID, SLU_SIGNATURE_KEY_CONFLICT */
  async add(id: string, publicKeyPem: string, by: By): Promise<{ created: boolean; key: SigningKeyView }> {
    const pem = normalPem(publicKeyPem);
    return this.database.run(async (tx) => {
      const inserted: unknown[] = await tx.query(
        `INSERT INTO signing_keys (id, public_key_pem, state, created_by) VALUES ($1, $2, 'active', $3)
         ON CONFLICT (id) DO NOTHING RETURNING id`,
        [id, pem, by.actor],
      );
      const key = await this.locked(tx, id);
      if (key.publicKeyPem !== pem) throw sluiceError('SLU_SIGNATURE_KEY_CONFLICT', { id });
      if (inserted.length > 0) await this.audit(tx, 'signing-key.add', id, by, {});
      return { created: inserted.length > 0, key };
    });
  }

  async list(): Promise<SigningKeyView[]> {
    return this.database.query(`SELECT ${columns} FROM signing_keys ORDER BY created_at, id`);
  }

  /** From now on it signs nothing new. A second time changes nothing. @throws SLU_SIGNATURE_KEY_UNKNOWN, SLU_SIGNATURE_KEY_ENDED */
  async retire(id: string, by: By): Promise<SigningKeyView> {
    return this.database.run(async (tx) => {
      const key = await this.locked(tx, id);
      if (key.state === 'revoked') throw sluiceError('SLU_SIGNATURE_KEY_ENDED', { id, state: key.state });
      if (key.state === 'retired') return key;
      await tx.query(`UPDATE signing_keys SET state = 'retired', retired_at = now() WHERE id = $1`, [id]);
      await this.audit(tx, 'signing-key.retire', id, by, {});
      return this.locked(tx, id);
    });
  }

  /**
   * Its signatures count no more, or only those that came before `compromisedSince`. Again with an earlier time, it takes
   * more of them away; it never gives any back.
   * @throws SLU_SIGNATURE_KEY_UNKNOWN, SLU_SIGNATURE_KEY_ENDED for a later time than before
   */
  async revoke(id: string, reason: string, compromisedSince: Date | null, by: By): Promise<SigningKeyView> {
    return this.database.run(async (tx) => {
      const key = await this.locked(tx, id);
      if (key.state === 'revoked') {
        const before = key.compromisedSince?.getTime() ?? Number.NEGATIVE_INFINITY;
        const after = compromisedSince?.getTime() ?? Number.NEGATIVE_INFINITY;
        if (after === before) return key;
        if (after > before) throw sluiceError('SLU_SIGNATURE_KEY_ENDED', { id, state: key.state });
      }
      await tx.query(
        `UPDATE signing_keys SET state = 'revoked', revoked_at = coalesce(revoked_at, now()), revocation_reason = $2,
           compromised_since = $3 WHERE id = $1`,
        [id, reason, compromisedSince],
      );
      const since = compromisedSince?.toISOString() ?? 'ever';
      await this.audit(tx, 'signing-key.revoke', id, by, { reason, compromisedSince: since });
      return this.locked(tx, id);
    });
  }

  private async locked(tx: Tx, id: string): Promise<SigningKeyView> {
    const rows: SigningKeyView[] = await tx.query(`SELECT ${columns} FROM signing_keys WHERE id = $1 FOR UPDATE`, [id]);
    const [key] = rows;
    if (key === undefined) throw sluiceError('SLU_SIGNATURE_KEY_UNKNOWN', { id });
    return key;
  }

  private async audit(tx: Tx, action: string, id: string, by: By, detail: Record<string, string>): Promise<void> {
    await appendAudit(tx, {
      actor: by.actor,
      action,
      resource: `signing-key:${id}`,
      outcome: 'done',
      requestId: by.requestId,
      detail,
    });
  }
}

/**
 * Keys by id, locked against a change until the transaction ends: whoever revokes one waits, and whoever decides by one
 * decides by what is true at its commit.
 */
export async function keysInUse(tx: Tx, ids: readonly string[]): Promise<Map<string, SigningKeyView>> {
  if (ids.length === 0) return new Map();
  const rows: SigningKeyView[] = await tx.query(
    `SELECT ${columns} FROM signing_keys WHERE id = ANY($1) ORDER BY id FOR SHARE`,
    [ids],
  );
  return new Map(rows.map((key) => [key.id, key]));
}

/** @param content what was signed @param signature base64 */
export function isSignedBy(publicKeyPem: string, content: Buffer, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  // Ed25519 signatures have 64 bytes, RFC 8032. Node forgives what is no base64; here one signature has one text.
  if (bytes.length !== 64 || bytes.toString('base64') !== signature) return false;
  return verify(null, content, ed25519Key(publicKeyPem), bytes);
}

function normalPem(pem: string): string {
  return ed25519Key(pem).export({ type: 'spki', format: 'pem' }).toString();
}

function ed25519Key(pem: string): KeyObject {
  // Node would derive the public key from a private one, and then a private key would lie in the database.
  if (!/-----BEGIN PUBLIC KEY-----/.test(pem)) throw invalid('must be a PEM block BEGIN PUBLIC KEY');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: 'pem' });
  } catch (cause) {
    throw invalid('cannot be read as a public key', cause);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw invalid('must be an Ed25519 key (openssl genpkey -algorithm ed25519)');
  return key;
}

const invalid = (problem: string, cause?: unknown): Error =>
  sluiceError('SLU_SIGNATURE_KEY_INVALID', { problem }, { cause });
