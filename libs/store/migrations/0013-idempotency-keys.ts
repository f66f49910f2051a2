import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was asked under an idempotency key and what was answered, sealed, for as long as it may be asked again. */
export class IdempotencyKeys1763900000013 implements MigrationInterface {
  readonly name = 'IdempotencyKeys1763900000013';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `CREATE TABLE idempotency_keys (
    actor text NOT NULL,
    key_digest bytea NOT NULL CHECK (octet_length(key_digest) = 32),
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    claim_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'changed', 'answered')),
    lease_until timestamptz NOT NULL,
    seal_key_id text,
    sealed_answer bytea,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (actor, key_digest),
    CHECK ((state = 'answered') = (sealed_answer IS NOT NULL)),
    CHECK ((seal_key_id IS NULL) = (sealed_answer IS NULL))
  )`,
  `CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at)`,
];
