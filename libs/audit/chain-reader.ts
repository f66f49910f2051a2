import type { Database, Tx } from '#libs/store';
import { setImmediate as breathe } from 'node:timers/promises';
import { eventColumns, type StoredEvent } from './audit-event.js';
import type { ChainLink } from './chain-link.js';
import { tombstoneSchema, type Tombstone } from './checkpoint.js';

/** A row with its event, or the tombstone that stands for rows. */
export type ChainPart =
  | { kind: 'row'; link: ChainLink; event: StoredEvent | undefined }
  | { kind: 'tombstone'; stone: Tombstone | undefined; firstPosition: number; lastPosition: number };

interface LinkRow extends StoredEvent {
  position: string;
  seq: string;
  hash: Buffer;
  mac: Buffer;
  keyId: string;
  block: string;
}

// Few enough that requests of others on the same thread do not notice.
const rowsPerPage = 250;

/** All parts of the chain after a position, in order, a page at a time and without holding a snapshot. */
export async function* chainParts(
  database: Database,
  after = 0,
  upTo = Number.MAX_SAFE_INTEGER,
): AsyncIterable<ChainPart> {
  let position = after;
  for await (const blocks of blockPages(database, after, upTo)) {
    for await (const part of rowsOfBlocks(database, blocks)) {
      if (part.link.position <= after || part.link.position > upTo) continue;
      for await (const stone of tombstonesBetween(database, position, part.link.position)) yield stone;
      yield part;
      position = part.link.position;
    }
  }
  for await (const part of tombstonesBetween(database, position, upTo)) yield part;
}

interface BlockRange {
  first: number;
  rows: number;
}

/**
 * Blocks in the order of their first position, a few at a time. That number alone leads on, whatever else a block says
 * of itself: what was bent must end, and be found.
 */
async function* blockPages(database: Database, after: number, upTo: number): AsyncIterable<BlockRange[]> {
  const [begin] = await database.query<{ first: string }>(
    'SELECT coalesce(max(first_position), 0) AS first FROM audit_blocks WHERE first_position <= $1',
    [after + 1],
  );
  for (let from = Number(begin?.first ?? 0); ;) {
    const blocks = await database.query<{ first: string; rows: number }>(
      `SELECT first_position AS first, cardinality(seqs) AS rows FROM audit_blocks
       WHERE first_position >= $1 AND first_position <= $2 ORDER BY first_position LIMIT ${rowsPerPage}`,
      [from, upTo],
    );
    if (blocks.length === 0) return;
    yield blocks.map(({ first, rows }) => ({ first: Number(first), rows }));
    from = Number(blocks.at(-1)?.first) + 1;
  }
}

type RowPart = Extract<ChainPart, { kind: 'row' }>;

async function* rowsOfBlocks(database: Database, blocks: readonly BlockRange[]): AsyncIterable<RowPart> {
  for (let at = 0; at < blocks.length;) {
    const some: number[] = [];
    for (let rows = 0; at < blocks.length && (rows === 0 || rows + blocks[at]!.rows <= rowsPerPage); at += 1) {
      some.push(blocks[at]!.first);
      rows += blocks[at]!.rows;
    }
    for (let skip = 0; ; skip += rowsPerPage) {
      const rows = await database.read((tx) => rowsAfter(tx, some, skip));
      yield* rows;
      await breathe();
      if (rows.length < rowsPerPage) break;
    }
  }
}

async function rowsAfter(tx: Tx, firstPositions: readonly number[], skip: number): Promise<RowPart[]> {
  const rows = (await tx.query(
    `SELECT l.*, ${eventColumns} FROM (
       SELECT b.first_position + o.at - 1 AS position, o.seq, b.key_id AS "keyId", b.first_position AS block,
         substring(b.hashes FROM (o.at::int - 1) * 32 + 1 FOR 32) AS hash, substring(b.macs FROM (o.at::int - 1) * 32 + 1 FOR 32) AS mac
       FROM audit_blocks b CROSS JOIN LATERAL unnest(b.seqs) WITH ORDINALITY AS o (seq, at)
       WHERE b.first_position = ANY ($1::bigint[]) ORDER BY b.first_position, o.at OFFSET $2 LIMIT ${rowsPerPage}) l
     LEFT JOIN audit_events e ON e.seq = l.seq ORDER BY l.block, l.position`,
    [firstPositions, skip],
  )) as LinkRow[];
  return rows.map(({ position, seq, hash, mac, keyId, block: _block, ...event }) => ({
    kind: 'row',
    link: { position: Number(position), seq: Number(seq), hash, mac, keyId },
    event: event.id === null ? undefined : event,
  }));
}

async function* tombstonesBetween(database: Database, after: number, before: number): AsyncIterable<ChainPart> {
  if (before === after + 1) return;
  const stones = await database.query<{ first: string; last: string; body: unknown }>(
    `SELECT first_position AS first, last_position AS last, body FROM audit_tombstones
     WHERE first_position > $1 AND first_position < $2 ORDER BY first_position`,
    [after, before],
  );
  for (const { first, last, body } of stones) {
    const parsed = tombstoneSchema.safeParse(body);
    const isIts =
      parsed.success && parsed.data.firstPosition === Number(first) && parsed.data.lastPosition === Number(last);
    yield {
      kind: 'tombstone',
      stone: isIts ? parsed.data : undefined,
      firstPosition: Number(first),
      lastPosition: Number(last),
    };
  }
}

/** Gives a part to what checks it. */
export function checkPart(
  check: { row(link: ChainLink, event: StoredEvent | undefined): void; tombstone(stone: Tombstone): void },
  part: ChainPart,
): void {
  if (part.kind === 'row') check.row(part.link, part.event);
  // What cannot be read stands for nothing: the hole that it leaves is found.
  else if (part.stone !== undefined) check.tombstone(part.stone);
}
