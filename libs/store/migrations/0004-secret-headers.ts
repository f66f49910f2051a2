import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Values of headers that remote models are called with, sealed. */
export class SecretHeaders1763900000004 implements MigrationInterface {
  readonly name = 'SecretHeaders1763900000004';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `CREATE TABLE secret_headers (
    model text NOT NULL,
    version text NOT NULL,
    name text NOT NULL,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version, name),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
  )`,
  `CREATE FUNCTION announce_secret_headers() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', 'secret_headers',
     'key', coalesce(NEW.model, OLD.model) || '/' || coalesce(NEW.version, OLD.version))::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON secret_headers
   FOR EACH ROW EXECUTE FUNCTION announce_secret_headers()`,
];
