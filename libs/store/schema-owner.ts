import { sluiceError } from '#libs/kernel';
import type { QueryRunner } from 'typeorm';
import { migrations } from './migrations/index.js';

/**
 * Does the schema belong to another login than the one of this connection, and is it of this release? Then there is
 * nothing to do.
 * @throws SLU_PLATFORM_SETTING when it belongs to another and is of an earlier release
 */
export async function isOthersSchema(runner: QueryRunner): Promise<boolean> {
  const [table] = (await runner.query(
    `SELECT pg_has_role(relowner, 'USAGE') AS "isOwn", has_table_privilege(oid, 'SELECT') AS "isReadable"
     FROM pg_class WHERE oid = to_regclass('schema_migrations')`,
  )) as { isOwn: boolean; isReadable: boolean }[];
  if (table === undefined) {
    if (await mayCreate(runner)) return false;
    throw notOurs('the database has no tables yet');
  }
  if (table.isOwn) return false;
  const applied = table.isReadable
    ? ((await runner.query('SELECT name FROM schema_migrations')) as { name: string }[]).map(({ name }) => name)
    : [];
  const missing = migrations.filter((migration) => !applied.includes(new migration().name));
  if (missing.length > 0) throw notOurs('the tables are those of an earlier release');
  return true;
}

async function mayCreate(runner: QueryRunner): Promise<boolean> {
  const [schema] = (await runner.query(`SELECT has_schema_privilege(current_schema(), 'CREATE') AS "isOpen"`)) as {
    isOpen: boolean | null;
  }[];
  return schema?.isOpen === true;
}

const notOurs = (what: string): Error =>
  sluiceError('SLU_PLATFORM_SETTING', {
    name: 'SLUICE_DATABASE_OWNER_URL',
    problem: `must name the login that owns the tables: ${what}, and the login in use may not change that. Set it, or run npm run migrate with it beforehand`,
  });
