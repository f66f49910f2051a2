import { sluiceError } from '#libs/kernel';
import { roles, type Principal, type Role } from './principal.js';

const everyone: readonly Role[] = roles;
const operators: readonly Role[] = ['admin', 'operator'];
const admins: readonly Role[] = ['admin'];

/** Every action of the product and the roles that may do it. What is not written here, nobody may do. */
export const permitTable = {
  infer: everyone,
  'model.metadata': everyone,
  'model.read': operators,
  'model.register': operators,
  'model.archive': operators,
  'signing-key.read': operators,
  'signing-key.manage': admins,
  'model.secret': operators,
  'endpoint.read': operators,
  'endpoint.write': operators,
  'endpoint.rollback': operators,
  'policy.read': operators,
  // Whoever ships versions does not also decide what they must fulfil.
  'policy.write': admins,
  'rollout.read': operators,
  'rollout.start': operators,
  'rollout.command': operators,
  'replica.read': operators,
  'replica.write': operators,
  'quarantine.read': operators,
  'quarantine.lift': operators,
  'metrics.read': operators,
  'reference.read': everyone,
  'key.manage': admins,
  'audit.read': admins,
  'audit.export': admins,
  'audit.hold': admins,
} as const satisfies Record<string, readonly Role[]>;

export type Action = keyof typeof permitTable;

export const actions = Object.keys(permitTable) as [Action, ...Action[]];

export function permits(role: Role, action: Action): boolean {
  return permitTable[action].includes(role);
}

/** @throws SLU_ACCESS_FORBIDDEN */
export function requirePermit(principal: Principal, action: Action): void {
  if (!permits(principal.role, action)) throw sluiceError('SLU_ACCESS_FORBIDDEN', { action });
}
