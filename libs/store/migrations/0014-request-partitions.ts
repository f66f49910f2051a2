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
];
