import type { Tx } from '#libs/store';

const mostRemembered = 10_000;
const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const actorPattern = new RegExp(`^(key|person):(${uuid})$`);
const tenantOf = {
  key: 'SELECT tenant_id AS "tenantId" FROM api_keys WHERE id = $1',
  person: 'SELECT tenant_id AS "tenantId" FROM people WHERE id = $1',
} as const;

/**
 * Of which tenant an actor is, for rows whose writer names none. Keys and people never change their tenant, so that an
 * answer stays true.
 */
export class ActorTenants {
  private readonly known = new Map<string, string>();

  /** @returns undefined for an actor without a tenant, as `system` is */
  async of(tx: Tx, actor: string): Promise<string | undefined> {
    const known = this.known.get(actor);
    if (known !== undefined) return known;
    const [, kind, id] = actorPattern.exec(actor) ?? [];
    if (kind === undefined) return undefined;
    const [row] = (await tx.query(tenantOf[kind as keyof typeof tenantOf], [id])) as { tenantId: string }[];
    if (row === undefined) return undefined;
    if (this.known.size >= mostRemembered) this.known.clear();
    this.known.set(actor, row.tenantId);
    return row.tenantId;
  }
}
