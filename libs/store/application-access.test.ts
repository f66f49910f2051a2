import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/support/database.js';
import { Database } from './database.js';

type Db = Awaited<ReturnType<typeof freshDatabase>>;
const restricted = (url: string): Promise<Database> =>
  Database.connect({ url, applicationName: 'test', isRestricted: true });
const withUser = (url: string, user: string): string =>
  Object.assign(new URL(url), { username: user, password: 'plain' }).href;

/** Logins of one test, dropped at its end. */
async function withLogins(db: Db, work: (make: (attributes?: string) => Promise<string>) => Promise<void>) {
  const made: string[] = [];
  try {
    await work(async (attributes = '') => {
      const user = `plain_${randomBytes(4).toString('hex')}`;
      await db.database.query(`CREATE ROLE ${user} LOGIN PASSWORD 'plain' ${attributes}`);
      made.push(user);
      return user;
    });
  } finally {
    for (const user of made.reverse()) {
      await db.database.query(`DROP OWNED BY ${user} CASCADE`);
      await db.database.query(`DROP ROLE ${user}`);
    }
  }
}

describe('a login that is not meant for the application', () => {
  it('takes the role in every session before its first statement, beside options of the address, and is told of', async () => {
    await using db = await freshDatabase();
    const url = new URL(db.url);
    url.searchParams.set('options', '-c work_mem=5MB');
    await using application = await restricted(url.href);
    const rows = await application.query(`SELECT current_user::text AS role, current_setting('work_mem') AS memory`);
    expect(rows).toEqual([{ role: 'sluice_app', memory: '5MB' }]);
    expect([application.isRestricted, application.wallGaps]).toEqual([true, ['is a superuser']]);
    await expect(application.query('DELETE FROM audit_events')).rejects.toThrow('permission denied');
  });

  it.each<[string, (db: Db, user: string) => string | undefined, RegExp]>([
    ['owns a table of proof', (_db, user) => `ALTER TABLE audit_events OWNER TO ${user}`, /^owns audit_events/],
    ['owns the schema', (_db, user) => `ALTER SCHEMA public OWNER TO ${user}`, /^owns the schema/],
    ['owns the database', (db, user) => `ALTER DATABASE ${db.name} OWNER TO ${user}`, /^owns the database/],
    ['may make roles', (_db, user) => `ALTER ROLE ${user} CREATEROLE`, /CREATEROLE/],
    ['may replicate', (_db, user) => `ALTER ROLE ${user} REPLICATION`, /REPLICATION/],
    ['may run programs', (_db, user) => `GRANT pg_execute_server_program TO ${user}`, /pg_execute_server_program/],
    ['may change one column', (_db, user) => `GRANT UPDATE (actor) ON audit_events TO ${user}`, /of audit_events/],
    ['may set the retention', (_db, user) => `GRANT UPDATE ON audit_retention TO ${user}`, /of audit_retention/],
    ['may hang triggers', (_db, user) => `GRANT TRIGGER ON audit_blocks TO ${user}`, /of audit_blocks/],
    ['may create', (_db, user) => `GRANT CREATE ON SCHEMA public TO ${user}`, /^may create in the schema/],
  ])('has no wall when it %s', async (_what, statement, gap) => {
    await using db = await freshDatabase();
    await withLogins(db, async (make) => {
      const user = await make('IN ROLE sluice_app');
      await db.database.query(statement(db, user)!);
      try {
        await using application = await restricted(withUser(db.url, user));
        expect(application.wallGaps[0]).toMatch(gap);
      } finally {
        await db.database.query(`REASSIGN OWNED BY ${user} TO current_user`);
      }
    });
  });

  it('serves as it is when it owns the tables and may not take the role', async () => {
    await using db = await freshDatabase();
    await withLogins(db, async (make) => {
      const user = await make();
      await db.database.query(`ALTER TABLE audit_events OWNER TO ${user}`);
      await using application = await restricted(withUser(db.url, user));
      expect([application.isRestricted, application.wallGaps.length > 0]).toEqual([false, true]);
      await db.database.query(`REASSIGN OWNED BY ${user} TO current_user`);
    });
  });

  it('has no wall when a role in between leads to the owner, even without inheriting from it', async () => {
    await using db = await freshDatabase();
    await withLogins(db, async (make) => {
      const between = await make();
      const user = await make('NOINHERIT IN ROLE sluice_app');
      await db.database.query(`ALTER TABLE audit_blocks OWNER TO ${between}; GRANT ${between} TO ${user}`);
      await using application = await restricted(withUser(db.url, user));
      expect(application.wallGaps).toContain('owns audit_blocks, or is a member of its owner');
      await db.database.query(`REASSIGN OWNED BY ${between} TO current_user`);
    });
  });

  it('is refused by name when it has no rights at all, and the cure is told', async () => {
    await using db = await freshDatabase();
    await withLogins(db, async (make) => {
      const user = await make();
      await expect(restricted(withUser(db.url, user))).rejects.toThrow(
        `DATABASE_URL: names a login without rights to Sluice's tables: as their owner, run GRANT sluice_app TO "${user}"`,
      );
    });
  });
});

describe('a schema that belongs to another login', () => {
  it('is left alone when it is of this release, and refused when it is not', async () => {
    await using db = await freshDatabase();
    await using application = await restricted(await db.applicationUrl());
    expect(await application.migrate()).toEqual([]);
    await db.database.query(`DELETE FROM schema_migrations WHERE name LIKE 'ApplicationWall%'`);
    await expect(application.migrate()).rejects.toThrow(/SLUICE_DATABASE_OWNER_URL.*earlier release/);
  });

  it('is brought up to date by an owner that is no superuser, who admits the login where it may', async () => {
    await using db = await freshDatabase();
    await withLogins(db, async (make) => {
      const [owner, login] = [await make(), await make()];
      await db.database.query(`GRANT sluice_app TO ${owner} WITH ADMIN OPTION`);
      await db.database.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION ${owner}`);
      await expect(restricted(withUser(db.url, login)).then((each) => each.migrate())).rejects.toThrow(
        'the database has no tables yet',
      );
      await using migrating = await Database.connect({ url: withUser(db.url, owner), applicationName: 'owner' });
      expect((await migrating.migrate(login)).length).toBeGreaterThan(10);
      await using application = await restricted(withUser(db.url, login));
      expect([application.isRestricted, application.wallGaps]).toEqual([true, []]);
      await application.query(`INSERT INTO audit_keys (key_id, public_key, body) VALUES ('k', 'p', '{}')`);
      await expect(application.query('DELETE FROM audit_events')).rejects.toThrow('permission denied');
      await expect(application.query(`SET ROLE ${owner}`)).rejects.toThrow('permission denied');
    });
  });
});
