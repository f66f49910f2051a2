import { sluiceError } from '#libs/kernel';
import { scopeOf, type Action } from './permit-table.js';
import type { Principal } from './principal.js';

/** What of the things of one kind a principal may touch. */
export type Reach =
  | { readonly scope: 'all' }
  | { readonly scope: 'tenant'; readonly tenantId: string }
  | { readonly scope: 'project'; readonly tenantId: string; readonly projectId: string }
  | { readonly scope: 'own'; readonly tenantId: string; readonly keyId: string; readonly personId: string | undefined };

/** Whose a thing is. What is left out, it does not have. */
export interface Ownership {
  readonly tenantId: string;
  readonly projectId?: string | null;
  readonly personId?: string | null;
  readonly keyId?: string | null;
}

/** The columns that say whose a row is. */
export type OwnershipColumns = { readonly [Member in keyof Ownership]: string };

/** @returns undefined when the principal has no permit at all */
export function permitted(principal: Principal, action: Action): Reach | undefined {
  const { tenantId, projectId, keyId, kind } = principal;
  const personId = principal.personId ?? (kind === 'token' ? principal.id : undefined);
  switch (scopeOf(principal, action)) {
    case 'all':
      return { scope: 'all' };
    case 'tenant':
      return { scope: 'tenant', tenantId };
    case 'project':
      return { scope: 'project', tenantId, projectId };
    case 'own':
      return { scope: 'own', tenantId, keyId, personId };
    case undefined:
      return undefined;
  }
}

/** The same, where there has to be a permit. @throws SLU_ACCESS_FORBIDDEN */
export function requireReach(principal: Principal, action: Action): Reach {
  const reach = permitted(principal, action);
  if (reach === undefined) throw sluiceError('SLU_ACCESS_FORBIDDEN', { action });
  return reach;
}

export const can = (principal: Principal, action: Action, thing: Ownership): boolean =>
  isWithin(permitted(principal, action), thing);

/** Agrees with `whereWithin` on every row. */
export function isWithin(reach: Reach | undefined, { tenantId, projectId, personId, keyId }: Ownership): boolean {
  if (reach === undefined) return false;
  if (reach.scope === 'all') return true;
  if (reach.tenantId !== tenantId) return false;
  if (reach.scope === 'tenant') return true;
  if (reach.scope === 'project') return reach.projectId === projectId;
  return reach.keyId === keyId || (reach.personId !== undefined && reach.personId === personId);
}

/**
 * The same as a condition of SQL, so that a list holds exactly what could be read one by one.
 * @param parameters of the statement; those of the condition are appended
 */
export function whereWithin(reach: Reach | undefined, columns: OwnershipColumns, parameters: unknown[]): string {
  if (reach === undefined) return 'FALSE';
  if (reach.scope === 'all') return 'TRUE';
  const equal = (column: string | null | undefined, value: string | undefined): string =>
    column === undefined || column === null || value === undefined
      ? 'FALSE'
      : `coalesce(${column} = $${parameters.push(value)}, FALSE)`;
  const inTenant = equal(columns.tenantId, reach.tenantId);
  if (reach.scope === 'tenant') return inTenant;
  if (reach.scope === 'project') return `(${inTenant} AND ${equal(columns.projectId, reach.projectId)})`;
  const own = [equal(columns.keyId, reach.keyId), equal(columns.personId, reach.personId)].join(' OR ');
  return `(${inTenant} AND (${own}))`;
}

/** @returns the only tenant that the permit reaches; undefined when it reaches all */
export function tenantWithin(principal: Principal, action: Action): string | undefined {
  return scopeOf(principal, action) === 'all' ? undefined : principal.tenantId;
}
