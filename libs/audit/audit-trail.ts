import type { Tx } from '#libs/store';

/** Proof that something happened. Never payload values: ids, names and counts only. */
export interface AuditEvent {
  /** `key:<id>`, `workflow:<id>` or `system`. */
  actor: string;
  /** `<noun>.<verb>`, for example `model.register`. */
  action: string;
  /** `<noun>:<id>`, for example `model:tone/2`. */
  resource: string;
  outcome: 'done' | 'refused' | 'failed';
  requestId?: string;
  detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Appends within the caller's transaction, so that a change and its proof commit together or not at all. */
export async function appendAudit(tx: Tx, event: AuditEvent): Promise<void> {
  await tx.query(
    `INSERT INTO audit_events (actor, action, resource, outcome, request_id, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
    [event.actor, event.action, event.resource, event.outcome, event.requestId ?? null, event.detail ?? {}],
  );
}
