import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where a version came from, the keys that may sign, and what was signed. */
export class ArtifactTrust1763900000005 implements MigrationInterface {
  readonly name = 'ArtifactTrust1763900000005';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `ALTER TABLE model_versions
    ADD COLUMN layout text NOT NULL DEFAULT 'sluice',
    ADD COLUMN source text,
    ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]'`,
  `CREATE INDEX model_versions_by_dataset ON model_versions
    ((manifest->'trainedOn'->>'dataset'), (manifest->'trainedOn'->>'version'))`,
  `CREATE TABLE signing_keys (
    id text PRIMARY KEY,
    public_key_pem text NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'retired', 'revoked')),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    retired_at timestamptz,
    revoked_at timestamptz,
    compromised_since timestamptz,
    revocation_reason text,
    CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
  )`,
  `CREATE TABLE model_signatures (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    model text NOT NULL,
    version text NOT NULL,
    algorithm text NOT NULL CHECK (algorithm IN ('ed25519', 'sigstore')),
    key_id text,
    content text NOT NULL,
    fingerprint text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    added_by text NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version),
    CHECK ((algorithm = 'ed25519') = (key_id IS NOT NULL)),
    UNIQUE (model, version, fingerprint)
  )`,
];
