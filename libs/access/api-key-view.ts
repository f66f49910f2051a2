import type { ApiKeyEntity } from '#libs/store';
import type { Role } from './principal.js';

/** A key as people may see it: never the key itself, nor its digest. */
export interface ApiKeyView {
  id: string;
  prefix: string;
  name: string;
  roles: readonly Role[];
  tenantId: string;
  projectId: string;
  personId: string | null;
  serviceAccountId: string | null;
  tier: string | null;
  endpoints: readonly string[] | null;
  networks: readonly string[] | null;
  createdAt: Date;
  createdBy: string;
  expiresAt: Date | null;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
  replaces: string | null;
}

export function keyView(row: ApiKeyEntity): ApiKeyView {
  const { id, prefix, name, tenantId, projectId, personId, serviceAccountId, tier, endpoints, networks } = row;
  const { createdAt, createdBy, expiresAt, revokedAt, lastUsedAt, replaces } = row;
  const owner = { tenantId, projectId, personId, serviceAccountId };
  const times = { createdAt, createdBy, expiresAt, revokedAt, lastUsedAt, replaces };
  return { id, prefix, name, roles: row.roles as Role[], ...owner, tier, endpoints, networks, ...times };
}

export const selectKeyViews = `SELECT id, prefix, name, roles, tenant_id AS "tenantId", project_id AS "projectId",
  person_id AS "personId", service_account_id AS "serviceAccountId", tier, endpoints, networks, created_at AS "createdAt",
  created_by AS "createdBy", expires_at AS "expiresAt", revoked_at AS "revokedAt", last_used_at AS "lastUsedAt", replaces
  FROM api_keys`;
