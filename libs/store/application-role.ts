import pg from 'pg';
import type { QueryRunner } from 'typeorm';

/** Whom the serving processes are in the database: everything but changing or removing proof. */
export const applicationRole = 'sluice_app';

/** Tables of proof: the application adds to them and reads them. */
const unchangeable = [
  'audit_events',
  'audit_blocks',
  'audit_keys',
  'audit_checkpoints',
  'audit_tombstones',
  'audit_holds',
  'audit_hold_releases',
];
const readOnly = ['audit_retention', 'schema_migrations'];

/**
 * Makes the role where the user of the connection may do so, and gives it what this release needs. After every
 * migration, so that a new table is never forgotten.
 */
export async function grantApplicationRole(runner: QueryRunner): Promise<void> {
  // Other databases of the same server may be migrated in this moment, and roles belong to all of them.
  await runner.query(`DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '${applicationRole}') THEN CREATE ROLE ${applicationRole} NOLOGIN; END IF;
    IF NOT pg_has_role(current_user, '${applicationRole}', 'MEMBER') THEN EXECUTE 'GRANT ${applicationRole} TO ' || quote_ident(current_user); END IF;
  EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL; END $$`);
  const [known] = (await runner.query(`SELECT current_schema() AS schema FROM pg_roles WHERE rolname = $1`, [
    applicationRole,
  ])) as { schema: string }[];
  if (known === undefined) return;
  const schema = pg.escapeIdentifier(known.schema);
  for (const statement of [
    `GRANT USAGE ON SCHEMA ${schema} TO ${applicationRole}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${applicationRole}`,
    `GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${applicationRole}`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${applicationRole}`,
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT USAGE ON SEQUENCES TO ${applicationRole}`,
    `REVOKE UPDATE, DELETE, TRUNCATE ON ${unchangeable.join(', ')} FROM ${applicationRole}, PUBLIC`,
    `REVOKE EXECUTE ON FUNCTION purge_audit(bigint, bigint) FROM PUBLIC`,
    `GRANT EXECUTE ON FUNCTION purge_audit(bigint, bigint) TO ${applicationRole}`,
    `REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ${readOnly.join(', ')} FROM ${applicationRole}, PUBLIC`,
  ])
    await runner.query(statement);
}

/** @returns the address under which every session is the application's role; undefined where the user may not be it */
export async function asApplicationRole(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET ROLE ${applicationRole}`);
  } catch (failure) {
    const { code } = failure as { code?: string };
    // No such role, or not for this user.
    if (code === '22023' || code === '42704' || code === '42501') return undefined;
    throw failure;
  } finally {
    await client.end();
  }
  const restricted = new URL(url);
  const asked = restricted.searchParams.get('options');
  // With the session's start, so that no statement ever runs before it.
  restricted.searchParams.set('options', [asked, `-c role=${applicationRole}`].filter(Boolean).join(' '));
  restricted.search = restricted.search.replaceAll('+', '%20');
  return restricted.href;
}
