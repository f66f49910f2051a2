import { sluiceError } from '#libs/kernel';
import pg from 'pg';
import { proofPrefix } from './application-rights.js';
import { applicationRole } from './application-role.js';

/** How a serving process comes to the database, and what still stands between it and the proof. */
export interface ApplicationAccess {
  /** The address to connect with. */
  url: string;
  /** Sessions begin with no more than the right to add to and to read the proof. */
  isRestricted: boolean;
  /** Ways by which the login could come to more, each a clause with the login as its subject. Empty: there is a wall. */
  wallGaps: string[];
}

/** For whoever watches; which gaps there are is for the log alone. */
export const wallMissing =
  'the database login of this process could change the audit trail: give it a login of its own (docs/how-to/wall-off-the-database.md)';

const noSuchRole = new Set(['22023', '42704', '42501']);

/**
 * Looks at what the login of an address may do. A login of the application's own is taken as it is. Any other takes
 * the application's role for its sessions where it may, which guards against mistakes, and not against whoever runs
 * statements of his own: he leaves the role as it was taken.
 * @throws SLU_PLATFORM_SETTING when the login has no right to the tables at all
 */
export async function applicationAccess(url: string): Promise<ApplicationAccess> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const wallGaps = await gapsOf(client);
    if (wallGaps.length === 0 && (await hasRights(client))) return { url, isRestricted: true, wallGaps };
    if (await mayTakeRole(client)) return { url: withRole(url), isRestricted: true, wallGaps };
    if (wallGaps.length > 0) return { url, isRestricted: false, wallGaps };
    throw sluiceError('SLU_PLATFORM_SETTING', {
      name: 'DATABASE_URL',
      problem: `names a login without rights to Sluice's tables: as their owner, run GRANT ${applicationRole} TO ${pg.escapeIdentifier(await loginOf(client))}`,
    });
  } finally {
    await client.end();
  }
}

async function mayTakeRole(client: pg.Client): Promise<boolean> {
  try {
    await client.query(`SET ROLE ${applicationRole}`);
    return true;
  } catch (failure) {
    if (noSuchRole.has(String((failure as { code?: string }).code))) return false;
    throw failure;
  }
}

/** Before the first migration there is nothing to have a right to. */
async function hasRights(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ has: boolean | null }>(
    `SELECT has_table_privilege(session_user, to_regclass('audit_events'), 'INSERT') AS has`,
  );
  return rows[0]?.has !== false;
}

async function loginOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ login: string }>('SELECT session_user::text AS login');
  return rows[0]!.login;
}

async function gapsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ gap: string }>(gapsSql);
  return rows.map(({ gap }) => gap);
}

// With the session's start, so that no statement ever runs before it.
function withRole(url: string): string {
  const restricted = new URL(url);
  const asked = restricted.searchParams.get('options');
  restricted.searchParams.set('options', [asked, `-c role=${applicationRole}`].filter(Boolean).join(' '));
  restricted.search = restricted.search.replaceAll('+', '%20');
  return restricted.href;
}

/** Roles that lead to files, programs or other people's rows, and from there to everything. */
const powers = ['pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_write_all_data'];

// A superuser may everything below as well, and needs no longer list.
const gapsSql = `
  WITH me AS (SELECT * FROM pg_roles WHERE rolname = session_user),
  place AS (SELECT * FROM pg_namespace WHERE nspname = current_schema()),
  proof AS (SELECT c.* FROM pg_class c JOIN place ON place.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND starts_with(c.relname, '${proofPrefix}')),
  gaps AS (
    SELECT 1 AS rank, 'may make roles (CREATEROLE)' AS gap FROM me WHERE rolcreaterole
    UNION ALL SELECT 2, 'may replicate (REPLICATION)' FROM me WHERE rolreplication
    UNION ALL SELECT 3, 'is a member of ' || r.rolname FROM pg_roles r
      WHERE r.rolname <> session_user AND pg_has_role(session_user, r.oid, 'MEMBER')
        AND (r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolname = ANY('{${powers.join()}}'))
    UNION ALL SELECT 4, 'owns the database, or is a member of its owner' FROM pg_database d
      WHERE d.datname = current_database() AND pg_has_role(session_user, d.datdba, 'MEMBER')
    UNION ALL SELECT 5, 'owns the schema, or is a member of its owner' FROM place
      WHERE pg_has_role(session_user, nspowner, 'MEMBER')
    UNION ALL SELECT 6, 'owns ' || relname || ', or is a member of its owner' FROM proof
      WHERE pg_has_role(session_user, relowner, 'MEMBER')
    UNION ALL SELECT 7, 'may change or remove rows of ' || relname FROM proof
      WHERE has_table_privilege(session_user, oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES')
        OR has_any_column_privilege(session_user, oid, 'UPDATE')
        OR (relname = 'audit_retention' AND has_any_column_privilege(session_user, oid, 'INSERT'))
    UNION ALL SELECT 8, 'may create in the schema' FROM place WHERE has_schema_privilege(session_user, oid, 'CREATE'))
  SELECT gap FROM (
    SELECT 0 AS rank, 'is a superuser' AS gap FROM me WHERE rolsuper
    UNION ALL SELECT rank, gap FROM gaps WHERE NOT (SELECT rolsuper FROM me)) found
  ORDER BY rank, gap`;
