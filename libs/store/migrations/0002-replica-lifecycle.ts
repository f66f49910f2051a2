import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a replica says of how it runs, the memory that it holds, and why it ended. */
export class ReplicaLifecycle1763900000002 implements MigrationInterface {
  readonly name = 'ReplicaLifecycle1763900000002';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}

const statements = [
  `ALTER TABLE replicas
     ADD COLUMN runtime jsonb,
     ADD COLUMN resident_bytes double precision,
     ADD COLUMN cause text CHECK (cause IN ('crash', 'load', 'start-deadline', 'liveness', 'memory', 'drain'))`,
];
