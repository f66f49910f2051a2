import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a record says besides: how the request ended, and of a language model's answer its tokens and its first one. */
export class LanguageRecords1763900000003 implements MigrationInterface {
  readonly name = 'LanguageRecords1763900000003';

  async up(runner: QueryRunner): Promise<void> {
    // Without defaults: older rows stay as they are, and the table is not written anew.
    await runner.query(`ALTER TABLE request_records
      ADD COLUMN outcome text,
      ADD COLUMN is_streamed boolean,
      ADD COLUMN prompt_tokens integer,
      ADD COLUMN completion_tokens integer,
      ADD COLUMN first_token_ms real`);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only: restore a backup to go back');
  }
}
