import type { BlockList } from 'node:net';

/** What a caller may do. The permit table gives each role its actions. */
export const roles = [
  'admin',
  'operator',
  'releaser',
  'approver',
  'steward',
  'analyst',
  'auditor',
  'on-call',
  'caller',
] as const;
export type Role = (typeof roles)[number];

export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text);

/** The tenant and the project that are there from the start. Whoever runs the platform belongs to this tenant. */
export const defaultTenantId = '00000000-0000-4000-8000-000000000001';
export const defaultProjectId = '00000000-0000-4000-8000-000000000001';

/** Who calls: by an API key, or by a person's token. It never holds anything of the secret itself. */
export interface Principal {
  readonly kind: 'key' | 'token';
  /** Of the key, or of the person. */
  readonly id: string;
  /** The same as `id`, as request records call it. */
  readonly keyId: string;
  /** The name given to the key or the person. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly tenantId: string;
  readonly projectId: string;
  /** The key's own tier, or else its tenant's. */
  readonly tier: string;
  /** The person whose token or key this is. */
  readonly personId?: string;
  /** The only endpoints that it may know of; left out: all. */
  readonly endpoints?: ReadonlySet<string>;
  /** The only networks that it may call from; left out: all. */
  readonly networks?: BlockList;
}

/** How a principal is written in audit rows and in `made_by` columns. */
export const actorOf = ({ kind, id }: Pick<Principal, 'kind' | 'id'>): string =>
  `${kind === 'token' ? 'person' : 'key'}:${id}`;
