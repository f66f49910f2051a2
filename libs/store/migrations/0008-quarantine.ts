import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Inputs that killed their replicas, by digest alone, for all API processes. */
export class Quarantine1763900000008 implements MigrationInterface {
  readonly name = 'Quarantine1763900000008';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `CREATE TABLE quarantined_inputs (
    digest text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    model text NOT NULL,
    version text NOT NULL,
    deaths integer NOT NULL CHECK (deaths > 0),
    quarantined_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    lifted_at timestamptz,
    lifted_by text,
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
  )`,
  `CREATE INDEX quarantined_inputs_active ON quarantined_inputs (expires_at) WHERE lifted_at IS NULL`,
  `CREATE FUNCTION announce_quarantined_inputs() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', 'quarantined_inputs', 'key', NEW.digest)::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE ON quarantined_inputs FOR EACH ROW EXECUTE FUNCTION announce_quarantined_inputs()`,
];
