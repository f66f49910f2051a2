import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Request records by day, so that a day goes as a whole and at once. The table of before becomes one partition as it is:
 * no row is written anew.
 */
export class RequestPartitions1763900000014 implements MigrationInterface {
  readonly name = 'RequestPartitions1763900000014';

  async up(runner: QueryRunner): Promise<void> {
    // To attach the old table and to index it PostgreSQL reads it once, however large it is.
    await runner.query('SET LOCAL statement_timeout = 0');
    const [row] = (await runner.query(
      `SELECT to_char(date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day', 'YYYY-MM-DD') AS day`,
    )) as { day: string }[];
    const firstDay = `'${row!.day} 00:00:00+00'`;
    for (const statement of statements(firstDay)) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const partitions = `SELECT c.relname AS name,
    (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz AS ends_at
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'request_records'::regclass`;

// As their owner: the role of the serving processes makes and drops no tables.
const janitor = [
  `CREATE VIEW request_partitions AS ${partitions}`,
  `CREATE FUNCTION make_request_day(ahead integer) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
   SET search_path FROM CURRENT AS $$
   DECLARE
     day timestamp := date_trunc('day', now() AT TIME ZONE 'UTC') + make_interval(days => ahead);
     place text := 'request_records_d' || to_char(day, 'YYYYMMDD');
     first timestamptz := day AT TIME ZONE 'UTC';
     next timestamptz := (day + interval '1 day') AT TIME ZONE 'UTC';
   BEGIN
     IF ahead NOT BETWEEN 0 AND 30 OR EXISTS (SELECT FROM request_partitions p WHERE p.name = place
       OR (p.name !~ '_d[0-9]{8}$' AND p.ends_at > first)) THEN RETURN NULL; END IF;
     EXECUTE format('CREATE TABLE %I (LIKE request_records)', place);
     -- What came before its day had a place would keep that place from being made.
     EXECUTE format('WITH early AS (DELETE FROM request_records_rest WHERE at >= %L AND at < %L RETURNING *)
       INSERT INTO %I SELECT * FROM early', first, next, place);
     -- Beside running reads and writes, which CREATE TABLE ... PARTITION OF would stop.
     EXECUTE format('ALTER TABLE request_records ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', place, first, next);
     RETURN place;
   END $$`,
  `CREATE FUNCTION drop_request_days(retention interval) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
   SET search_path FROM CURRENT AS $$
   DECLARE
     old text;
     dropped text[] := '{}';
   BEGIN
     FOR old IN SELECT p.name FROM request_partitions p WHERE p.ends_at <= now() - retention LOOP
       EXECUTE format('DROP TABLE %I', old);
       dropped := dropped || old;
     END LOOP;
     RETURN dropped;
   END $$`,
];

const statements = (firstDay: string): string[] => [
  'ALTER TABLE request_records RENAME TO request_records_before',
  'DROP INDEX request_records_at',
  `ALTER TABLE request_records_before ADD COLUMN tenant_id uuid, ADD COLUMN project_id uuid, ADD COLUMN subject uuid`,
  'CREATE TABLE request_records (LIKE request_records_before) PARTITION BY RANGE (at)',
  'CREATE TABLE request_records_rest PARTITION OF request_records DEFAULT',
  // Of a clock that ran ahead.
  `WITH ahead AS (DELETE FROM request_records_before WHERE at >= ${firstDay} RETURNING *)
   INSERT INTO request_records_rest SELECT * FROM ahead`,
  `ALTER TABLE request_records ATTACH PARTITION request_records_before FOR VALUES FROM (MINVALUE) TO (${firstDay})`,
  // Both arrive in time order, so that the index grows at its right end alone; an id of today begins with its time.
  'CREATE INDEX request_records_time ON request_records (at, request_id)',
  'CREATE INDEX request_records_subject ON request_records (subject) WHERE subject IS NOT NULL',
  ...janitor,
];
