import { systemClock, type Clock } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import { canonicalEvent, storedEvent, type AuditEvent, type StoredEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';

/** What a row's writer knows of it before it is committed. */
export interface AppendedRow {
  id: string;
  /** The transaction that has written it. */
  xid: string;
}

/** How rows of one database are written by this process. */
export interface AuditSeal {
  keys: AuditKeys;
  clock?: Clock;
  onAppend?: (rows: readonly AppendedRow[]) => void;
}

const seals = new WeakMap<object, AuditSeal>();

/**
 * From now on every row that this process appends to this database carries a seal, by which the chainer knows that it
 * came from Sluice and not from somebody's SQL.
 */
export async function sealAuditRows(database: Database, seal: AuditSeal): Promise<void> {
  await database.read(async (tx) => seals.set(tx.dataSource, seal));
}

/** Appends within the caller's transaction, so that a change and its proof commit together or not at all. */
export async function appendAudit(tx: Tx, event: AuditEvent): Promise<void> {
  await appendAudits(tx, [event]);
}

/** The same for several events, in one statement. */
export async function appendAudits(tx: Tx, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return;
  const seal = seals.get(tx.dataSource);
  const now = (seal?.clock ?? systemClock).now();
  const rows = events.map((event) => sealed(storedEvent(event, now), seal?.keys));
  const [first] = rows;
  // Several rows are cheaper, on both sides, as one parameter than as a parameter for each value.
  const isOne = first !== undefined && rows.length === 1;
  const [made]: { xid: string }[] = isOne
    ? await tx.query(insertRow, parametersOf(first))
    : await tx.query(insertRows, [JSON.stringify(rows)]);
  if (made !== undefined) seal?.onAppend?.(rows.map(({ id }) => ({ id, xid: made.xid })));
}

interface SealedEvent extends StoredEvent {
  seal?: string;
  sealKey?: string;
}

const sealed = (event: StoredEvent, keys: AuditKeys | undefined): SealedEvent =>
  keys === undefined ? event : { ...event, seal: keys.seal(canonicalEvent(event)).toString('hex'), sealKey: keys.id };

const columns = `id, at, actor, on_behalf_of, action, resource, purpose, outcome, request_id, tenant_id, detail, seal, seal_key`;
const insertRow = `INSERT INTO audit_events (${columns})
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, decode($12, 'hex'), $13) RETURNING xid::text AS xid`;
const insertRows = `WITH made AS (
    INSERT INTO audit_events (${columns})
    SELECT id, at, actor, "onBehalfOf", action, resource, purpose, outcome, "requestId", "tenantId", detail, decode(seal, 'hex'), "sealKey"
    FROM json_to_recordset($1::json) AS row (id uuid, at timestamptz, actor text, "onBehalfOf" text, action text, resource text,
      purpose text, outcome text, "requestId" text, "tenantId" text, detail jsonb, seal text, "sealKey" text))
  SELECT pg_current_xact_id()::text AS xid`;

const parametersOf = (row: SealedEvent): unknown[] => [
  row.id,
  row.at,
  row.actor,
  row.onBehalfOf,
  row.action,
  row.resource,
  row.purpose,
  row.outcome,
  row.requestId,
  row.tenantId,
  JSON.stringify(row.detail),
  row.seal ?? null,
  row.sealKey ?? null,
];
