import { sluiceError } from '#libs/kernel';
import { defaultTenantId, type Principal, type Role } from './principal.js';

/**
 * How far a permit of a role reaches: over everything, over what belongs to one's tenant or project, or over what is one's own
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
/** Who signs in or holds a key as a person sees and renews what is theirs. A caller's key may be in anybody's hands. */
const ownForPeople = {
  operator: 'own',
  releaser: 'own',
  approver: 'own',
  steward: 'own',
  analyst: 'own',
  'on-call': 'own',
} as const satisfies Permit['scopes'];
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
  'rollout.command': platform([...releasers, 'on-call']),
  // Whoever starts a rollout does not also approve it.
  'rollout.approve': platform([...operators, 'approver']),
  'replica.read': platform(watchers),
  'replica.write': platform(responders),
  'quarantine.read': platform(responders),
  'quarantine.lift': platform(responders),
  'payload-log.read': platform(watchers),
  'payload-log.write': platform(responders),
  // What people said to a model is read by those who look into incidents, and by nobody who runs the rest.
  'payload.read': owned({ auditor: 'all', 'on-call': 'all' }),
  'request.read': owned({
    admin: 'all',
    operator: 'all',
    auditor: 'all',
    'on-call': 'all',
    analyst: 'tenant',
    caller: 'own',
  }),
  'privacy.read': owned({ admin: 'all', steward: 'all', auditor: 'all' }),
  'privacy.export': owned({ steward: 'all' }),
  'privacy.erase': owned({ admin: 'all', steward: 'all' }),
  'privacy.access-report': owned({ steward: 'all', auditor: 'all' }),
  'metrics.read': platform([...responders, 'auditor']),
  'limit.read': platform(watchers),
  'limit.write': platform(['admin']),
  'tenant.read': owned({ admin: 'all', auditor: 'all', operator: 'all', steward: 'tenant', analyst: 'tenant' }),
  'tenant.write': platform(['admin']),
  'project.read': owned({ admin: 'all', auditor: 'all', operator: 'all', steward: 'tenant', analyst: 'project' }),
  'project.write': owned({ admin: 'all' }),
  'person.read': owned({ ...ownForPeople, admin: 'all', auditor: 'all' }),
  'person.write': owned({ admin: 'all' }),
  'service-account.read': owned({ admin: 'all', auditor: 'all', operator: 'project', releaser: 'project' }),
  'service-account.write': owned({ admin: 'all' }),
  'key.read': owned({ ...ownForPeople, admin: 'all', auditor: 'all', operator: 'project' }),
  'key.write': owned({ admin: 'all' }),
  'key.rotate': owned({ ...ownForPeople, admin: 'all' }),
  'audit.read': owned({ admin: 'all', auditor: 'all' }),
  // The chain is one for all tenants.
  'audit.verify': platform(['admin', 'auditor']),
  'audit.hold': platform(['admin', 'steward']),
  'price.read': shared(everyone),
  'price.write': platform(['admin']),
  'budget.read': owned({ admin: 'all', operator: 'all', auditor: 'all', 'on-call': 'all', analyst: 'tenant' }),
  'budget.write': owned({ admin: 'all' }),
  'usage.read': owned({
    admin: 'all',
    operator: 'all',
    auditor: 'all',
    'on-call': 'all',
    analyst: 'tenant',
    releaser: 'own',
    caller: 'own',
  }),
} as const satisfies Record<string, Permit>;

export type Action = keyof typeof permitTable;

export const actions = Object.keys(permitTable) as [Action, ...Action[]];

/** @returns whether a role of the default tenant may do this at all */
export function permits(role: Role, action: Action): boolean {
  return permitTable[action].scopes[role] !== undefined;
}

const widest: readonly Scope[] = ['all', 'tenant', 'project', 'own'];

/** @returns how far the permit of this principal reaches; undefined when there is none */
export function scopeOf(
  { roles, tenantId, endpoints }: Pick<Principal, 'roles' | 'tenantId' | 'endpoints'>,
  action: Action,
): Scope | undefined {
  const { of, scopes }: Permit = permitTable[action];
  const isForeign = tenantId !== defaultTenantId;
  // Whoever may know of a few endpoints only must not read of the others by another way.
  if (of === 'platform' && (isForeign || endpoints !== undefined)) return undefined;
  const scope = widest.find((each) => roles.some((role) => scopes[role] === each));
  return scope === 'all' && isForeign && of === 'owned' ? 'tenant' : scope;
}

/** @throws SLU_ACCESS_FORBIDDEN */
export function requirePermit(principal: Principal, action: Action): void {
  if (scopeOf(principal, action) === undefined) throw sluiceError('SLU_ACCESS_FORBIDDEN', { action });
}
