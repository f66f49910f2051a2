import { sluiceError } from '#libs/kernel';
import { defaultTenantId, type Principal, type Role } from './principal.js';

/**
 * How far a permit reaches: over everything, over what belongs to one's tenant or project, or over what is one's own
 * (the key itself, the keys of the same person).
 */
export type Scope = 'all' | 'tenant' | 'project' | 'own';

interface Permit {
  /**
   * `platform`: it belongs to no tenant and only the people of the default tenant, who run the platform, may touch it.
   * `shared`: it belongs to no tenant and serves them all. `owned`: it belongs to a tenant; outside the default tenant,
   * no permit reaches over the borders of one's own.
   */
  readonly of: 'platform' | 'shared' | 'owned';
  readonly scopes: Readonly<Partial<Record<Role, Scope>>>;
}

const everyone = [
  'admin',
  'operator',
  'releaser',
  'approver',
  'steward',
  'analyst',
  'auditor',
  'on-call',
  'caller',
] as const satisfies readonly Role[];
const callers: readonly Role[] = ['admin', 'operator', 'releaser', 'on-call', 'caller'];
const operators: readonly Role[] = ['admin', 'operator'];
const releasers: readonly Role[] = ['admin', 'operator', 'releaser'];
const watchers: readonly Role[] = ['admin', 'operator', 'releaser', 'approver', 'auditor', 'on-call'];
const responders: readonly Role[] = ['admin', 'operator', 'on-call'];

const allFor = (of: Permit['of'], roles: readonly Role[]): Permit => ({
  of,
  scopes: Object.fromEntries(roles.map((role) => [role, 'all' as const])),
});
const platform = (roles: readonly Role[]): Permit => allFor('platform', roles);
const shared = (roles: readonly Role[]): Permit => allFor('shared', roles);
const owned = (scopes: Permit['scopes']): Permit => ({ of: 'owned', scopes });

/** Every action of the product and the roles that may do it. What is not written here, nobody may do. */
export const permitTable = {
  infer: shared(callers),
  'model.metadata': shared(everyone),
  'reference.read': shared(everyone),
  'model.read': platform(watchers),
  'model.register': platform(releasers),
  'model.archive': platform(releasers),
  'model.secret': platform(operators),
  'signing-key.read': platform(watchers),
  // Whoever ships versions does not also decide whose signatures count, nor what versions must fulfil.
  'signing-key.manage': platform(['admin']),
  'policy.read': platform(watchers),
  'policy.write': platform(['admin']),
  'endpoint.read': platform(watchers),
  'endpoint.write': platform(releasers),
  'endpoint.rollback': platform([...releasers, 'on-call']),
  'rollout.read': platform(watchers),
  'rollout.start': platform(releasers),
  'rollout.command': platform([...releasers, 'approver', 'on-call']),
  'replica.read': platform(watchers),
  'replica.write': platform(responders),
  'quarantine.read': platform(responders),
  'quarantine.lift': platform(responders),
  'metrics.read': platform([...responders, 'auditor']),
  'limit.read': platform(watchers),
  'limit.write': platform(['admin']),
  'key.manage': owned({ admin: 'all' }),
} as const satisfies Record<string, Permit>;

export type Action = keyof typeof permitTable;

export const actions = Object.keys(permitTable) as [Action, ...Action[]];

/** @returns whether a role of the default tenant may do this at all */
export function permits(role: Role, action: Action): boolean {
  return permitTable[action].scopes[role] !== undefined;
}

const widest: readonly Scope[] = ['all', 'tenant', 'project', 'own'];

/** @returns how far the permit of this principal reaches; undefined when there is none */
export function scopeOf({ roles, tenantId }: Pick<Principal, 'roles' | 'tenantId'>, action: Action): Scope | undefined {
  const { of, scopes }: Permit = permitTable[action];
  const isForeign = tenantId !== defaultTenantId;
  if (isForeign && of === 'platform') return undefined;
  const scope = widest.find((each) => roles.some((role) => scopes[role] === each));
  return scope === 'all' && isForeign && of === 'owned' ? 'tenant' : scope;
}

/** @throws SLU_ACCESS_FORBIDDEN */
export function requirePermit(principal: Principal, action: Action): void {
  if (scopeOf(principal, action) === undefined) throw sluiceError('SLU_ACCESS_FORBIDDEN', { action });
}
