import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The links of the audit chain as blocks: one row for all events that were linked together, with the seq, the hash and
 * the code of each. Links of earlier releases become blocks with the same content.
 */
export class AuditBlocks1763900000016 implements MigrationInterface {
  readonly name = 'AuditBlocks1763900000016';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...beginning, ...conversion, ...ending]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const beginning = [
  // A trail of years takes longer than a statement of serving may.
  `SET LOCAL statement_timeout = 0`,
  `CREATE TABLE audit_blocks (
    first_position bigint PRIMARY KEY CHECK (first_position > 0),
    last_position bigint NOT NULL CHECK (last_position >= first_position),
    min_seq bigint NOT NULL,
    max_seq bigint NOT NULL,
    seqs bigint[] NOT NULL CHECK (cardinality(seqs) = last_position - first_position + 1),
    hashes bytea NOT NULL CHECK (length(hashes) = 32 * (last_position - first_position + 1)),
    macs bytea NOT NULL CHECK (length(macs) = 32 * (last_position - first_position + 1)),
    key_id text NOT NULL,
    seen pg_snapshot,
    cluster text
  )`,
  `COMMENT ON COLUMN audit_blocks.seen IS 'every row that this snapshot sees is linked, with this block at the latest'`,
  // Digests cannot be compressed, and the last one is read without those before.
  `ALTER TABLE audit_blocks ALTER COLUMN hashes SET STORAGE EXTERNAL, ALTER COLUMN macs SET STORAGE EXTERNAL`,
];

const conversion = [
  `INSERT INTO audit_blocks (first_position, last_position, min_seq, max_seq, seqs, hashes, macs, key_id)
   SELECT min(position), max(position), min(event_seq), max(event_seq), array_agg(event_seq ORDER BY position),
     string_agg(hash, '' ORDER BY position), string_agg(mac, '' ORDER BY position), key_id
   FROM (
     SELECT *, position - row_number() OVER (PARTITION BY key_id, position / 1000 ORDER BY position) AS run FROM audit_links
   ) l GROUP BY key_id, position / 1000, run`,
  // Up to there everything was linked when the last checkpoint was written.
  `UPDATE audit_blocks SET seen = (c.watermark::text || ':' || c.watermark::text || ':')::pg_snapshot, cluster = c.cluster
   FROM (SELECT watermark, cluster FROM audit_checkpoints WHERE watermark > '0'::xid8 ORDER BY id DESC LIMIT 1) c
   WHERE first_position = (SELECT max(first_position) FROM audit_blocks)`,
  `ALTER TABLE audit_checkpoints DROP COLUMN watermark, DROP COLUMN cluster`,
  `DROP TABLE audit_links`,
  `CREATE INDEX audit_blocks_by_seq ON audit_blocks (max_seq)`,
];

const ending = [
  `CREATE VIEW audit_links AS
   SELECT b.first_position + l.at - 1 AS position, l.seq AS event_seq, substring(b.hashes FROM (l.at::int - 1) * 32 + 1 FOR 32) AS hash,
     substring(b.macs FROM (l.at::int - 1) * 32 + 1 FOR 32) AS mac, b.key_id
   FROM audit_blocks b CROSS JOIN LATERAL unnest(b.seqs) WITH ORDINALITY AS l (seq, at)`,
  `COMMENT ON VIEW audit_links IS 'the chain row by row, for reading by hand'`,
  `CREATE FUNCTION audit_position(event_seq bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
     SELECT b.first_position + array_position(b.seqs, event_seq) - 1 FROM audit_blocks b
     WHERE b.max_seq >= event_seq AND b.min_seq <= event_seq AND event_seq = ANY (b.seqs) ORDER BY b.max_seq LIMIT 1
   $$`,
  `CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('audit_events', 'audit_blocks')
        AND current_setting('sluice.audit_purge', true) = 'on' THEN RETURN OLD; END IF;
     RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
   END $$`,
  `CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON audit_blocks FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()`,
  `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit_blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()`,
  // As before the only way out for a row. A block of which a part goes is cut: what stays is put back as it was.
  `CREATE OR REPLACE FUNCTION purge_audit(first bigint, last bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
   SET search_path FROM CURRENT AS $$
   DECLARE removed bigint; begins bigint; gone bigint[];
   BEGIN
     LOCK TABLE audit_holds, audit_hold_releases IN SHARE MODE;
     -- What is linked meanwhile would be removed unseen.
     LOCK TABLE audit_blocks IN SHARE ROW EXCLUSIVE MODE;
     IF NOT EXISTS (SELECT 1 FROM audit_tombstones t WHERE t.first_position = first AND t.last_position = last) THEN
       RAISE EXCEPTION 'positions % to % have no tombstone', first, last USING ERRCODE = 'insufficient_privilege';
     END IF;
     SELECT coalesce(max(b.first_position), 0) INTO begins FROM audit_blocks b WHERE b.first_position <= first;
     SELECT array_agg(l.seq) INTO gone FROM audit_blocks b CROSS JOIN LATERAL unnest(b.seqs) WITH ORDINALITY AS l (seq, at)
     WHERE b.first_position BETWEEN begins AND last AND b.first_position + l.at - 1 BETWEEN first AND last;
     IF EXISTS (
       SELECT 1 FROM audit_events e WHERE e.seq = ANY (gone)
         AND (e.at >= now() - make_interval(days => (SELECT days FROM audit_retention)) OR audit_is_held(e))) THEN
       RAISE EXCEPTION 'positions % to % hold rows that must be kept', first, last USING ERRCODE = 'insufficient_privilege';
     END IF;
     PERFORM set_config('sluice.audit_purge', 'on', true);
     DELETE FROM audit_events e WHERE e.seq = ANY (gone);
     GET DIAGNOSTICS removed = ROW_COUNT;
     WITH cut AS (
       DELETE FROM audit_blocks b WHERE b.first_position BETWEEN begins AND last AND b.last_position >= first RETURNING b.*),
     kept AS (
       SELECT c.*, part.low::int, part.high::int FROM cut c CROSS JOIN LATERAL (VALUES
         (1, first - c.first_position), (last - c.first_position + 2, c.last_position - c.first_position + 1)) AS part (low, high)
       WHERE part.low <= part.high)
     INSERT INTO audit_blocks (first_position, last_position, min_seq, max_seq, seqs, hashes, macs, key_id, seen, cluster)
     SELECT first_position + low - 1, first_position + high - 1, (SELECT min(seq) FROM unnest(seqs[low:high]) AS seq),
       (SELECT max(seq) FROM unnest(seqs[low:high]) AS seq), seqs[low:high],
       substring(hashes FROM (low - 1) * 32 + 1 FOR (high - low + 1) * 32),
       substring(macs FROM (low - 1) * 32 + 1 FOR (high - low + 1) * 32), key_id, seen, cluster
     FROM kept;
     PERFORM set_config('sluice.audit_purge', '', true);
     RETURN removed;
   END $$`,
];
