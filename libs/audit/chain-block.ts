import type { Tx } from '#libs/store';
import { chainStart, type ChainHead } from './chain-link.js';

/** The places of events that were linked together. All digests are hexadecimal. */
export interface ChainBlock {
  firstPosition: number;
  /** In the order of positions; so are hashes and macs. */
  seqs: string[];
  hashes: string[];
  macs: string[];
  keyId: string;
}

/** A snapshot of PostgreSQL, all of whose rows are linked. It means something on one server only. */
export interface SeenSnapshot {
  /** As `pg_snapshot` has it: `xmin:xmax:xid,xid`. */
  text: string;
  cluster: string;
}

/** The end of the chain as it lies in the database. */
export interface ChainEnd {
  head: ChainHead;
  /** Hash of the row at the position that was asked for, while it is there. */
  remembered: Buffer | undefined;
  /** Of the last block; undefined where it has none that may be believed. */
  seen: SeenSnapshot | undefined;
  /** Last row that is linked. */
  lastSeq: string | undefined;
}

interface EndRow {
  position: string;
  hash: Buffer;
  kind: 'block' | 'tombstone' | 'remembered';
  seq: string | null;
  seen: string | null;
  cluster: string | null;
}

/** @param position of a row whose hash is wanted too */
export async function chainEnd(tx: Tx, position: number): Promise<ChainEnd> {
  const rows = (await tx.query(
    `(SELECT last_position AS position, substring(hashes FROM (last_position - first_position)::int * 32 + 1 FOR 32) AS hash,
        'block' AS kind, seqs[(last_position - first_position + 1)::int] AS seq,
        CASE WHEN pg_snapshot_xmax(seen) <= pg_snapshot_xmax(pg_current_snapshot()) THEN seen END AS seen, cluster
      FROM audit_blocks ORDER BY first_position DESC LIMIT 1)
     UNION ALL
     (SELECT last_position, decode(body->>'lastHash', 'hex'), 'tombstone', NULL, NULL, NULL
      FROM audit_tombstones ORDER BY last_position DESC LIMIT 1)
     UNION ALL
     (SELECT $1::bigint, substring(hashes FROM ($1::bigint - first_position)::int * 32 + 1 FOR 32), 'remembered', NULL, NULL, NULL
      FROM (SELECT * FROM audit_blocks WHERE first_position <= $1 ORDER BY first_position DESC LIMIT 1) b WHERE last_position >= $1)`,
    [position],
  )) as EndRow[];
  const rowOf = (kind: EndRow['kind']): EndRow | undefined => rows.find((row) => row.kind === kind);
  const [block, stone] = [rowOf('block'), rowOf('tombstone')];
  const ends = [block, stone].filter((row) => row !== undefined);
  const [last] = ends.sort((a, b) => Number(b.position) - Number(a.position));
  const seen =
    typeof block?.seen === 'string' && block.cluster !== null
      ? { text: block.seen, cluster: block.cluster }
      : undefined;
  return {
    head: last === undefined ? chainStart : { position: Number(last.position), hash: last.hash },
    remembered: rowOf('remembered')?.hash,
    seen,
    lastSeq: block?.seq ?? undefined,
  };
}

/** Where the chain ends: the last row, or the tombstone that stands in the place of later ones. */
export const headOf = async (tx: Tx): Promise<ChainHead> => (await chainEnd(tx, 0)).head;

/** @param seen what is linked with this block; left out where it is not known yet */
export async function insertBlock(tx: Tx, block: ChainBlock, seen: SeenSnapshot | undefined): Promise<void> {
  const { firstPosition, seqs, hashes, macs, keyId } = block;
  const seqList = `{${seqs.join(',')}}`;
  await tx.query(
    `INSERT INTO audit_blocks (first_position, last_position, min_seq, max_seq, seqs, hashes, macs, key_id, seen, cluster)
     SELECT $1::bigint, $2::bigint, min(seq), max(seq), $3::bigint[], $4::bytea, $5::bytea, $6, $7::pg_snapshot, $8
     FROM unnest($3::bigint[]) AS seq`,
    [
      firstPosition,
      firstPosition + seqs.length - 1,
      seqList,
      `\\x${hashes.join('')}`,
      `\\x${macs.join('')}`,
      keyId,
      seen?.text ?? null,
      seen?.cluster ?? null,
    ],
  );
}
