import type { Tx } from '#libs/store';
import { eventColumns, type StoredEvent } from './audit-event.js';
import type { SeenSnapshot } from './chain-block.js';

/** A row that has no place in the chain yet. */
export interface WaitingRow {
  seq: string;
  id: string;
  /** Hexadecimal; empty where there is none. */
  seal: string;
}

/** What is read of a row that this process has not appended itself. */
export interface WholeRow extends StoredEvent {
  seal: Buffer | null;
  sealKey: string | null;
}

/** Where a page of waiting rows ends. */
export interface RowCursor {
  xid: string;
  seq: string;
}

export interface WaitingPage {
  rows: WaitingRow[];
  /** As of when the page was read, for `SeenSnapshot.text`. */
  snapshot: string;
  /** Where the next page begins; undefined after the last one. */
  next: RowCursor | undefined;
}

const firstCursor: RowCursor = { xid: '0', seq: '0' };
const separator = ',';

/**
 * Rows are found by the transactions that wrote them: those that were running when the snapshot was taken, and those that
 * came later. That is exactly what the snapshot did not see, however long a transaction runs.
 */
interface Unseen {
  running: string;
  from: string;
}

function unseenBy(seen: SeenSnapshot | undefined): Unseen {
  const [, xmax = '0', running = ''] = seen?.text.split(':') ?? [];
  return { running: `{${running}}`, from: xmax };
}

// Nothing has been written yet by what is to come: where rows come from another server, their numbers mean nothing here.
const isReached = 'e.xid < pg_snapshot_xmax(pg_current_snapshot())';

/** @param refused seqs that are known and stay outside */
export async function hasWaiting(tx: Tx, seen: SeenSnapshot, refused: readonly string[]): Promise<boolean> {
  const { running, from } = unseenBy(seen);
  const [look] = (await tx.query(
    `SELECT EXISTS (SELECT 1 FROM audit_events e WHERE e.xid = ANY ($1::xid8[]) AND e.seq <> ALL ($3::bigint[]))
       OR EXISTS (SELECT 1 FROM audit_events e WHERE e.xid >= $2::xid8 AND ${isReached} AND e.seq <> ALL ($3::bigint[])) AS waiting`,
    [running, from, refused],
  )) as { waiting: boolean }[];
  return look?.waiting === true;
}

/**
 * A page of the rows that a snapshot did not see and that have no place yet.
 * @param seen undefined where nothing is known: then all rows are looked through
 */
export async function waitingPage(
  tx: Tx,
  seen: SeenSnapshot | undefined,
  after: RowCursor = firstCursor,
  limit: number,
): Promise<WaitingPage> {
  const { running, from } = unseenBy(seen);
  const bound = seen === undefined ? '' : `AND e.xid >= $2::xid8 AND ${isReached}`;
  const page = (condition: string): string =>
    `(SELECT e.xid, e.seq, e.id, e.seal FROM audit_events e
      WHERE (e.xid, e.seq) > ($3::xid8, $4::bigint) ${condition} ORDER BY e.xid, e.seq LIMIT ${limit})`;
  const [found] = (await tx.query(
    `WITH page AS MATERIALIZED (
       SELECT * FROM (${page('AND e.xid = ANY ($1::xid8[])')} UNION ALL ${page(`${bound} AND e.xid >= $2::xid8`)}) p
       ORDER BY xid, seq LIMIT ${limit}),
     linked AS (
       SELECT unnest(b.seqs) AS seq FROM audit_blocks b
       WHERE b.max_seq >= (SELECT min(seq) FROM page) AND b.min_seq <= (SELECT max(seq) FROM page))
     SELECT pg_current_snapshot()::text AS snapshot, (SELECT count(*)::int FROM page) AS found,
       (SELECT xid || ':' || seq FROM page ORDER BY xid DESC, seq DESC LIMIT 1) AS last,
       string_agg(w.seq::text, '${separator}') AS seqs, string_agg(w.id::text, '${separator}') AS ids,
       string_agg(coalesce(encode(w.seal, 'hex'), ''), '${separator}') AS seals
     FROM (SELECT * FROM page p WHERE NOT EXISTS (SELECT 1 FROM linked l WHERE l.seq = p.seq) ORDER BY p.xid, p.seq) w`,
    [running, from, after.xid, after.seq],
  )) as PackedPage[];
  const { snapshot, found: count, last } = found!;
  const [xid = '', seq = ''] = last?.split(':') ?? [];
  return { rows: unpacked(found!), snapshot, next: count < limit ? undefined : { xid, seq } };
}

/** A page as one row: a thousand rows of their own would cost both sides more than what is in them. */
interface PackedPage {
  snapshot: string;
  found: number;
  last: string | null;
  seqs: string | null;
  ids: string | null;
  seals: string | null;
}

// Numbers, ids and hexadecimal: none of them can have a separator in it, whoever wrote the row.
function unpacked({ seqs, ids, seals }: PackedPage): WaitingRow[] {
  if (seqs === null || ids === null || seals === null) return [];
  const [idList, sealList] = [ids.split(separator), seals.split(separator)];
  return seqs.split(separator).map((seq, at) => ({ seq, id: idList[at] ?? '', seal: sealList[at] ?? '' }));
}

/** Whole rows by their seq. */
export async function wholeRows(tx: Tx, seqs: readonly string[]): Promise<Map<string, WholeRow>> {
  if (seqs.length === 0) return new Map();
  const rows = (await tx.query(
    `SELECT e.seq, e.seal, e.seal_key AS "sealKey", ${eventColumns} FROM audit_events e WHERE e.seq = ANY ($1::bigint[])`,
    [seqs],
  )) as (WholeRow & { seq: string })[];
  return new Map(rows.map(({ seq, ...row }) => [seq, row]));
}

/** Of which server the snapshots are. */
export async function clusterOf(tx: Tx): Promise<string> {
  const [row] = (await tx.query('SELECT system_identifier::text AS cluster FROM pg_control_system()')) as {
    cluster: string;
  }[];
  return row?.cluster ?? '';
}
