import { sluiceError, systemClock, type Clock } from '#libs/kernel';
import type { Database } from '#libs/store';
import { randomUUID } from 'node:crypto';
import { appendAudit } from './audit-trail.js';

/** Rows that are kept beyond their time: those that fit every member that is given. */
export interface HoldScope {
  actor?: string | undefined;
  resource?: string | undefined;
  tenantId?: string | undefined;
  from?: Date | undefined;
  until?: Date | undefined;
}

export interface LegalHold {
  id: string;
  reason: string;
  actor: string | null;
  resource: string | null;
  tenantId: string | null;
  from: Date | null;
  until: Date | null;
  createdAt: Date;
  createdBy: string;
  releasedAt: Date | null;
  releasedBy: string | null;
}

export interface HoldAsk extends HoldScope {
  reason: string;
  by: string;
  requestId: string;
}

const columns = `h.id, h.reason, h.actor, h.resource, h.tenant_id AS "tenantId", h.from_at AS "from", h.until_at AS "until",
  h.created_at AS "createdAt", h.created_by AS "createdBy", r.released_at AS "releasedAt", r.released_by AS "releasedBy"`;
const joined = `audit_holds h LEFT JOIN audit_hold_releases r ON r.hold_id = h.id`;

/** Legal holds: what they cover is not purged, however old it is. A hold is never changed, only released. */
export class LegalHolds {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock = systemClock,
  ) {}

  async create({ reason, by, requestId, ...scope }: HoldAsk): Promise<LegalHold> {
    const id = randomUUID();
    const { actor = null, resource = null, tenantId = null, from = null, until = null } = scope;
    return this.database.run(async (tx) => {
      await tx.query(
        `INSERT INTO audit_holds (id, reason, actor, resource, tenant_id, from_at, until_at, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [id, reason, actor, resource, tenantId, from, until, this.clock.now(), by],
      );
      await appendAudit(tx, {
        actor: by,
        action: 'audit.hold',
        tenantId: tenantId ?? undefined,
        resource: `audit-hold:${id}`,
        outcome: 'done',
        requestId,
      });
      const [made] = (await tx.query(`SELECT ${columns} FROM ${joined} WHERE h.id = $1`, [id])) as LegalHold[];
      return made!;
    });
  }

  /** The newest first. */
  async list(): Promise<LegalHold[]> {
    return this.database.query<LegalHold>(`SELECT ${columns} FROM ${joined} ORDER BY h.created_at DESC, h.id`);
  }

  /** @throws SLU_AUDIT_HOLD_UNKNOWN, also when it was released before */
  async release(id: string, by: string, requestId: string): Promise<LegalHold> {
    return this.database.run(async (tx) => {
      const released: unknown[] = await tx.query(
        `INSERT INTO audit_hold_releases (hold_id, released_at, released_by)
         SELECT h.id, $2, $3 FROM audit_holds h WHERE h.id = $1 ON CONFLICT DO NOTHING RETURNING hold_id`,
        [id, this.clock.now(), by],
      );
      if (released.length === 0) throw sluiceError('SLU_AUDIT_HOLD_UNKNOWN', { id });
      const [hold] = (await tx.query(`SELECT ${columns} FROM ${joined} WHERE h.id = $1`, [id])) as LegalHold[];
      await appendAudit(tx, {
        actor: by,
        action: 'audit.hold-release',
        resource: `audit-hold:${id}`,
        outcome: 'done',
        requestId,
        tenantId: hold?.tenantId ?? undefined,
      });
      return hold!;
    });
  }
}
