import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Pages of keys and people, the newest first, without sorting all of them for each page. */
export class NewestFirst1763900000018 implements MigrationInterface {
  readonly name = 'NewestFirst1763900000018';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of ['api_keys', 'people'])
      await runner.query(`CREATE INDEX ${table}_newest ON ${table} (created_at DESC, id DESC)`);
    await runner.query('CREATE INDEX people_by_tenant ON people (tenant_id, created_at DESC, id DESC)');
    await runner.query('DROP INDEX api_keys_by_tenant');
    await runner.query('CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at DESC, id DESC)');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}
