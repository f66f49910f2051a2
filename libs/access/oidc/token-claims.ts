import { isRole, type Role } from '../principal.js';

/** How the claims of a token become what we know of people. */
export interface ClaimMapping {
  /** The claim that holds roles or groups; `realm_access.roles` means one inside the other. */
  rolesClaim: string;
  /** What its values mean; left out: they are names of roles. */
  roleMap?: ReadonlyMap<string, Role> | undefined;
  /** The claim with the name of the tenant; left out: everybody is of the default tenant. */
  tenantClaim?: string | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

const longestName = 200;

/** @returns the roles that the claims give; values that mean none are nothing to us */
export function rolesOf(claims: Claims, { rolesClaim, roleMap }: ClaimMapping): Role[] {
  const value = claimAt(claims, rolesClaim);
  const words = typeof value === 'string' ? value.split(/[\s,]+/) : Array.isArray(value) ? value : [];
  const roles = words.flatMap((word: unknown) => {
    if (typeof word !== 'string') return [];
    if (roleMap !== undefined) return roleMap.get(word) ?? [];
    return isRole(word) ? [word] : [];
  });
  return [...new Set(roles)];
}

/** @returns undefined where no claim is asked for, null where it is and the token has none */
export function tenantNameOf(claims: Claims, { tenantClaim }: ClaimMapping): string | null | undefined {
  if (tenantClaim === undefined) return undefined;
  const value = claimAt(claims, tenantClaim);
  return typeof value === 'string' && value !== '' ? value : null;
}

export function personNameOf(claims: Claims): string {
  const given = ['name', 'preferred_username', 'email', 'sub'].map((claim) => claims[claim]);
  const name = given.find((value) => typeof value === 'string' && value.trim() !== '') as string | undefined;
  return (name ?? 'nameless').trim().slice(0, longestName);
}

// Some issuers have claims with dots in their names (`https://example.com/roles`): those come first.
function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path
    .split('.')
    .reduce<unknown>(
      (value, member) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, member)
          ? (value as Claims)[member]
          : undefined,
      claims,
    );
}
