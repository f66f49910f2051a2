import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What an endpoint asks of a version before it gives it traffic, and who let one in all the same. */
export class EndpointPolicies1763900000006 implements MigrationInterface {
  readonly name = 'EndpointPolicies1763900000006';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `ALTER TABLE routes ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]'`,
  `CREATE TABLE endpoint_policies (
    endpoint text NOT NULL REFERENCES endpoints (name),
    revision integer NOT NULL CHECK (revision > 0),
    policy jsonb NOT NULL,
    made_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint, revision)
  )`,
  `CREATE TABLE policy_overrides (
    endpoint text NOT NULL,
    revision integer NOT NULL,
    version text NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (endpoint, revision, version),
    FOREIGN KEY (endpoint, revision) REFERENCES endpoint_policies (endpoint, revision)
  )`,
];
