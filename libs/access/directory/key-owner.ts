import { sluiceError } from '#libs/kernel';
import type { Tx } from '#libs/store';
import { isWithin, type Reach } from '../reach.js';
import { isUuid } from './directory.js';

/** Whose a new key is to be: tenant, project and service account by id or name, a person by id. */
export interface OwnerWish {
  tenant?: string | undefined;
  project?: string | undefined;
  person?: string | undefined;
  serviceAccount?: string | undefined;
}

export interface KeyOwner {
  tenantId: string;
  projectId: string;
  personId: string | null;
  serviceAccountId: string | null;
}

/**
 * Finds the owner of a new key; what is left out is the caller's own tenant, and the project `default` in it.
 * @throws SLU_REQUEST_INVALID naming the field, also for what is out of reach
 */
export async function keyOwnerIn(tx: Tx, reach: Reach, ownTenantId: string, wish: OwnerWish): Promise<KeyOwner> {
  const tenantId = await idOf(tx, 'tenants', 'tenant', wish.tenant ?? ownTenantId);
  if (!isWithin(reach, { tenantId })) throw unknown('tenant', wish.tenant ?? ownTenantId);
  const serviceAccount =
    wish.serviceAccount === undefined
      ? undefined
      : await serviceAccountIn(tx, tenantId, wish.serviceAccount, wish.project);
  const projectId =
    serviceAccount?.projectId ?? (await idOf(tx, 'projects', 'project', wish.project ?? 'default', tenantId));
  const personId = wish.person === undefined ? null : await idOf(tx, 'people', 'person', wish.person, tenantId);
  return { tenantId, projectId, personId, serviceAccountId: serviceAccount?.id ?? null };
}

async function idOf(
  tx: Tx,
  table: 'tenants' | 'projects' | 'people',
  field: 'tenant' | 'project' | 'person',
  wanted: string,
  tenantId?: string,
): Promise<string> {
  // Names of people are not unique.
  if (!isUuid(wanted) && table === 'people') throw unknown(field, wanted);
  const inTenant = tenantId === undefined ? '' : 'AND tenant_id = $2';
  const rows: { id: string }[] = await tx.query(
    `SELECT id FROM ${table} WHERE ${isUuid(wanted) ? 'id' : 'name'} = $1 ${inTenant}`,
    tenantId === undefined ? [wanted] : [wanted, tenantId],
  );
  if (rows[0] === undefined) throw unknown(field, wanted);
  return rows[0].id;
}

async function serviceAccountIn(
  tx: Tx,
  tenantId: string,
  wanted: string,
  project: string | undefined,
): Promise<{ id: string; projectId: string }> {
  const projectId = project === undefined ? null : await idOf(tx, 'projects', 'project', project, tenantId);
  const rows: { id: string; projectId: string }[] = await tx.query(
    `SELECT id, project_id AS "projectId" FROM service_accounts WHERE tenant_id = $1
       AND ${isUuid(wanted) ? 'id' : 'name'} = $2 AND ($3::uuid IS NULL OR project_id = $3) LIMIT 2`,
    [tenantId, wanted, projectId],
  );
  const [found, other] = rows;
  if (found === undefined) throw unknown('serviceAccount', wanted);
  if (other !== undefined) throw invalid('serviceAccount', 'is in several projects: name the project too');
  return found;
}

const invalid = (field: string, problem: string): Error => sluiceError('SLU_REQUEST_INVALID', { field, problem });
const unknown = (field: string, wanted: string): Error =>
  invalid(field, `there is no ${field === 'serviceAccount' ? 'service account' : field} ${wanted.slice(0, 100)}`);
