import type { Tx } from '#libs/store';
import type { AuditEvent } from './audit-event.js';

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

  /** By actor, of those events that name no tenant themselves. An actor without a tenant, as `system` is, is left out. */
  async ofAll(tx: Tx, events: readonly Pick<AuditEvent, 'actor' | 'tenantId'>[]): Promise<Map<string, string>> {
    const tenants = new Map<string, string>();
    const actors = new Set(events.filter(({ tenantId }) => tenantId === undefined).map(({ actor }) => actor));
    for (const actor of actors) {
      const tenantId = this.known.get(actor) ?? (await this.find(tx, actor));
      if (tenantId !== undefined) tenants.set(actor, tenantId);
    }
    return tenants;
  }

  private async find(tx: Tx, actor: string): Promise<string | undefined> {
    const [, kind, id] = actorPattern.exec(actor) ?? [];
    if (kind === undefined) return undefined;
    const [row] = (await tx.query(tenantOf[kind as keyof typeof tenantOf], [id])) as { tenantId: string }[];
    if (row === undefined) return undefined;
    if (this.known.size >= mostRemembered) this.known.clear();
    this.known.set(actor, row.tenantId);
    return row.tenantId;
  }
}
