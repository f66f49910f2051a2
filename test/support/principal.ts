import { defaultProjectId, defaultTenantId, type Principal } from '#libs/access';

/** Who calls, where a test does not care. */
export const somePrincipal = (rest: Partial<Principal> = {}): Principal => {
  const id = rest.id ?? '00000000-0000-4000-8000-0000000000aa';
  return {
    kind: 'key',
    id,
    keyId: id,
    name: 'test',
    roles: ['caller'],
    tenantId: defaultTenantId,
    projectId: defaultProjectId,
    tier: 'internal',
    ...rest,
  };
};
