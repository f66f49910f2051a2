import pg from 'pg';
import type { QueryRunner } from 'typeorm';
import { ownersFunctions, privilegesOf, rightOn } from './application-rights.js';

/** Whom the serving processes are in the database: everything but changing or removing proof. */
export const applicationRole = 'sluice_app';

/**
 * Makes the role where the user of the connection may do so, and gives it what this release needs and nothing besides.
 * After every migration; when nothing differs, nothing is written.
 * @param login who is to be a member of the role, where the user of the connection may say so
 */
export async function grantApplicationRole(runner: QueryRunner, login?: string): Promise<void> {
  // Other databases of the same server may be migrated in this moment, and roles belong to all of them.
  await runner.query(`DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '${applicationRole}') THEN CREATE ROLE ${applicationRole} NOLOGIN; END IF;
    IF NOT pg_has_role(current_user, '${applicationRole}', 'MEMBER') THEN EXECUTE 'GRANT ${applicationRole} TO ' || quote_ident(current_user); END IF;
  EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL; END $$`);
  const [found] = (await runner.query('SELECT to_regrole($1) IS NOT NULL AS exists', [applicationRole])) as {
    exists: boolean;
  }[];
  const isThere = found!.exists;
  if (isThere && login !== undefined) await admit(runner, login);
  const statements = [
    ...(isThere ? [...(await schemaStatements(runner)), ...(await relationStatements(runner))] : []),
    ...(await functionStatements(runner, isThere)),
  ];
  // One message is one transaction: no session ever sees the half of it.
  if (statements.length > 0) await runner.query(statements.join(';\n'));
}

/** Where the user of the connection may not, the check at the login's own start says what is missing. */
async function admit(runner: QueryRunner, login: string): Promise<void> {
  const [known] = (await runner.query(
    `SELECT pg_has_role(rolname, '${applicationRole}', 'MEMBER') AS "isMember" FROM pg_roles WHERE rolname = $1`,
    [login],
  )) as { isMember: boolean }[];
  if (known?.isMember !== false) return;
  try {
    await runner.query(`GRANT ${applicationRole} TO ${pg.escapeIdentifier(login)}`);
  } catch (failure) {
    if ((failure as { code?: string }).code !== '42501') throw failure;
  }
}

async function schemaStatements(runner: QueryRunner): Promise<string[]> {
  const [schema] = (await runner.query(
    `SELECT quote_ident(n.nspname) AS name,
       has_schema_privilege('${applicationRole}', n.oid, 'USAGE') AS "isUsable",
       has_schema_privilege('${applicationRole}', n.oid, 'CREATE') AS "isOpen",
       pg_has_role(n.nspowner, 'USAGE') AS "isOwn"
     FROM pg_namespace n WHERE n.nspname = current_schema()`,
  )) as { name: string; isUsable: boolean; isOpen: boolean; isOwn: boolean }[];
  if (schema === undefined) return [];
  const { name, isUsable, isOpen, isOwn } = schema;
  return [
    ...(isUsable ? [] : [`GRANT USAGE ON SCHEMA ${name} TO ${applicationRole}`]),
    // Of a database that began before PostgreSQL 15, where everybody may create.
    ...(isOpen && isOwn ? [`REVOKE CREATE ON SCHEMA ${name} FROM ${applicationRole}, PUBLIC`] : []),
  ];
}

interface Relation {
  name: string;
  kind: 'TABLE' | 'SEQUENCE';
  held: string[];
  isPublic: boolean;
}

async function relationStatements(runner: QueryRunner): Promise<string[]> {
  const relations = (await runner.query(
    `SELECT c.relname AS name, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
       ARRAY(SELECT a.privilege_type FROM aclexplode(c.relacl) a WHERE a.grantee = to_regrole('${applicationRole}')
         ORDER BY 1) AS held,
       EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0) AS "isPublic"
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = current_schema() AND c.relkind = ANY('{r,p,v,m,f,S}')
     ORDER BY c.relname`,
  )) as Relation[];
  return relations.flatMap(({ name, kind, held, isPublic }) => {
    // Identity columns draw from their sequence without a right to it.
    const right = kind === 'SEQUENCE' ? 'nothing' : rightOn(name);
    const wanted = privilegesOf[right ?? 'nothing'];
    const on = `ON ${kind} ${pg.escapeIdentifier(name)}`;
    // What others keep in the same schema is theirs to give to everybody.
    const closing = isPublic && right !== undefined ? [`REVOKE ALL ${on} FROM PUBLIC`] : [];
    if (held.join() === wanted.join()) return closing;
    return [
      ...closing,
      `REVOKE ALL ${on} FROM ${applicationRole}`,
      ...(wanted.length === 0 ? [] : [`GRANT ${wanted.join(', ')} ${on} TO ${applicationRole}`]),
    ];
  });
}

interface OwnersFunction {
  name: string;
  signature: string;
  path: string;
  isPinned: boolean;
  isPublic: boolean;
  isGranted: boolean;
}

/**
 * What runs as the owner finds its tables in this schema alone. Unless it is named last, the schema of temporary tables
 * is looked through first, and a caller could put tables of its own in the place of the real ones.
 */
async function functionStatements(runner: QueryRunner, isRoleThere: boolean): Promise<string[]> {
  const functions = (await runner.query(
    `SELECT p.proname AS name, p.oid::regprocedure::text AS signature, quote_ident(n.nspname) || ', pg_temp' AS path,
       coalesce('search_path=' || quote_ident(n.nspname) || ', pg_temp' = ANY(p.proconfig), false) AS "isPinned",
       EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0) AS "isPublic",
       EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = to_regrole('${applicationRole}')) AS "isGranted"
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = current_schema() AND p.prosecdef AND pg_has_role(p.proowner, 'USAGE')
     ORDER BY p.oid`,
  )) as OwnersFunction[];
  return functions.flatMap(({ name, signature, path, isPinned, isPublic, isGranted }) => {
    const isMeant = isRoleThere && ownersFunctions.includes(name);
    return [
      ...(isPinned ? [] : [`ALTER FUNCTION ${signature} SET search_path = ${path}`]),
      ...(isPublic ? [`REVOKE ALL ON FUNCTION ${signature} FROM PUBLIC`] : []),
      ...(isMeant && !isGranted ? [`GRANT EXECUTE ON FUNCTION ${signature} TO ${applicationRole}`] : []),
      ...(isGranted && !isMeant ? [`REVOKE ALL ON FUNCTION ${signature} FROM ${applicationRole}`] : []),
    ];
  });
}
