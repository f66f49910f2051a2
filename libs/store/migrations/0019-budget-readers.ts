import type { MigrationInterface, QueryRunner } from 'typeorm';

/** As of when each process has read the budgets, so that a new one is answered when all of them go by it. */
export class BudgetReaders1763900000019 implements MigrationInterface {
  readonly name = 'BudgetReaders1763900000019';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE budget_processes ADD COLUMN read_as_of pg_snapshot');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}
