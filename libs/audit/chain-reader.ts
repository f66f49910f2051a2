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
  for (;;) {
    const page = await database.read((tx) => pageAfter(tx, position, upTo));
    for (const link of page) {
      for await (const part of tombstonesBetween(database, position, link.position)) yield part;
      yield link;
      position = link.link.position;
    }
    if (page.length < rowsPerPage) break;
    await breathe();
  }
  for await (const part of tombstonesBetween(database, position, upTo)) yield part;
}

type RowPart = Extract<ChainPart, { kind: 'row' }> & { position: number };

async function pageAfter(tx: Tx, position: number, upTo: number): Promise<RowPart[]> {
  const rows = (await tx.query(
    `SELECT l.position, l.event_seq AS seq, l.hash, l.mac, l.key_id AS "keyId", ${eventColumns}
     FROM audit_links l LEFT JOIN audit_events e ON e.seq = l.event_seq
     WHERE l.position > $1 AND l.position <= $2 ORDER BY l.position LIMIT ${rowsPerPage}`,
    [position, upTo],
  )) as LinkRow[];
  return rows.map((row) => {
    const { position: at, seq, hash, mac, keyId, ...event } = row;
    const link = { position: Number(at), seq: Number(seq), hash, mac, keyId };
    return { kind: 'row', position: link.position, link, event: event.id === null ? undefined : event };
  });
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
