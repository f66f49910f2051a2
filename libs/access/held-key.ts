import { networkList } from './client-address.js';
import { isRole, type Principal } from './principal.js';

/** A live key in memory. */
export interface HeldKey {
  readonly principal: Principal;
  readonly digest: string;
  readonly expiresAtMs: number | undefined;
  isRevoked: boolean;
  /** Since the last time that uses were written down. */
  isUsed: boolean;
}

export interface KeyRow {
  id: string;
  name: string;
  roles: string[];
  tenant_id: string;
  project_id: string;
  person_id: string | null;
  tier: string;
  endpoints: string[] | null;
  networks: string[] | null;
  digest: Buffer;
  expires_at: Date | null;
  revoked_at: Date | null;
  /** Neither its tenant, its project nor its owner is suspended. */
  is_owner_active: boolean;
}

export const selectKeys = `SELECT k.id, k.name, k.roles, k.tenant_id, k.project_id, k.person_id, k.endpoints, k.networks,
  k.digest, k.expires_at, k.revoked_at, coalesce(k.tier, t.tier) AS tier,
  t.state = 'active' AND p.state = 'active' AND coalesce(h.state, 'active') = 'active'
    AND coalesce(s.state, 'active') = 'active' AS is_owner_active
  FROM api_keys k JOIN tenants t ON t.id = k.tenant_id JOIN projects p ON p.id = k.project_id
    LEFT JOIN people h ON h.id = k.person_id LEFT JOIN service_accounts s ON s.id = k.service_account_id`;

/** The keys with these ids, and the keys of tenants, projects and owners with these ids. */
export const selectKeysOf = `${selectKeys} WHERE k.id = ANY($1::uuid[]) OR k.tenant_id = ANY($1::uuid[])
  OR k.project_id = ANY($1::uuid[]) OR k.person_id = ANY($1::uuid[]) OR k.service_account_id = ANY($1::uuid[])`;

/** @returns undefined for a key that opens nothing: revoked, of a suspended owner, or with a role that we do not know */
export function heldKeyOf(row: KeyRow): HeldKey | undefined {
  const { id, name, roles, tier } = row;
  if (row.revoked_at !== null || !row.is_owner_active || !roles.every(isRole)) return undefined;
  const principal: Principal = {
    kind: 'key',
    id,
    keyId: id,
    name,
    roles,
    tenantId: row.tenant_id,
    projectId: row.project_id,
    tier,
    ...(row.person_id !== null && { personId: row.person_id }),
    ...(row.endpoints !== null && { endpoints: new Set(row.endpoints) }),
    ...(row.networks !== null && { networks: networkList(row.networks) }),
  };
  return {
    principal: Object.freeze(principal),
    digest: row.digest.toString('base64'),
    expiresAtMs: row.expires_at?.getTime(),
    isRevoked: false,
    isUsed: false,
  };
}
