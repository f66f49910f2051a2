import type { Tx } from '#libs/store';
import { eventColumns, type StoredEvent } from './audit-event.js';

/** Which rows are wanted; every member narrows it. */
export interface AuditFilter {
  actor?: string | undefined;
  action?: string | undefined;
  resource?: string | undefined;
  outcome?: string | undefined;
  requestId?: string | undefined;
  tenantId?: string | undefined;
  /** Inclusive. */
  from?: Date | undefined;
  /** Exclusive. */
  until?: Date | undefined;
}

export interface AuditRow extends StoredEvent {
  seq: number;
  /** Place in the chain; null for the moment until it is linked. */
  position: number | null;
}

/** The newest first. @param before sequence number of the last row of the page before */
export async function readAudit(
  tx: Tx,
  filter: AuditFilter,
  limit: number,
  before = Number.MAX_SAFE_INTEGER,
): Promise<AuditRow[]> {
  const parameters: unknown[] = [before];
  const conditions = ['e.seq < $1'];
  for (const [member, condition] of Object.entries(conditionOf)) {
    const value = filter[member as keyof AuditFilter];
    if (value === undefined) continue;
    parameters.push(value);
    conditions.push(`${condition} $${parameters.length}`);
  }
  const rows = (await tx.query(
    `SELECT e.seq, audit_position(e.seq) AS position, ${eventColumns}
     FROM (SELECT * FROM audit_events e WHERE ${conditions.join(' AND ')} ORDER BY e.seq DESC LIMIT ${limit}) e ORDER BY e.seq DESC`,
    parameters,
  )) as (StoredEvent & { seq: string; position: string | null })[];
  return rows.map(({ seq, position, ...event }) => ({
    seq: Number(seq),
    position: position === null ? null : Number(position),
    ...event,
  }));
}

const conditionOf: Record<keyof AuditFilter, string> = {
  actor: 'e.actor =',
  action: 'e.action =',
  resource: 'e.resource =',
  outcome: 'e.outcome =',
  requestId: 'e.request_id =',
  tenantId: 'e.tenant_id =',
  from: 'e.at >=',
  until: 'e.at <',
};
