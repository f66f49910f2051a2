import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/support/database.js';
import { rightOn } from './application-rights.js';
import { Database } from './database.js';

const proof = [
  'audit_events',
  'audit_blocks',
  'audit_keys',
  'audit_checkpoints',
  'audit_tombstones',
  'audit_holds',
  'audit_hold_releases',
];
const insertEvent = `INSERT INTO audit_events (actor, action, resource, outcome, detail) VALUES ('a', 'b', 'c', 'done', '{}')`;

type Db = Awaited<ReturnType<typeof freshDatabase>>;
const restricted = (url: string): Promise<Database> =>
  Database.connect({ url, applicationName: 'test', isRestricted: true });

async function columnOf(db: Db, table: string): Promise<string> {
  const [column] = await db.database.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = '' LIMIT 1`,
    [table],
  );
  return column!.name;
}

describe("the application's own login", () => {
  it('reads and adds, and is refused whatever changes, removes, empties or redefines proof', async () => {
    await using db = await freshDatabase();
    await using application = await restricted(await db.applicationUrl());
    expect([application.isRestricted, application.wallGaps]).toEqual([true, []]);
    await application.query(insertEvent);
    expect(await application.query('SELECT actor FROM audit_events')).toEqual([{ actor: 'a' }]);
    for (const table of proof) {
      const column = await columnOf(db, table);
      // Without the right to pass rights on PostgreSQL does nothing, and only warns.
      await application.query(`GRANT ALL ON ${table} TO current_user`);
      for (const statement of [
        `UPDATE ${table} SET ${column} = ${column}`,
        `DELETE FROM ${table}`,
        `TRUNCATE ${table} CASCADE`,
        `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
        `ALTER TABLE ${table} RENAME TO gone`,
        `ALTER TABLE ${table} OWNER TO current_user`,
        `DROP TABLE ${table} CASCADE`,
        `DROP TRIGGER refuse_change ON ${table}`,
        `CREATE TRIGGER mine BEFORE INSERT ON ${table} EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
        `CREATE RULE mine AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
        `DO $$ BEGIN LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE; END $$`,
        `CREATE INDEX ON ${table} (${column})`,
      ])
        await expect(application.query(statement), statement).rejects.toThrow(/permission denied|must be owner/);
    }
    expect(await db.database.query('SELECT actor FROM audit_events')).toEqual([{ actor: 'a' }]);
  });

  it('has no way up to the owner, and none out of the database', async () => {
    await using db = await freshDatabase();
    await using application = await restricted(await db.applicationUrl());
    const [owner] = await db.database.query<{ name: string }>('SELECT quote_ident(current_user) AS name');
    for (const statement of [
      `SET ROLE ${owner!.name}`,
      `SET SESSION AUTHORIZATION ${owner!.name}`,
      `GRANT ${owner!.name} TO current_user`,
      'ALTER ROLE current_user SUPERUSER',
      'ALTER ROLE current_user CREATEROLE',
      'CREATE ROLE another_login',
      'CREATE SCHEMA mine',
      'CREATE TABLE mine (id int)',
      `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      `CREATE OR REPLACE FUNCTION purge_audit(first bigint, last bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`,
      'ALTER FUNCTION refuse_audit_change() RESET ALL',
      'ALTER FUNCTION purge_audit(bigint, bigint) SECURITY INVOKER',
      'CREATE EXTENSION pgcrypto',
      'CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION refuse_audit_change()',
      `SET session_replication_role = 'replica'`,
      `COPY (SELECT 1) TO PROGRAM 'true'`,
      `COPY audit_events FROM PROGRAM 'true'`,
      `COPY audit_events TO '/tmp/audit'`,
      `SELECT pg_read_file('PG_VERSION')`,
      `SELECT lo_import('/etc/hostname')`,
      'SELECT rolpassword FROM pg_authid',
      'ALTER SYSTEM SET log_statement = none',
      'UPDATE audit_retention SET days = 1',
      'INSERT INTO schema_migrations (timestamp, name) VALUES (1, $$x$$)',
      `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner!.name} GRANT ALL ON TABLES TO current_user`,
    ])
      await expect(application.query(statement), statement).rejects.toThrow(
        /permission denied|must be|must have|not allowed|Only roles with/,
      );
    const [self] = await application.query('SELECT session_user::text AS role');
    for (const statement of ['RESET ROLE', 'SET ROLE NONE', 'RESET SESSION AUTHORIZATION', 'RESET ALL']) {
      const leaving = application.run(async (tx) => {
        await tx.query(statement);
        expect(await tx.query('SELECT current_user::text AS role')).toEqual([self]);
        await tx.query('DELETE FROM audit_events');
      });
      await expect(leaving, statement).rejects.toThrow('permission denied');
    }
  });

  it('cannot put tables of its own in the place of those that the purge looks at', async () => {
    await using db = await freshDatabase();
    await using application = await restricted(await db.applicationUrl());
    await application.query(insertEvent);
    await application.query(
      `INSERT INTO audit_blocks (first_position, last_position, min_seq, max_seq, seqs, hashes, macs, key_id)
         SELECT 1, 1, seq, seq, ARRAY[seq], decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), 'k' FROM audit_events`,
    );
    await application.query(`INSERT INTO audit_tombstones (first_position, last_position, body) VALUES (1, 1, '{}')`);
    for (const place of ['pg_temp, public', 'public, pg_temp']) {
      const purging = application.run(async (tx) => {
        await tx.query(`CREATE TEMP TABLE audit_retention (only_one boolean, days int) ON COMMIT DROP`);
        await tx.query(`INSERT INTO pg_temp.audit_retention VALUES (true, -10)`);
        await tx.query(`GRANT SELECT ON pg_temp.audit_retention TO PUBLIC`);
        await tx.query(`SET LOCAL search_path = ${place}`);
        await tx.query('SELECT public.purge_audit(1, 1)');
      });
      await expect(purging).rejects.toThrow('hold rows that must be kept');
    }
    expect(await db.database.query('SELECT actor FROM audit_events')).toEqual([{ actor: 'a' }]);
  });

  it.each(['0', '-1 day', '23 hours', '-infinity', 'NULL'])(
    'cannot drop young days by a retention of %s',
    async (given) => {
      await using db = await freshDatabase();
      await using application = await restricted(await db.applicationUrl());
      const asked = given === 'NULL' ? 'NULL' : `interval '${given}'`;
      await expect(application.query(`SELECT drop_request_days(${asked})`)).rejects.toThrow('for a day or more');
    },
  );

  it('makes and drops the days of request records through the two functions alone', async () => {
    await using db = await freshDatabase();
    await using application = await restricted(await db.applicationUrl());
    const [made] = await application.query<{ name: string }>('SELECT make_request_day(1) AS name');
    await expect(application.query(`DROP TABLE ${made!.name}`)).rejects.toThrow('must be owner');
    await expect(application.query(`DELETE FROM ${made!.name}`)).rejects.toThrow('permission denied');
    await application.query('DELETE FROM request_records');
    expect(await application.query(`SELECT drop_request_days(interval '1 day') AS dropped`)).toEqual([{ dropped: [] }]);
  });
});

it('refuses the owner as well, until it switches the guard off', async () => {
  await using db = await freshDatabase();
  await db.database.query(insertEvent);
  for (const statement of [`UPDATE audit_events SET actor = 'x'`, 'DELETE FROM audit_events', 'TRUNCATE audit_events'])
    await expect(db.database.query(statement)).rejects.toThrow('never changed or removed');
});

describe('what a release grants', () => {
  it('has a line for every table: add yours to application-rights.ts', async () => {
    await using db = await freshDatabase();
    const tables = await db.database.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')`,
    );
    expect(tables.length).toBeGreaterThan(40);
    expect(tables.map(({ name }) => name).filter((name) => rightOn(name) === undefined)).toEqual([]);
  });

  it('leaves a table without a line closed, and one of proof open for adding alone', async () => {
    await using db = await freshDatabase();
    await db.database.query('CREATE TABLE of_tomorrow (word text); CREATE TABLE audit_of_tomorrow (word text)');
    await db.database.query('CREATE SEQUENCE count_of_tomorrow');
    await db.database.query(
      `CREATE FUNCTION owner_of_tomorrow() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
    );
    await db.database.migrate();
    await using application = await restricted(await db.applicationUrl());
    for (const refused of [
      'SELECT * FROM of_tomorrow',
      `INSERT INTO of_tomorrow VALUES ('x')`,
      `SELECT nextval('count_of_tomorrow')`,
      'SELECT owner_of_tomorrow()',
      `UPDATE audit_of_tomorrow SET word = 'y'`,
      'DELETE FROM audit_of_tomorrow',
    ])
      await expect(application.query(refused), refused).rejects.toThrow('permission denied');
    await application.query(`INSERT INTO audit_of_tomorrow VALUES ('x')`);
  });

  it('takes back what earlier releases and strangers gave', async () => {
    await using db = await freshDatabase();
    await db.database.query('GRANT ALL ON ALL TABLES IN SCHEMA public TO sluice_app, PUBLIC');
    await db.database.query('GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO sluice_app');
    await db.database.query('GRANT CREATE ON SCHEMA public TO PUBLIC');
    await db.database.query('ALTER FUNCTION purge_audit(bigint, bigint) RESET ALL');
    await db.database.query('GRANT EXECUTE ON FUNCTION purge_audit(bigint, bigint) TO PUBLIC');
    const url = await db.applicationUrl();
    await using before = await Database.connect({ url, applicationName: 'test', isRestricted: true });
    expect(before.wallGaps).toContain('may change or remove rows of audit_events');
    await db.database.migrate();
    await using after = await restricted(url);
    expect(after.wallGaps).toEqual([]);
    const [purge] = await db.database.query<{ acl: string; config: string[] }>(
      `SELECT proacl::text AS acl, proconfig AS config FROM pg_proc WHERE proname = 'purge_audit'`,
    );
    expect(purge!.config).toEqual(['search_path=public, pg_temp']);
    expect(purge!.acl).not.toMatch(/[{,]=/);
  });

  it('writes nothing when nothing differs', async () => {
    await using db = await freshDatabase();
    const state = () =>
      db.database.query(
        `SELECT xmin::text, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 2`,
      );
    const before = await state();
    await db.database.migrate();
    expect(await state()).toEqual(before);
  });
});
