import { systemClock, type Clock } from '#libs/kernel';
import type { Database, Tx } from '#libs/store';
import { canonicalEvent, storedEvent, type AuditEvent } from './audit-event.js';
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
  const parameters: unknown[] = [];
  const places: string[] = [];
  for (const given of events) {
    const event = storedEvent(given, now);
    places.push(`(${columns.map((_column, index) => `$${parameters.length + index + 1}`).join(', ')})`);
    parameters.push(
      event.id,
      event.at,
      event.actor,
      event.onBehalfOf,
      event.action,
      event.resource,
      event.purpose,
      event.outcome,
      event.requestId,
      event.tenantId,
      JSON.stringify(event.detail),
      seal === undefined ? null : seal.keys.seal(canonicalEvent(event)),
      seal === undefined ? null : seal.keys.id,
    );
  }
  const rows = (await tx.query(
    `INSERT INTO audit_events (${columns.join(', ')}) VALUES ${places.join(', ')} RETURNING id, xid::text AS xid`,
    parameters,
  )) as AppendedRow[];
  seal?.onAppend?.(rows);
}

const columns = [
  'id',
  'at',
  'actor',
  'on_behalf_of',
  'action',
  'resource',
  'purpose',
  'outcome',
  'request_id',
  'tenant_id',
  'detail',
  'seal',
  'seal_key',
];
