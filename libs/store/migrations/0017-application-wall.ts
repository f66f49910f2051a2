import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A new table is closed to the application until a line in `application-rights.ts` opens it. */
export class ApplicationWall1763900000017 implements MigrationInterface {
  readonly name = 'ApplicationWall1763900000017';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  // Earlier releases gave the application every table to come.
  `DO $$ DECLARE kind text;
   BEGIN
     IF to_regrole('sluice_app') IS NULL THEN RETURN; END IF;
     FOREACH kind IN ARRAY ARRAY['TABLES', 'SEQUENCES'] LOOP
       EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON %s FROM sluice_app', current_schema(), kind);
     END LOOP;
   END $$`,
  // Whoever may call it could ask for a retention of nothing, or of less.
  `CREATE OR REPLACE FUNCTION drop_request_days(retention interval) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
   SET search_path FROM CURRENT AS $$
   DECLARE
     old text;
     dropped text[] := '{}';
   BEGIN
     IF retention IS NULL OR retention < interval '1 day' THEN
       RAISE EXCEPTION 'request records are kept for a day or more' USING ERRCODE = 'invalid_parameter_value';
     END IF;
     FOR old IN SELECT p.name FROM request_partitions p WHERE p.ends_at <= now() - retention LOOP
       EXECUTE format('DROP TABLE %I', old);
       dropped := dropped || old;
     END LOOP;
     RETURN dropped;
   END $$`,
];
