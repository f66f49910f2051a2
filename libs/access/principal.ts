/** What a key may do. The permit table gives each role its actions. */
export const roles = ['admin', 'operator', 'caller'] as const;
export type Role = (typeof roles)[number];

export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text);

/** Who calls. `name` is the name given to the key; it never holds anything of the key itself. */
export interface Principal {
  readonly keyId: string;
  readonly role: Role;
  readonly name: string;
}

/** How a principal is written in audit rows and in `made_by` columns. */
export const actorOf = (principal: Pick<Principal, 'keyId'>): string => `key:${principal.keyId}`;
