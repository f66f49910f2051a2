import { systemClock, type Clock } from '#libs/kernel';
import { runPrepared, type Database, type PreparedStatement, type Tx } from '#libs/store';
import { ActorTenants } from './actor-tenants.js';
import { canonicalEvent, storedEvent, type AuditEvent, type StoredEvent } from './audit-event.js';
import type { AuditKeys } from './audit-keys.js';
import type { RecentRows } from './recent-rows.js';

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
  /** Where the chainer of this process finds again what was appended here. */
  recent?: RecentRows;
}

const seals = new WeakMap<object, AuditSeal>();
const actorTenants = new WeakMap<object, ActorTenants>();

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
  const tenants = await tenantsOf(tx).ofAll(tx, events);
  const rows = events.map((event) => sealed(storedEvent(event, event.tenantId ?? tenants.get(event.actor), now), seal));
  for (let at = 0; at < rows.length; at += rowsPerStatement) {
    const some = rows.slice(at, at + rowsPerStatement);
    const [made] = await runPrepared<{ xid: string }>(tx, insertOf(some.length), some.flatMap(parametersOf));
    if (made !== undefined) seal?.onAppend?.(some.map(({ id }) => ({ id, xid: made.xid })));
  }
}

function tenantsOf(tx: Tx): ActorTenants {
  let tenants = actorTenants.get(tx.dataSource);
  if (tenants === undefined) actorTenants.set(tx.dataSource, (tenants = new ActorTenants()));
  return tenants;
}

interface SealedEvent extends StoredEvent {
  seal: string | null;
  sealKey: string | null;
}

function sealed(event: StoredEvent, by: AuditSeal | undefined): SealedEvent {
  if (by === undefined) return { ...event, seal: null, sealKey: null };
  const text = canonicalEvent(event);
  const seal = by.keys.seal(text);
  by.recent?.note(event.id, { text, seal });
  return { ...event, seal, sealKey: by.keys.id };
}

/** A connection keeps a plan for each count of rows up to this one. */
const rowsPerStatement = 16;
const columns = `id, at, actor, on_behalf_of, action, resource, purpose, outcome, request_id, tenant_id, detail, seal, seal_key`;
const columnCount = columns.split(',').length;
const inserts: PreparedStatement[] = [];

/** Prepared, since parsing and planning cost PostgreSQL as much as the rows themselves. */
function insertOf(rows: number): PreparedStatement {
  return (inserts[rows] ??= { name: `sluice_append_audit_${rows}`, text: insertText(rows) });
}

function insertText(rows: number): string {
  const places = Array.from({ length: rows }, (_row, row) => placesOf(row * columnCount)).join(', ');
  const insert = `INSERT INTO audit_events (${columns}) VALUES ${places}`;
  // All of them have been written by one transaction: its id is answered once.
  return rows === 1
    ? `${insert} RETURNING xid::text AS xid`
    : `WITH made AS (${insert}) SELECT pg_current_xact_id()::text AS xid`;
}

const placesOf = (before: number): string =>
  `(${Array.from({ length: columnCount }, (_column, at) => `$${before + at + 1}`).join(', ')})`;

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
  row.seal === null ? null : `\\x${row.seal}`,
  row.sealKey,
];
