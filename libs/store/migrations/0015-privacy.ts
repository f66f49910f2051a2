import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Data keys, payloads that were logged on purpose and for a time, and erasures with their certificates. */
export class Privacy1763900000015 implements MigrationInterface {
  readonly name = 'Privacy1763900000015';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `CREATE TABLE data_keys (
    id uuid PRIMARY KEY,
    subject uuid,
    wrapped bytea,
    master_key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
  )`,
  'CREATE UNIQUE INDEX data_keys_subject ON data_keys (subject) WHERE destroyed_at IS NULL',
  `CREATE TABLE payload_windows (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    endpoint text NOT NULL REFERENCES endpoints (name),
    reason text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    opened_by text NOT NULL,
    ends_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by text,
    dropped bigint NOT NULL DEFAULT 0,
    CHECK (ends_at > opened_at AND ends_at <= opened_at + interval '24 hours'),
    CHECK ((closed_at IS NULL) = (closed_by IS NULL))
  )`,
  'CREATE UNIQUE INDEX payload_windows_open ON payload_windows (endpoint) WHERE closed_at IS NULL',
  `CREATE FUNCTION announce_payload_windows() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('sluice_changed', json_build_object('table', 'payload_windows', 'key', NEW.endpoint)::text); RETURN NULL; END $$`,
  `CREATE TRIGGER announce AFTER INSERT OR UPDATE OF closed_at ON payload_windows FOR EACH ROW EXECUTE FUNCTION announce_payload_windows()`,
  `CREATE TABLE payload_records (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    request_id uuid NOT NULL,
    endpoint text NOT NULL,
    version text NOT NULL,
    window_id uuid NOT NULL REFERENCES payload_windows (id),
    tenant_id uuid NOT NULL,
    subject uuid,
    data_key_id uuid NOT NULL REFERENCES data_keys (id),
    sealed bytea NOT NULL,
    redactions jsonb NOT NULL
  )`,
  'CREATE INDEX payload_records_endpoint ON payload_records (endpoint, at, id)',
  'CREATE INDEX payload_records_at ON payload_records (at)',
  'CREATE INDEX payload_records_subject ON payload_records (subject) WHERE subject IS NOT NULL',
  'CREATE INDEX payload_records_data_key ON payload_records (data_key_id)',
  `CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    subject uuid NOT NULL,
    tenant_id uuid NOT NULL,
    ground text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    finished_at timestamptz,
    certificate jsonb,
    CHECK ((finished_at IS NULL) = (certificate IS NULL))
  )`,
  'CREATE UNIQUE INDEX erasures_running ON erasures (subject) WHERE finished_at IS NULL',
  'CREATE INDEX erasures_subject ON erasures (subject, requested_at)',
  'CREATE INDEX erasures_requested ON erasures (requested_at, id)',
  `CREATE TABLE erasure_steps (
    erasure_id uuid NOT NULL REFERENCES erasures (id),
    store text NOT NULL,
    erased integer NOT NULL CHECK (erased >= 0),
    finished_at timestamptz,
    PRIMARY KEY (erasure_id, store)
  )`,
  // Who read what of a subject.
  `CREATE INDEX audit_events_subject ON audit_events ((detail->>'subject')) WHERE detail->>'subject' IS NOT NULL`,
];
