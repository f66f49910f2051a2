import { sluiceError } from '#libs/kernel';
import type { ApiKeyEntity, Tx } from '#libs/store';
import type { Principal, Role } from './principal.js';
import { permitted } from './reach.js';

/**
 * Refuses to make a successor of a key that has ended or has one. Whoever may only renew what is their own gets nothing
 * out of it that they have not got: a key renews itself, and a person's token those keys that may not more than the person.
 * @throws SLU_ACCESS_KEY_ENDED, SLU_ACCESS_FORBIDDEN
 */
export async function refuseRotation(tx: Tx, principal: Principal, row: ApiKeyEntity, now: Date): Promise<void> {
  const { id, revokedAt, expiresAt } = row;
  if (revokedAt !== null) throw sluiceError('SLU_ACCESS_KEY_ENDED', { id, state: 'revoked' });
  if (expiresAt !== null && expiresAt <= now) throw sluiceError('SLU_ACCESS_KEY_ENDED', { id, state: 'expired' });
  const successors: unknown[] = await tx.query('SELECT 1 FROM api_keys WHERE replaces = $1', [id]);
  if (successors.length > 0) throw sluiceError('SLU_ACCESS_KEY_ENDED', { id, state: 'replaced already' });
  if (permitted(principal, 'key.rotate')?.scope !== 'own' || id === principal.keyId) return;
  const isNoMore = row.roles.every((role) => principal.roles.includes(role as Role));
  if (principal.kind !== 'token' || !isNoMore)
    throw sluiceError('SLU_ACCESS_FORBIDDEN', { action: 'renew a key other than itself' });
}
